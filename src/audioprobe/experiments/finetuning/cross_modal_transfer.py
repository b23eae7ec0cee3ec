"""What carries over between words and sound: invented classes, taught in the one, asked in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioprobe.experiments.finetuning.paired_difference import (
    PairedDifference,
    Values,
    accuracy_by_item,
    apart,
)
from audioprobe.experiments.finetuning.run_result import QuestionResult, RunResult
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.types import Estimate

CONTROL = "shuffled"
"""The arm in which answers were drawn at random."""

ASKED = ("words", "sound")
HALVES = ("taught in sound", "not taught in sound")
"""Of concepts: of those in the first, classes are taught in sound where sound is taught at all."""


@dataclass(frozen=True, slots=True)
class TransferArm:
    """One way to teach, asked in one way about one half of the concepts.

    Attributes:
        arm: what was taught in: "words", "sound", "words+sound", or `CONTROL`.
        asked: of the word or of the sound.
        half: of `HALVES`.
        accuracy: afterwards; concepts are resampled, replicates averaged.
        change: minus the same questions before; its test flips signs concept by concept.
        beyond: minus the same questions in the control, by the same seeds; of the control itself
            None.
    """

    arm: str
    asked: str
    half: str
    accuracy: Estimate
    change: PairedDifference
    beyond: PairedDifference | None


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What was carried over.

    Attributes:
        before: accuracy of the model as it was, by (asked, half).
        carried: all arms.
        n_replicates: trainings that ended, by arm.
        failures: why others have no value.
    """

    before: dict[tuple[str, str], Estimate]
    carried: tuple[TransferArm, ...]
    n_replicates: dict[str, int]
    failures: tuple[str, ...]


def transferred(
    before: Sequence[QuestionResult],
    trainings: Sequence[RunResult],
    halves: frozenset[str],
    bootstrap: Bootstrap,
) -> TransferResult | None:
    """Compare all arms; None where nothing was taught.

    Args:
        before: answers of the model as it was.
        trainings: of all arms.
        halves: ids of the concepts of which classes are taught in sound.
        bootstrap: how intervals are computed; its seed is that of the tests.
    """
    arms: dict[str, dict[int, Sequence[QuestionResult]]] = {}
    for one in trainings:
        arms.setdefault(one.alignment, {})
        if one.measured is not None:
            arms[one.alignment][one.seed] = one.measured.quiz
    if not any(arms.values()):
        return None
    found = []
    for arm, replicates in arms.items():
        for asked in ASKED:
            for half in HALVES:
                was = _part(before, asked, half, halves)
                now, control = (
                    {seed: _part(own, asked, half, halves) for seed, own in some.items()}
                    for some in (replicates, arms.get(CONTROL, {}) if arm != CONTROL else {})
                )
                if was and now:
                    found.append(_carried((arm, asked, half), was, now, control, bootstrap))
    return TransferResult(
        {
            (asked, half): _accuracy([_part(before, asked, half, halves)], bootstrap)
            for asked in ASKED
            for half in HALVES
        },
        tuple(found),
        {arm: len(replicates) for arm, replicates in arms.items()},
        tuple(one.failure for one in trainings if one.failure),
    )


def _part(
    answers: Sequence[QuestionResult], asked: str, half: str, halves: frozenset[str]
) -> Values:
    every = {answer.concept for answer in answers}
    return accuracy_by_item(answers, asked, every & halves if half == HALVES[0] else every - halves)


def _carried(
    what: tuple[str, str, str],
    was: Values,
    now: Mapping[int, Values],
    control: Mapping[int, Values],
    bootstrap: Bootstrap,
) -> TransferArm:
    change = apart([(was, own) for own in now.values()], bootstrap)
    both = [(control[seed], own) for seed, own in now.items() if seed in control]
    beyond = apart(both, bootstrap) if both else None
    return TransferArm(*what, _accuracy(list(now.values()), bootstrap), change, beyond)


def _averaged(replicates: Sequence[Values]) -> Values:
    """Mean over replicates of each question that all of them answered."""
    first, *others = replicates
    return {
        key: (answer, (value + sum(one[key][1] for one in others)) / len(replicates))
        for key, (answer, value) in first.items()
        if all(key in one for one in others)
    }


def _accuracy(replicates: Sequence[Values], bootstrap: Bootstrap) -> Estimate:
    each = _averaged(replicates)
    if not each:
        return Estimate(value=None, n=0, method="no question was answered")
    values = [value for _, value in each.values()]
    groups = [answer.concept for answer, _ in each.values()]
    return bootstrap.estimate(mean(values), len(values), groups=groups, unit="concepts")
