"""Samples of a report page: each clip or question with its prompts and the responses of models.

The page shows them in a browser that filters, sorts, and compares two prompts, models or runs side
by side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from audioprobe.io.text_table import printable
from audioprobe.reports.audio_clips import ClipMedia
from audioprobe.types import Clip, FloatArray

T = TypeVar("T")

Correctness: TypeAlias = Literal["right", "wrong", "undecided", "failed", "not labelled"]
"""Whether an answer is correct. "undecided" is an invalid answer or a tie."""

MAX_ANSWERS = 20_000
"""Maximum number of answers that a page contains; of more samples, equally spaced ones are kept."""

MAX_PICTURES = 300
"""Maximum number of clips with spectrogram and player on a page."""


_BEST = 3  # number of labels shown with their scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Response to a sample.

    Attributes:
        prompt: exact text of the prompt; "" if it is not stored.
        response: exact text of the response; "" if none was generated.
        chosen: the answer as it was read, such as the best labels with their scores.
        correctness: whether the answer is correct.
        facts: further values with their names.
    """

    prompt: str = ""
    response: str = ""
    chosen: str = ""
    correctness: Correctness
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A clip or question with the answers of all prompts, models or runs.

    Attributes:
        name: id of the clip, or the question.
        labels: labels to filter by: reference labels, or the concept of a question.
        expected: correct answer.
        answers: answers by the name of the prompt, model or run.
        evaluation_set: name of the evaluation set, or kind of the question.
        clip: id of the clip; "" for a question without a clip.
        facts: further values with their names, such as the group of the clip.
    """

    name: str
    labels: tuple[str, ...]
    expected: str
    answers: Mapping[str, Answer]
    evaluation_set: str = ""
    clip: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def scored_answer(
    scores: FloatArray,
    labels: Sequence[str],
    correct: Sequence[str],
    *,
    prompt: str = "",
    response: str = "",
) -> Answer:
    """Return the answer that the scores of a clip give: the labels with the highest scores.

    It is right if the label with the highest score is correct, and "undecided" if a correct and a
    wrong label share the highest score.

    Args:
        scores: score of each label, shape (n_labels,).
        labels: names of the labels.
        correct: names of the correct labels; () if the clip has none.
        prompt: exact text of the prompt.
        response: exact text of the response.
    """
    pairs = zip(labels, scores, strict=True)
    is_correct = {label in correct for label, score in pairs if score == scores.max()}
    correctness: Correctness = "undecided"
    if not any(label in correct for label in labels):
        correctness = "not labelled"
    elif len(is_correct) == 1:
        correctness = "right" if is_correct == {True} else "wrong"
    best = np.argsort(-scores, kind="stable")[:_BEST]
    return Answer(
        prompt=prompt,
        response=response,
        chosen=", ".join(f"{labels[n]} {scores[n]:.3f}" for n in best),
        correctness=correctness,
    )


@dataclass(frozen=True, slots=True)
class SampleBrowser:
    """Samples that can be filtered and compared.

    Attributes:
        data: JSON data of the page.
        n_left_out: number of samples that the page does not contain.
        notes: sentences on what the page does not contain.
    """

    data: Mapping[str, object]
    n_left_out: int
    notes: tuple[str, ...]


def sample_browser(
    samples: Sequence[Sample],
    names: Sequence[str],
    clips: Mapping[tuple[str, str], Clip] = MappingProxyType({}),
    media: Callable[[Clip], ClipMedia] = lambda _: ClipMedia(),
    *,
    compared: str,
    labels: str = "label",
    complete_data: str,
    notes: Sequence[str] = (),
    n_samples: int = 0,
) -> SampleBrowser:
    """Return the browser of samples for a page, with limits on their number.

    Args:
        samples: all samples, in order, or those that `spread` selected.
        names: names of all prompts, models or runs, in the order to choose from.
        clips: clips by evaluation set and clip id; a sample without its clip has no player.
        media: function that makes spectrogram and audio of a clip.
        compared: what can be shown side by side, such as "prompt".
        labels: what `Sample.labels` are, such as "concept".
        complete_data: where the data of all samples are, such as "scores.parquet".
        notes: sentences on what else the page does not contain.
        n_samples: number of all samples if `samples` contains only some; 0 counts `samples`.
    """
    selected = spread(samples, MAX_ANSWERS // max(1, len(names)))
    n_samples = n_samples or len(samples)
    keys = list(dict.fromkeys((s.evaluation_set, s.clip) for s in selected))
    known = [key for key in keys if key in clips]
    shown = {key: media(clips[key]) for key in spread(known, MAX_PICTURES)}
    limits = [*notes]
    if len(selected) < n_samples:
        limits.append(
            f"This page contains {len(selected)} of {n_samples} samples, equally spaced; the "
            f"other {n_samples - len(selected)} are in {complete_data}."
        )
    if len(shown) < len(known):
        limits.append(
            f"{len(shown)} of {len(known)} clips have a spectrogram and a player; "
            f"{len(known) - len(shown)} have none, to limit the size of the page."
        )
    data = _Encoder(names).encode(selected, shown) | {"compared": compared, "labels": labels}
    return SampleBrowser(data, n_samples - len(selected), tuple(limits))


class _Encoder:
    """Encode samples as JSON data; texts that occur several times are stored once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._indices: dict[str, int] = {}

    def encode(
        self, samples: Sequence[Sample], media: Mapping[tuple[str, str], ClipMedia]
    ) -> dict[str, object]:
        keys = list(media)
        positions = {key: n for n, key in enumerate(keys)}
        encoded = [self._sample(s, positions.get((s.evaluation_set, s.clip))) for s in samples]
        return {
            "names": [printable(name) for name in self._names],
            "samples": encoded,
            "media": [media[key].as_json() for key in keys],
            "texts": list(self._indices),
        }

    def _sample(self, sample: Sample, position: int | None) -> dict[str, object]:
        return {
            "name": _lines(sample.name),
            "set": printable(sample.evaluation_set),
            "clip": printable(sample.clip),
            "media": position,
            "labels": [printable(label) for label in sample.labels],
            "expected": _lines(sample.expected),
            "facts": _facts(sample.facts),
            "answers": [
                self._answer(sample.answers[name]) if name in sample.answers else None
                for name in self._names
            ],
        }

    def _answer(self, answer: Answer) -> list[object]:
        texts = (answer.prompt, answer.response, answer.chosen)
        return [*map(self._index, texts), answer.correctness, _facts(answer.facts)]

    def _index(self, text: str) -> int:
        return self._indices.setdefault(_lines(text), len(self._indices))


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` equally spaced items."""
    if len(items) <= most:
        return list(items)
    return [items[n * len(items) // most] for n in range(most)]


def _facts(facts: Mapping[str, str]) -> list[list[str]]:
    return [[name, printable(value)] for name, value in facts.items()]


def _lines(text: str) -> str:
    """Return a text with its lines kept; other control characters are escaped."""
    return "\n".join(map(printable, text.splitlines()))
