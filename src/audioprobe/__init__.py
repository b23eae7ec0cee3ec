"""Evaluate what audio language models perceive, from captions, label scores and questions.

An audio language model describes clips or answers questions about them. A scorer converts the text
into one score per label, metrics summarise the scores, and a report presents the results. The stub
`__init__.pyi` lists the public names. Each name is imported at its first use, so that importing
this package loads neither numpy nor torch.
"""

import ast
from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

_MODULES = {
    alias.name: node.module
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - the stub lists the names


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'audioprobe' has no attribute {name!r}")
    if _MODULES[name] == "audioprobe":
        value: object = import_module(f"audioprobe.{name}")
    else:
        value = getattr(import_module(_MODULES[name] or ""), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
