"""Does an answer depend on how the question is worded?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class Consistency:
    """How alike the answers to paraphrases are.

    Attributes:
        agreement: share of questions all of whose wordings got the same answer; concepts are
            resampled. Questions of a single wording, or with an unread one, are left out.
        between_concepts: share of the variance of right and wrong that lies between concepts, in
            [0, 1]; None where all answers are alike.
        between_wordings: the same between the wordings of a relation.
        n: questions of several wordings.
    """

    agreement: Estimate
    between_concepts: float | None
    between_wordings: float | None
    n: int


def consistency(
    trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap
) -> Consistency:
    """Compare the wordings of each question of yes or no.

    The shares are eta squared: sum of squares between groups over the whole. Wordings are those of
    a relation, so what sets relations apart is no difference of wordings.

    Args:
        trials: of one condition.
        reading: how answers are read.
        bootstrap: how intervals are computed.
    """
    answers: dict[tuple[object, ...], list[int | None]] = {}
    asked = [trial for trial in trials if trial.asked(reading) and trial.question.form == "yes-no"]
    for trial in asked:
        pair = trial.question.pair
        key = *pair.key, pair.negatives, pair.match, trial.question.condition, trial.question.clip
        answers.setdefault(key, []).append(trial.chosen(reading))
    several = {k: a for k, a in answers.items() if len(a) > 1 and None not in a}
    same = [float(len(set(found)) == 1) for found in several.values()]
    groups = [concept for (concept, *_) in several]
    agreement = (
        bootstrap.estimate(mean(same), len(same), groups=groups, unit="concepts")
        if same
        else Estimate(value=None, n=0, method="no question in several wordings was answered")
    )
    right = [(trial, trial.right(reading)) for trial in asked]
    read = [(trial, float(value)) for trial, value in right if value is not None]
    values = np.array([value for _, value in read])
    concepts = [trial.question.pair.concept for trial, _ in read]
    relations = [trial.question.pair.relation for trial, _ in read]
    wordings = [f"{t.question.pair.relation} {t.question.wording}" for t, _ in read]
    return Consistency(
        agreement,
        _share(values, concepts, [""] * len(read)),
        _share(values, wordings, relations),
        len(several),
    )


def _share(values: Float64Array, groups: Sequence[str], around: Sequence[str]) -> float | None:
    """Squares of the means of groups around the means of what they are parts of, over all."""
    total = float(((values - values.mean()) ** 2).sum()) if values.size else 0.0
    if not total:
        return None
    return float(((_means(values, groups) - _means(values, around)) ** 2).sum()) / total


def _means(values: Float64Array, groups: Sequence[str]) -> Float64Array:
    """For each value the mean of its group."""
    numbers = {group: n for n, group in enumerate(dict.fromkeys(groups))}
    of_item = np.array([numbers[group] for group in groups])
    means = np.bincount(of_item, weights=values) / np.bincount(of_item)
    found: Float64Array = means[of_item]
    return found
