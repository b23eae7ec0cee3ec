"""The public names of the package are those of its stub."""

import ast
from pathlib import Path

import pytest

import audioprobe

STUB = Path(audioprobe.__file__).with_suffix(".pyi")


def _names_in_stub() -> dict[str, str]:
    imports = [n for n in ast.parse(STUB.read_text()).body if isinstance(n, ast.ImportFrom)]
    return {a.asname or a.name: n.module or "" for n in imports for a in n.names}


def test_public_names_are_those_of_the_stub() -> None:
    assert set(_names_in_stub()) == set(audioprobe.__all__)


@pytest.mark.parametrize("name", audioprobe.__all__)
def test_public_name_is_importable_and_documented(name: str) -> None:
    value = getattr(audioprobe, name)
    assert value.__doc__
    home = _names_in_stub()[name]
    assert home == "audioprobe" or getattr(value, "__module__", home).startswith(home)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        audioprobe.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_dir_lists_public_names() -> None:
    assert set(audioprobe.__all__) <= set(dir(audioprobe))
