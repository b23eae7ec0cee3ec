"""Prompt levels of classification, and their controls.

Each prompt level gives the model more information about the task than the level before. This
information may help because of its meaning, or only because the prompt is longer. A control has the
form of the prompt without the meaning: descriptions of other labels or of absent classes, or
in-context examples with wrong answers.
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
    """A prompt level of classification, or one of its controls.

    Attributes:
        template: template of the prompt.
        control: "none" for the level itself. "shuffled": each label has the description of another
            label. "absent": the descriptions are of classes that are not labels. "wrong": each
            in-context example has the labels of another example.
        n_examples: number of in-context examples.
        with_audio: whether the in-context examples contain audio.

    Raises:
        InvalidInputError: if the control needs a template with descriptions, or more in-context
            examples than `n_examples`.
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
                f"The control {self.control!r} needs a prompt with the placeholder "
                f"{{descriptions}}, got the prompt {self.template.name!r}. Choose another prompt "
                "or control."
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
        """Return the question, the same for every clip: the template with labels and descriptions.

        Args:
            labels: class names.
            descriptions: description of each label; ignored if the template does not use them.
            absent: descriptions of classes that are not labels, for the control "absent".
            seed: random seed for the controls "shuffled" and "absent".

        Raises:
            InvalidInputError: if a label has no description, or if `absent` has fewer classes than
                there are labels.
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
            shots: labels of each clip that may become an example; do not use clips that are
                classified, too.
            question: question in each example.
            seed: random seed for the choice of clips.

        Returns:
            `n_examples` pairs: the index of a clip in `shots`, and the example for this clip.

        Raises:
            InvalidInputError: if `shots` has fewer than `n_examples` clips, or, for the control
                "wrong", if two successive examples have the same labels.
        """
        if len(shots) < self.n_examples:
            raise InvalidInputError(
                f"{self.name}: expected at least {self.n_examples} clips for examples, got "
                f"{len(shots)}. Add clips, or lower n_examples."
            )
        order: list[int] = np.random.default_rng(seed).permutation(len(shots)).tolist()
        drawn = order[: self.n_examples]
        labels = [tuple(shots[position]) for position in drawn]
        answers = labels
        if self.control == "wrong":
            answers = [*labels[1:], *labels[:1]]
            if any(a == b for a, b in zip(labels, answers, strict=True)):
                raise InvalidInputError(
                    f"{self.name}: expected successive examples with different labels, but two "
                    "have the same labels. Choose another seed, or clips with different labels."
                )
        return [
            (position, Example(question, label_caption(answer)))
            for position, answer in zip(drawn, answers, strict=True)
        ]

    def _absent(
        self, labels: Sequence[str], absent: Mapping[str, str], rng: np.random.Generator
    ) -> list[tuple[str, str]]:
        """Return names and descriptions of random absent classes, one for each label."""
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
        """Return pairs of label and description.

        If the control is "shuffled", each label gets the description of another label.
        """
        missing = [label for label in labels if label not in descriptions]
        if missing:
            raise InvalidInputError(
                f"{self.name}: expected a description of every label, got no description of "
                f"{', '.join(missing[:3])}. Add descriptions."
            )
        texts = [descriptions[label] for label in labels]
        if self.control == "shuffled":
            texts = _derangement(texts, rng)
        return list(zip(labels, texts, strict=True))


def label_caption(labels: Sequence[str]) -> str:
    """Return a caption in the style of LTU: "Audio caption: The sound of crow and rain.".

    Without labels, it is "Audio caption: The sound of nothing in particular.".
    """
    return f"Audio caption: The sound of {' and '.join(labels) or 'nothing in particular'}."


def shipped_templates() -> dict[str, PromptTemplate]:
    """Return the shipped templates, keyed by name, in the order of the prompt levels."""
    return read_templates(SHIPPED)


def _derangement(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return texts in a random order in which no text keeps its index."""
    if len(texts) < 2:
        raise InvalidInputError(
            "Expected at least two descriptions to shuffle, got one. Add labels."
        )
    order = rng.permutation(len(texts))
    moved = [""] * len(texts)
    for source, target in zip(order, np.roll(order, 1), strict=True):
        moved[int(source)] = texts[int(target)]
    return moved
