"""A ladder of prompts: each rung tells the model more about the task, and each has its control.

What a rung adds may help because of what it says, or only because it is longer or names the
classes. A control keeps its form and takes the sense away: descriptions change places, or belong to
classes that are not asked about; the answers of examples are wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.prompts.template import Template, read_templates
from audioprobe.types import Example

SHIPPED = Path(__file__).parent / "classification.toml"
Control = Literal["none", "shuffled", "absent", "wrong"]


@dataclass(frozen=True, slots=True)
class PromptLevel:
    """One rung of the ladder.

    Attributes:
        template: what is asked.
        control: "none" is the rung itself; "shuffled" gives each label another one's description;
            "absent" describes classes that are not asked about; "wrong" gives examples the labels
            of another example.
        n_examples: how many examples are shown before the question.
        sounds: whether they come with their sound.
    """

    template: Template
    control: Control = "none"
    n_examples: int = 0
    sounds: bool = False

    def __post_init__(self) -> None:
        if self.control not in get_args(Control):
            raise InvalidInputError(
                f"A control is one of {', '.join(get_args(Control))}, got {self.control!r}."
            )
        described = "descriptions" in self.template.places
        if self.control in ("shuffled", "absent") and not described:
            raise InvalidInputError(
                f"Prompt {self.template.name!r} has no descriptions, so {self.control!r} is no "
                "control of it."
            )
        if self.n_examples < 0 or (self.control == "wrong" and self.n_examples < 2):
            raise InvalidInputError(
                f"Prompt {self.template.name!r}: wrong labels need two examples or more, and no "
                f"number of examples is negative; got {self.n_examples}."
            )

    @property
    def name(self) -> str:
        """For example "acoustic, shuffled" or "labels, 4 examples with sound"."""
        parts = [self.template.name]
        if self.n_examples:
            parts.append(f"{self.n_examples} examples{' with sound' if self.sounds else ''}")
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
        """What is asked of every clip.

        Args:
            labels: class names.
            descriptions: by label; those that the prompt has a place for.
            absent: by class that is not among the labels, for the control of that name.
            seed: of what a control draws.

        Raises:
            InvalidInputError: if a label has no description, or there are too few absent classes.
        """
        values = {"labels": ", ".join(labels)}
        if "descriptions" in self.template.places:
            lines = self._described(labels, descriptions, absent, np.random.default_rng(seed))
            values["descriptions"] = "\n".join(lines)
        return self.template.fill(values)

    def examples(
        self, shots: Sequence[Sequence[str]], question: str, *, seed: int
    ) -> list[tuple[int, Example]]:
        """The examples to show, in order, without sound.

        Args:
            shots: labels of each clip to draw from; none of these clips may be classified.
            question: that is asked of them.
            seed: of the draw.

        Returns:
            Which of the shots, and the example.

        Raises:
            InvalidInputError: if there are fewer than `n_examples`, or, for wrong labels, no way to
                give each the labels of another.
        """
        if len(shots) < self.n_examples:
            raise InvalidInputError(
                f"{self.name}: {self.n_examples} examples are wanted and there are {len(shots)}."
            )
        order: list[int] = np.random.default_rng(seed).permutation(len(shots)).tolist()
        drawn = order[: self.n_examples]
        right = [tuple(shots[number]) for number in drawn]
        wrong = self.control == "wrong"
        said = [*right[1:], *right[:1]] if wrong else right
        if wrong and any(one == other for one, other in zip(right, said, strict=True)):
            raise InvalidInputError(
                f"{self.name}: of the examples that were drawn, two in a row have the same "
                "labels, so not all can be wrong. Name another seed, or examples that differ."
            )
        return [
            (number, Example(question, caption_of(labels)))
            for number, labels in zip(drawn, said, strict=True)
        ]

    def _described(
        self,
        labels: Sequence[str],
        descriptions: Mapping[str, str],
        absent: Mapping[str, str],
        rng: np.random.Generator,
    ) -> list[str]:
        if self.control == "absent":
            others = {name: text for name, text in absent.items() if name not in labels}
            if len(others) < len(labels):
                raise InvalidInputError(
                    f"{self.name}: {len(labels)} absent classes are needed, to be as long as the "
                    f"rung itself, and {len(others)} are described."
                )
            drawn = sorted(others)
            names = [drawn[k] for k in rng.permutation(len(drawn))[: len(labels)]]
            return [f"{name}: {others[name]}" for name in names]
        lacking = [label for label in labels if label not in descriptions]
        if lacking:
            raise InvalidInputError(
                f"{self.name}: no description of {', '.join(lacking[:3])}. Describe every label."
            )
        texts = [descriptions[label] for label in labels]
        if self.control == "shuffled":
            texts = _deranged(texts, rng)
        return [f"{label}: {text}" for label, text in zip(labels, texts, strict=True)]


def caption_of(labels: Sequence[str]) -> str:
    """A caption in LTU's form that names labels."""
    return f"Audio caption: The sound of {' and '.join(labels) or 'nothing in particular'}."


def shipped() -> dict[str, Template]:
    """The rungs that ship with the library."""
    return read_templates(SHIPPED)


def _deranged(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The texts in another order, none in its place: a random cycle."""
    if len(texts) < 2:
        raise InvalidInputError("One description cannot be shuffled: give two labels or more.")
    order = rng.permutation(len(texts))
    moved = [""] * len(texts)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        moved[int(here)] = texts[int(there)]
    return moved
