"""Prompt levels for classification, with controls.

Each prompt level gives the model more information about the task. This information may help because
of its meaning, or only because the prompt is longer or names the classes. A control keeps the form
of the prompt and removes the meaning: descriptions are shuffled between labels or describe classes
that are not among the labels, or the in-context examples have wrong answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.prompts.template import PromptTemplate, read_templates
from audioprobe.types import Example

SHIPPED = Path(__file__).parent / "classification.toml"
Control = Literal["none", "shuffled", "absent", "wrong"]


@dataclass(frozen=True, slots=True)
class PromptLevel:
    """A prompt level or one of its controls.

    Attributes:
        template: template of the prompt.
        control: "none" is the level itself; "shuffled" gives each label the description of another
            label; "absent" describes classes that are not among the labels; "wrong" gives each
            in-context example the labels of another example.
        n_examples: number of in-context examples.
        with_audio: whether the examples contain audio.

    Raises:
        InvalidInputError: if the control does not apply to the template, or there are too few
            examples.
    """

    template: PromptTemplate
    control: Control = "none"
    n_examples: int = 0
    with_audio: bool = False

    def __post_init__(self) -> None:
        if self.control not in get_args(Control):
            raise InvalidInputError(
                f"control must be one of {', '.join(get_args(Control))}, got {self.control!r}."
            )
        if self.control in ("shuffled", "absent") and not self._has_descriptions:
            raise InvalidInputError(
                f"Prompt {self.template.name!r} has no placeholder for descriptions, so the "
                f"control {self.control!r} does not apply to it. Use another prompt or control."
            )
        if self.n_examples < 0 or (self.control == "wrong" and self.n_examples < 2):
            raise InvalidInputError(
                f"Prompt {self.template.name!r}: expected n_examples of at least 0, or at least 2 "
                f"for the control 'wrong', got {self.n_examples}."
            )

    @property
    def _has_descriptions(self) -> bool:
        return "descriptions" in self.template.placeholders

    @property
    def name(self) -> str:
        """Name of the level, such as "acoustic, shuffled" or "labels, 4 examples with sound"."""
        parts = [self.template.name]
        if self.n_examples:
            parts.append(f"{self.n_examples} examples{' with sound' if self.with_audio else ''}")
        if self.control != "none":
            parts.append(self.control)
        return ", ".join(parts)

    def question(
        self,
        labels: Sequence[str],
        descriptions: Mapping[str, str],
        absent: Mapping[str, str],
        *,
        seed: int,
    ) -> str:
        """Return the prompt for all clips.

        Args:
            labels: class names.
            descriptions: description of each label, used if the template has a placeholder for it.
            absent: descriptions of other classes, for the control "absent".
            seed: seed for shuffling or drawing descriptions.

        Raises:
            InvalidInputError: if a label has no description, or there are too few absent classes.
        """
        values = {"labels": ", ".join(labels)}
        if self._has_descriptions:
            rng = np.random.default_rng(seed)
            if self.control == "absent":
                chosen = self._absent(labels, absent, rng)
            else:
                chosen = self._described(labels, descriptions, rng)
            values["descriptions"] = "\n".join(f"{name}: {text}" for name, text in chosen)
        return self.template.fill(values)

    def examples(
        self, shots: Sequence[Sequence[str]], question: str, *, seed: int
    ) -> list[tuple[int, Example]]:
        """Draw in-context examples, without their audio.

        Args:
            shots: labels of the clips to draw from; none of these clips may also be classified.
            question: question that each example answers.
            seed: seed of the draw.

        Returns:
            One pair per example: the index of its clip in `shots`, and the example.

        Raises:
            InvalidInputError: if there are fewer shots than `n_examples`, or if an example would
                get its own labels although the control is "wrong".
        """
        if len(shots) < self.n_examples:
            raise InvalidInputError(
                f"{self.name}: expected at least {self.n_examples} clips for examples, got "
                f"{len(shots)}."
            )
        order: list[int] = np.random.default_rng(seed).permutation(len(shots)).tolist()
        drawn = order[: self.n_examples]
        labels = [tuple(shots[position]) for position in drawn]
        answers = labels
        if self.control == "wrong":
            answers = [*labels[1:], *labels[:1]]
            if any(a == b for a, b in zip(labels, answers, strict=True)):
                raise InvalidInputError(
                    f"{self.name}: two successive examples have the same labels, so their labels "
                    "cannot be exchanged. Choose another seed, or clips with different labels."
                )
        return [
            (position, Example(question, label_caption(answer)))
            for position, answer in zip(drawn, answers, strict=True)
        ]

    def _absent(
        self, labels: Sequence[str], absent: Mapping[str, str], rng: np.random.Generator
    ) -> list[tuple[str, str]]:
        names = sorted(name for name in absent if name not in labels)
        if len(names) < len(labels):
            raise InvalidInputError(
                f"{self.name}: expected descriptions of at least {len(labels)} absent classes (one "
                f"per label), got {len(names)}. Add descriptions of other classes."
            )
        drawn = [names[k] for k in rng.permutation(len(names))[: len(labels)]]
        return [(name, absent[name]) for name in drawn]

    def _described(
        self, labels: Sequence[str], descriptions: Mapping[str, str], rng: np.random.Generator
    ) -> list[tuple[str, str]]:
        missing = [label for label in labels if label not in descriptions]
        if missing:
            raise InvalidInputError(
                f"{self.name}: no description of {', '.join(missing[:3])}. Describe every label."
            )
        texts = [descriptions[label] for label in labels]
        if self.control == "shuffled":
            texts = _derangement(texts, rng)
        return list(zip(labels, texts, strict=True))


def label_caption(labels: Sequence[str]) -> str:
    """Return a caption that names the labels, in the form of LTU's captions."""
    return f"Audio caption: The sound of {' and '.join(labels) or 'nothing in particular'}."


def shipped_templates() -> dict[str, PromptTemplate]:
    """Return the shipped templates by name, in the order of their levels."""
    return read_templates(SHIPPED)


def _derangement(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the texts in a random order (one cycle) in which no text keeps its index."""
    if len(texts) < 2:
        raise InvalidInputError(
            "Expected at least two descriptions to shuffle, got one. Add labels."
        )
    order = rng.permutation(len(texts))
    moved = [""] * len(texts)
    for source, target in zip(order, np.roll(order, 1), strict=True):
        moved[int(source)] = texts[int(target)]
    return moved
