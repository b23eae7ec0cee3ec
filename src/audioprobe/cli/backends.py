"""Command that lists and describes backends (models, scorers and data sets)."""

import inspect
import os
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.errors import BackendNotFoundError, did_you_mean
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import Table, printable
from audioprobe.registry import KINDS, Backend, Kind, available, factory_of

_PURPOSES: dict[Kind, str] = {
    "encoder": "Encoders: audio to features, tags or vectors. --model tag-captioner:NAME",
    "audio_tokenizer": "Audio tokenizers: audio to codes, which a language model reads as words",
    "connector": "Connectors of other packages: features of audio to tokens of a language model",
    "language_model": "Language models: respond to questions about audio. --model NAME:ARGUMENT",
    "embedder": "Embedders: text to vectors. --scorer embedding:NAME",
    "scorer": "Scorers: similarity of captions and labels. --scorer NAME",
    "dataset": 'Data sets: clips with labels. In a config: dataset = { name = "NAME", ... }',
}
_KEY = "OPENAI_API_KEY"
_OPENAI_BACKENDS = (("embedder", "openai"), ("language_model", "openai-chat"))


@app.command
def backends(
    name: Annotated[str | None, Parameter(help="Describe this backend.")] = None, /
) -> int:
    """List the installed backends and their requirements, or describe one.

    A backend is a component that a config can name: a model, a scorer or a data set. Its name is
    NAME or NAME:ARGUMENT, where ARGUMENT is the first argument, such as ltu:mini.

    Example: audioprobe backends manifest
    """
    if name is not None:
        return _describe(name)
    for kind in KINDS:
        write(_PURPOSES[kind])
        rows = tuple((b.name, b.distribution, _state(b)) for b in available(kind))
        write(Table(("name", "from", "state"), rows).to_text(terminal_width()) + "\n")
    write("Options of a backend: audioprobe backends NAME")
    return 0


def _describe(name: str) -> int:
    matches = [backend for backend in available() if backend.name == name.partition(":")[0]]
    if not matches:
        names = sorted({backend.name for backend in available()})
        hint = did_you_mean(name, names)
        raise BackendNotFoundError(
            f"Unknown backend {name!r}.{hint} Installed: {', '.join(names)}."
        )
    for backend in matches:
        write(f"{backend.kind.replace('_', ' ')} {backend.name}: {_state(backend)}")
        if backend.missing:
            continue
        factory = factory_of(backend.kind, backend.name)
        parameters = inspect.signature(factory).parameters.values()
        first = next((p for p in parameters if p.kind is not p.KEYWORD_ONLY), None)
        usage = backend.name if first is None else f"{backend.name}:{first.name.upper()}"
        options = (f"{p.name}{_default(p)}" for p in parameters if p is not first)
        write(printable(f"name: {usage}; options: {', '.join(options) or 'none'}"))
        write(f"\n{inspect.getdoc(factory) or ''}\n")
    return 0


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return " (required)"
    return f" = {parameter.default!r:.40}"


def _state(backend: Backend) -> str:
    """Return "ready", or a text that names the missing package, key or weights."""
    from audioprobe.weights import DEFAULT_WEIGHTS, find

    if backend.install:
        return f"not installed: {backend.install}"
    if (backend.kind, backend.name) in _OPENAI_BACKENDS and not os.environ.get(_KEY):
        return f"needs a key in {_KEY}, or the address of another service (base_url)"
    weights = DEFAULT_WEIGHTS.get((backend.kind, backend.name))
    if weights is not None and find(weights) is None:
        return f"needs weights: {weights} not found; connect once, or pass a folder"
    return "ready"
