"""The command that lists backends, and describes one of them."""

import inspect
import os
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.cli.console import terminal_width, write
from audioprobe.errors import BackendNotFoundError, did_you_mean
from audioprobe.io.text_table import Table, printable
from audioprobe.registry import KINDS, Backend, Kind, available, factory_of

_PURPOSES: dict[Kind, str] = {
    "encoder": "Encoders: sound to features, tags or vectors. --model tag-captioner:NAME",
    "language_model": "Language models: answer questions about sounds. --model NAME:ARGUMENT",
    "embedder": "Embedders: texts to vectors. --scorer embedding:NAME",
    "scorer": "Scorers: how well captions fit labels. --scorer NAME",
    "dataset": 'Data sets: clips with labels. In a configuration: dataset = { name = "NAME", ... }',
}
_KEY = "OPENAI_API_KEY"
_ASK_OPENAI = (("embedder", "openai"), ("language_model", "openai-chat"))


@app.command
def backends(
    name: Annotated[str | None, Parameter(help="One backend, to see what it takes.")] = None, /
) -> int:
    """List the installed backends and what each still needs, or describe one.

    A backend is named by NAME, or by NAME:ARGUMENT where it has a first argument, such as
    ltu:mini or tag-captioner:birdnet.

    Example: audioprobe backends manifest
    """
    if name is not None:
        return _describe(name)
    for kind in KINDS:
        write(_PURPOSES[kind])
        rows = tuple((b.name, b.distribution, _state(b)) for b in available(kind))
        write(Table(("name", "from", "state"), rows).to_text(terminal_width()) + "\n")
    write("What one takes: audioprobe backends NAME")
    return 0


def _describe(name: str) -> int:
    found = [backend for backend in available() if backend.name == name.partition(":")[0]]
    if not found:
        names = sorted({backend.name for backend in available()})
        hint = did_you_mean(name, names)
        raise BackendNotFoundError(
            f"There is no backend {name!r}.{hint} Installed: {', '.join(names)}."
        )
    for backend in found:
        write(f"{backend.kind.replace('_', ' ')} {backend.name}: {_state(backend)}")
        if backend.missing:
            continue
        factory = factory_of(backend.kind, backend.name)
        parameters = inspect.signature(factory).parameters.values()
        first = next((p for p in parameters if p.kind is not p.KEYWORD_ONLY), None)
        usage = backend.name if first is None else f"{backend.name}:{first.name.upper()}"
        options = (f"{p.name}{_default(p)}" for p in parameters if p is not first)
        write(printable(f"named {usage}; options: {', '.join(options) or 'none'}"))
        write(f"\n{inspect.getdoc(factory) or ''}\n")
    return 0


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return " (required)"
    return f" = {parameter.default!r:.40}"


def _state(backend: Backend) -> str:
    """What keeps a backend from being used as it is, or "ready"."""
    from audioprobe.weights import DEFAULT_WEIGHTS, find

    if backend.install:
        return f"not installed: {backend.install}"
    if (backend.kind, backend.name) in _ASK_OPENAI and not os.environ.get(_KEY):
        return f"needs a key in {_KEY}, or an address of your own (base_url)"
    weights = DEFAULT_WEIGHTS.get((backend.kind, backend.name))
    if weights is not None and find(weights) is None:
        return f"needs weights: {weights} is not here; connect once, or name a folder"
    return "ready"
