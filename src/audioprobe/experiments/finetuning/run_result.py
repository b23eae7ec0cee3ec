"""What a training of a study left behind: everything that is computed later rests on this alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from audioprobe.finetuning.evaluation import TextLoss, WeightDrift
from audioprobe.metrics.choices import most_likely_option
from audioprobe.types import BoolArray, Float64Array

BEFORE = "before"
"""Name of the findings of the model as it was."""


@dataclass(frozen=True, slots=True)
class CaptionEvaluation:
    """Captions of the clips of a portion, scored against labels.

    Attributes:
        labels: the columns of scores.
        clips: ids; failed ones are left out.
        captions: of each clip.
        truth: labels of each clip.
        scores: of each clip, one per label.
        failures: ids of clips without scores, and why.
    """

    labels: tuple[str, ...]
    clips: tuple[str, ...]
    captions: tuple[str, ...]
    truth: tuple[tuple[str, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    failures: tuple[tuple[str, str], ...] = ()

    def targets(self) -> BoolArray:
        """Shape (n_clips, n_labels)."""
        return np.array([[label in own for label in self.labels] for own in self.truth])

    def values(self) -> Float64Array:
        """Scores, shape (n_clips, n_labels)."""
        return np.array(self.scores, dtype=np.float64).reshape(-1, len(self.labels))


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """A question of yes or no, and what the model took for more probable.

    Attributes:
        concept: id of the concept that is asked about.
        target: id of what is asked for.
        relation: "hypernym" or "identity".
        holds: the right answer.
        match: number that a right question shares with its wrong one.
        condition: "text" or "audio".
        clip: that is played; "".
        yes: how much more probable "Yes." was than "No.", in nats; None where it failed or they
            tie.
    """

    concept: str
    target: str
    relation: str
    holds: bool
    match: int
    condition: str
    clip: str
    yes: float | None

    @property
    def key(self) -> tuple[object, ...]:
        """The same before and after a training."""
        return self.concept, self.target, self.relation, self.match, self.condition, self.clip

    @property
    def right(self) -> bool | None:
        """Whether the answer was; None where there is none."""
        chosen = None if self.yes is None else most_likely_option((self.yes, 0.0))
        return None if chosen is None else (chosen == 0) == self.holds


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """What a model was measured to do.

    Attributes:
        heard: captions, by the name of the portion.
        texts: the loss of each passage.
        probe: answers about real classes.
        quiz: answers about invented ones.
    """

    heard: Mapping[str, CaptionEvaluation] = field(default_factory=dict)
    texts: tuple[TextLoss, ...] = ()
    probe: tuple[QuestionResult, ...] = ()
    quiz: tuple[QuestionResult, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """One training, or the model before any.

    Attributes:
        name: of the cell.
        configuration: the same for every seed.
        trained: level of what trained.
        holding: level of how forgetting was held.
        alignment: level of how sound was tied to text.
        seed: of the training.
        transfer: whether invented classes were taught.
        measured: what came of it; None where it failed.
        losses: of every step up to the weights that stayed, in nats.
        stopped: whether it ended before its last step.
        drift: how far the weights of each part moved.
        similarity: linear CKA of each layer with itself before, of the same items: by "sound" and
            "text".
        seconds: that training and measuring took.
        failure: why there is nothing; "" where there is.
    """

    name: str
    configuration: str
    trained: str = ""
    holding: str = ""
    alignment: str = ""
    seed: int = 0
    transfer: bool = False
    measured: ModelEvaluation | None = None
    losses: tuple[float, ...] = ()
    stopped: bool = False
    drift: tuple[WeightDrift, ...] = ()
    similarity: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""


Levels: TypeAlias = tuple[str, ...]
"""What trained, how forgetting was held, how sound was tied to text."""


def by_levels(findings: Sequence[RunResult]) -> dict[Levels, list[RunResult]]:
    """Replicates of each strategy by its levels, where no training is of invented classes."""
    return {
        (group[0].trained, group[0].holding, group[0].alignment): group
        for group in by_configuration(findings).values()
    }


def by_configuration(findings: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Replicates together, in order; those that failed are among them."""
    found: dict[str, list[RunResult]] = {}
    for one in findings:
        found.setdefault(one.configuration, []).append(one)
    return found
