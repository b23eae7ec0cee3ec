"""Compute the modality gap: accuracy in text minus accuracy about audio, on the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.significance import PairedTest, smallest_text
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.scores import concepts_of
from audioprobe.probing.trial import AnswerReading, Condition, Trial
from audioprobe.types import Estimate

NO_PAIRS = Estimate(value=None, n=0, method="no question was answered under both conditions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityGap:
    """Accuracy under a first condition minus accuracy under a second, on the same questions.

    The parts `perception`, `reasoning` and `unknown` add up to `difference`.

    Attributes:
        first: the first condition, such as "text".
        second: the second condition, such as "audio".
        difference: difference of the accuracies, in [-1, 1]; the interval resamples concepts.
        perception: part of the difference from clips whose concept the model did not recognise.
        reasoning: part of the difference from clips whose concept the model recognised.
        unknown: part of the difference from clips for which recognition is unknown.
        mcnemar: exact McNemar test, which assumes independent answers; None if no question has
            valid answers under both conditions.
        permutation: sign-flip test with concepts as units; None if no question has valid answers
            under both conditions.
        contingency: number of pairs of answers in which both are correct, only the first is, only
            the second is, and neither is.
        n_unpaired: number of answers that are invalid, or have no valid answer to the same question
            under the other condition.
    """

    first: Condition
    second: Condition
    difference: Estimate
    perception: Estimate
    reasoning: Estimate
    unknown: Estimate
    mcnemar: PairedTest | None
    permutation: PairedTest | None
    contingency: tuple[int, int, int, int]
    n_unpaired: int

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
    """Compute the accuracy under one condition minus the accuracy under another.

    Args:
        trials: trials (questions with answers) of both conditions; questions about audio for the
            concept itself decide whether a concept was recognised.
        reading: how an answer is turned into an option.
        bootstrap: how confidence intervals are computed; permutations use its seed, too.
        first: the first condition.
        second: the second condition, whose accuracy is subtracted from that of the first.
    """
    pairs, n_unpaired = pair_trials(trials, reading, first, second)
    correct = np.array(
        [(a.is_correct(reading), b.is_correct(reading)) for a, b in pairs], dtype=np.bool_
    ).reshape(-1, 2)
    in_first, in_second = correct[:, 0], correct[:, 1]
    differences = in_first.astype(np.float64) - in_second
    concepts = concepts_of([trial for _, trial in pairs])
    by_clip = recognition_by_clip(trials, reading)
    recognised = [by_clip.get(trial.question.clip) for _, trial in pairs]

    def estimate(values: Sequence[float]) -> Estimate:
        if not pairs:
            return NO_PAIRS
        return bootstrap.estimate(mean(values), len(values), groups=concepts, unit="concepts")

    def part(value: bool | None) -> Estimate:
        both = zip(differences.tolist(), recognised, strict=True)
        values = [difference if known is value else 0.0 for difference, known in both]
        return replace(estimate(values), n=sum(known is value for known in recognised))

    seed = bootstrap.seed
    return ModalityGap(
        first=first,
        second=second,
        difference=estimate(differences.tolist()),
        perception=part(False),
        reasoning=part(True),
        unknown=part(None),
        mcnemar=mcnemar(in_first, in_second) if pairs else None,
        permutation=(
            sign_flips(differences, groups=concepts, seed=seed, unit="concepts") if pairs else None
        ),
        contingency=(
            int((in_first & in_second).sum()),
            int((in_first & ~in_second).sum()),
            int((in_second & ~in_first).sum()),
            int((~in_first & ~in_second).sum()),
        ),
        n_unpaired=n_unpaired,
    )


def pair_trials(
    trials: Sequence[Trial], reading: AnswerReading, first: Condition, second: Condition
) -> tuple[list[tuple[Trial, Trial]], int]:
    """Return pairs of valid answers to the same question under the two conditions.

    An answer in text is paired with each answer to the same question about a clip. The second
    return value is the number of answers that are invalid or have no valid partner.
    """
    partners: dict[tuple[object, ...], Trial] = {}
    pairs = []
    n_unpaired = 0
    for trial in trials:
        if trial.question.condition == first and trial.has_reading(reading):
            if trial.choice(reading) is None:
                n_unpaired += 1
            else:
                partners[trial.question.key, trial.question.clip] = trial
    for trial in trials:
        if trial.question.condition != second or not trial.has_reading(reading):
            continue
        key = trial.question.key
        partner = partners.get((key, trial.question.clip)) or partners.get((key, ""))
        if partner is None or trial.choice(reading) is None:
            n_unpaired += 1
        else:
            pairs.append((partner, trial))
    return pairs, n_unpaired


def recognition_by_clip(trials: Sequence[Trial], reading: AnswerReading) -> dict[str, bool]:
    """Return whether the model recognised the concept of each clip, keyed by clip id.

    For a clip of a crow, more than half of the answers to "Is this a crow?" must be correct. If
    there are questions for other concepts ("Is this a dog?"), more than half of the answers to
    these must be correct, too. Clips without a valid answer to the first question are absent.
    """
    correct: dict[tuple[str, bool], list[bool]] = {}
    for trial in trials:
        question, is_correct = trial.question, trial.is_correct(reading)
        is_identity = question.condition == "audio" and question.pair.relation == "identity"
        if is_identity and question.form == "yes-no" and is_correct is not None:
            correct.setdefault((question.clip, question.pair.holds), []).append(is_correct)
    recognised = {}
    for clip in dict.fromkeys(clip for clip, holds in correct if holds):
        true, false = correct[clip, True], correct.get((clip, False), [True])
        recognised[clip] = sum(true) * 2 > len(true) and sum(false) * 2 > len(false)
    return recognised
