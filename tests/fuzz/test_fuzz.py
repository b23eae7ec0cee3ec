"""Damaged inputs give a valid result or a clear error, never another exception or a hang.

A few inputs for each target, always the same ones; `make fuzz` tries as many as time allows. Inputs
that once broke the promise are in `tests/data/fuzz`.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fuzz import target as limits
from tests.fuzz.run import fuzz
from tests.fuzz.target import HangError, Target
from tests.fuzz.targets import TARGETS

from audioprobe.errors import InvalidInputError

FOUND = Path(__file__).parents[1] / "data" / "fuzz"
N_INPUTS = 8
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if target.slow else [])
    for name, target in TARGETS.items()
]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_input_gives_a_result_or_a_clear_error(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    target.prepare(tmp_path)

    @settings(
        max_examples=N_INPUTS,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def check(content: bytes) -> None:
        target.check(content, tmp_path)

    check()


@pytest.mark.parametrize("path", sorted(FOUND.glob("*--*")), ids=lambda path: path.name)
def test_input_that_was_found_is_handled(path: Path, tmp_path: Path) -> None:
    target = TARGETS[path.name.partition("--")[0]]
    target.prepare(tmp_path)
    target.check(path.read_bytes(), tmp_path)


def _read(content: bytes, _folder: Path) -> object:
    """Break the promise in four ways, as the first byte says."""
    kind = content[:1]
    if kind == b"k":
        return TARGETS["missing"]
    if kind == b"m":
        return bytes(2 * limits.MOST_BYTES)
    if kind == b"h":
        while True:
            pass
    if kind == b"s":
        raise InvalidInputError("short")
    raise InvalidInputError("A message that says what to do.")


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"k", KeyError), (b"m", MemoryError), (b"h", HangError), (b"s", AssertionError)],
)
def test_each_kind_of_fault_is_noticed(
    content: bytes, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LONGEST_S", 0.2)
    target = Target("broken", lambda: st.just(content), _read)
    with pytest.raises(error):
        target.check(content, tmp_path)
    target.check(b"", tmp_path)
    (kind,) = fuzz(target, 0.0, 0).faults
    assert kind.startswith(error.__name__)
