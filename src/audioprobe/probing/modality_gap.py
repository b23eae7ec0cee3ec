"""Words against sound: the same questions under two conditions, and where they come apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.permutations import smallest_text
from audioprobe.metrics.power import PairedTest
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.questions import Condition
from audioprobe.probing.scores import concepts_of
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate

NOTHING = Estimate(value=None, n=0, method="no question was answered under both conditions")


@dataclass(frozen=True, slots=True)
class ModalityGap:
    """One condition against another, over the same questions.

    Attributes:
        first: the condition that is subtracted from.
        second: the other.
        difference: accuracy in the first minus accuracy in the second; concepts are resampled.
        perception: the part of it from clips whose concept was not recognised. The parts add up.
        reasoning: the part from clips whose concept was recognised.
        untold: the part from clips of which nobody knows whether it was.
        mcnemar: exact test, which takes trials as independent; None without trials.
        permutation: signs flipped concept by concept; None without trials.
        table: trials that both had right, only the first, only the second, neither.
        n_left_out: trials of either condition that have no answered partner.
    """

    first: Condition
    second: Condition
    difference: Estimate
    perception: Estimate
    reasoning: Estimate
    untold: Estimate
    mcnemar: PairedTest | None
    permutation: PairedTest | None
    table: tuple[int, int, int, int]
    n_left_out: int

    def __str__(self) -> str:
        if self.permutation is None or self.permutation.p_value is None:
            return f"{self.first} minus {self.second}: undefined"
        return (
            f"{self.first} minus {self.second}: {self.difference}, "
            f"p {self.permutation.p_value:.3g} by concept"
            f"{smallest_text(self.permutation.smallest_p_value)}; "
            f"of it perception {self.perception}, reasoning {self.reasoning}"
        )


def modality_gap(
    trials: Sequence[Trial],
    reading: AnswerReading,
    bootstrap: Bootstrap,
    *,
    first: Condition = "text",
    second: Condition = "audio",
) -> ModalityGap:
    """Compare two conditions.

    Args:
        trials: of both; other conditions are used to tell what was recognised.
        reading: how answers are read.
        bootstrap: how intervals are computed; its seed is that of the permutations.
        first: condition.
        second: condition.
    """
    pairs, n_left_out = paired(trials, reading, first, second)
    if not pairs:
        empty = (0, 0, 0, 0)
        return ModalityGap(
            first, second, NOTHING, NOTHING, NOTHING, NOTHING, None, None, empty, n_left_out
        )
    one = np.array([bool(a.right(reading)) for a, _ in pairs])
    two = np.array([bool(b.right(reading)) for _, b in pairs])
    groups = concepts_of([b for _, b in pairs])
    differences = one.astype(np.float64) - two
    known = recognised(trials, reading)
    seen = [known.get(b.question.clip) for _, b in pairs]

    def part(which: bool | None) -> Estimate:
        values = [d if s is which else 0.0 for d, s in zip(differences.tolist(), seen, strict=True)]
        found = bootstrap.estimate(mean(values), len(values), groups=groups, unit="concepts")
        return replace(found, n=sum(s is which for s in seen))

    return ModalityGap(
        first,
        second,
        bootstrap.estimate(mean(differences), len(differences), groups=groups, unit="concepts"),
        part(False),
        part(True),
        part(None),
        mcnemar(one, two),
        sign_flips(differences, groups=groups, seed=bootstrap.seed, unit="concepts"),
        (
            int((one & two).sum()),
            int((one & ~two).sum()),
            int((two & ~one).sum()),
            int((~one & ~two).sum()),
        ),
        n_left_out,
    )


def paired(
    trials: Sequence[Trial], reading: AnswerReading, first: Condition, second: Condition
) -> tuple[list[tuple[Trial, Trial]], int]:
    """Answered trials of the same question, and how many of either have no such partner.

    A trial of a word is the partner of that question about every clip of its concept.
    """
    own: dict[tuple[object, ...], Trial] = {}
    n_unread = 0
    for trial in trials:
        if trial.question.condition == first and trial.asked(reading):
            if trial.right(reading) is None:
                n_unread += 1
            else:
                own[trial.question.key, trial.question.clip] = trial
    pairs = []
    for trial in trials:
        if trial.question.condition != second or not trial.asked(reading):
            continue
        key = trial.question.key
        partner = own.get((key, trial.question.clip)) or own.get((key, ""))
        if partner is None or trial.right(reading) is None:
            n_unread += 1
        else:
            pairs.append((partner, trial))
    return pairs, n_unread


def recognised(trials: Sequence[Trial], reading: AnswerReading) -> dict[str, bool]:
    """Whether the concept of each clip was recognised, where that was asked and answered.

    It was where more than half of the questions for the concept itself got their "yes", and more
    than half of those for another concept their "no", or none was asked.
    """
    rights: dict[tuple[str, bool], list[bool]] = {}
    for trial in trials:
        question = trial.question
        if question.condition == "audio" and question.pair.relation == "identity":
            right = trial.right(reading)
            if right is not None and question.form == "yes-no":
                rights.setdefault((question.clip, question.pair.holds), []).append(right)
    found = {}
    for clip in dict.fromkeys(clip for clip, holds in rights if holds):
        there, others = rights[clip, True], rights.get((clip, False), [True])
        found[clip] = sum(there) * 2 > len(there) and sum(others) * 2 > len(others)
    return found
