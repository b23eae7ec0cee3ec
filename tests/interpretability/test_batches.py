"""Batches in which single prompts may fail."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interpretability.tiny_answers import model, question

from audioprobe.errors import AudioReadError, InvalidInputError, OutOfMemoryError
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.progress import ProgressEvent
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt, Waveform

PROMPTS = [question(None, "Why" + "?" * n) for n in range(7)]


def lengths(batch: Sequence[Item]) -> list[int]:
    return [len(prompt.prompt.text) for prompt, _ in batch]


@given(st.sets(st.integers(0, 6)), st.integers(1, 8))
def test_only_failing_prompts_have_no_value(failing: set[int], batch_size: int) -> None:
    sizes: list[int] = []

    def compute(batch: Sequence[Item]) -> list[int]:
        sizes.append(len(batch))
        if failing & {n - 3 for n in lengths(batch)}:
            raise OutOfMemoryError("too large")
        return lengths(batch)

    results = in_batches(model("ltu"), PROMPTS, compute, batch_size=batch_size)
    assert results.values == {n: 3 + n for n in range(7) if n not in failing}
    assert results.failures == dict.fromkeys(sorted(failing), "OutOfMemoryError: too large")
    assert set(results.items) == set(range(7))
    assert max(sizes) <= batch_size


def test_prompts_that_cannot_be_read_are_not_computed() -> None:
    class Unreadable(list[InspectedPrompt]):
        def __getitem__(self, index: Any) -> Any:
            if index == 1:
                raise AudioReadError("no file")
            return super().__getitem__(index)

    items = [*PROMPTS[:3], InspectedPrompt(Prompt("  "))]
    results = in_batches(model("ltu"), Unreadable(items), lengths, batch_size=4)
    assert results.values == {0: 3, 2: 5}
    assert set(results.items) == {0, 2}
    assert results.failures[1] == "AudioReadError: no file"
    assert results.failures[3].startswith("InvalidInputError: A prompt must contain a question")


def test_other_errors_end_the_run() -> None:
    def compute(batch: Sequence[Item]) -> list[int]:
        del batch
        raise KeyError("a mistake in the code")

    with pytest.raises(KeyError):
        in_batches(model("ltu"), PROMPTS, compute)
    with pytest.raises(ValueError, match="zip"):  # one result is missing
        in_batches(model("ltu"), PROMPTS, lambda batch: lengths(batch)[1:])


def test_chosen_prompts_and_progress() -> None:
    events: list[ProgressEvent] = []
    results = in_batches(
        model("ltu"),
        PROMPTS,
        lengths,
        numbers=[5, 1, 3],
        batch_size=2,
        stage="lengths",
        progress=events.append,
    )
    assert list(results.values.items()) == [(5, 8), (1, 4), (3, 6)]
    assert [(e.stage, e.done, e.total, e.n_failed) for e in events] == [
        ("lengths", 2, 3, 0),
        ("lengths", 3, 3, 0),
    ]
    with pytest.raises(InvalidInputError, match="batch_size"):
        in_batches(model("ltu"), PROMPTS, lengths, batch_size=0)


def test_plain_prompts_and_no_prompts_are_accepted() -> None:
    assert in_batches(model("ltu"), [Prompt("Why?")], lengths).values == {0: 4}
    assert in_batches(model("ltu"), [], lengths).values == {}


@pytest.mark.parametrize("keep_audio", [False, True])
def test_results_contain_no_audio_unless_it_is_asked_for(keep_audio: bool) -> None:
    sound = Waveform(np.full(16_000, 0.1, np.float32), 16_000)
    seen: list[bool] = []

    def compute(batch: Sequence[Item]) -> list[None]:
        seen.extend(prompt.prompt.audio is not None for prompt, _ in batch)
        return [None] * len(batch)

    prompts = [Prompt("Why?", sound), Prompt("Why?")]
    results = in_batches(model("ltu"), prompts, compute, keep_audio=keep_audio)
    has_audio = [results.items[n][0].prompt.audio is not None for n in range(2)]
    assert seen == [True, False]
    assert has_audio == [keep_audio, False]
