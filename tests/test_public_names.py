"""The stub, the lazy table and the modules tell one story."""

import ast
from pathlib import Path

import pytest

import audioprobe

STUB = Path(audioprobe.__file__).with_suffix(".pyi")


def _names_in_stub() -> dict[str, str]:
    imports = [n for n in ast.parse(STUB.read_text()).body if isinstance(n, ast.ImportFrom)]
    return {a.asname or a.name: n.module or "" for n in imports for a in n.names}


def test_the_stub_names_what_the_package_offers() -> None:
    assert set(_names_in_stub()) == set(audioprobe.__all__)


@pytest.mark.parametrize("name", audioprobe.__all__)
def test_every_name_can_be_loaded_and_is_documented(name: str) -> None:
    thing = getattr(audioprobe, name)
    assert thing.__doc__
    home = _names_in_stub()[name]
    assert home == "audioprobe" or getattr(thing, "__module__", home).startswith(home)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        audioprobe.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_names_are_listed_for_completion() -> None:
    assert set(audioprobe.__all__) <= set(dir(audioprobe))
