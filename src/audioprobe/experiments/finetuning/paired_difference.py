"""A model after training against another, as before: on the same clips, passages and questions.

Replicates by other seeds are averaged item by item. Intervals resample items (clips, passages, or
concepts with all their questions), so they tell what other items would have given; what other seeds
give stands beside.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.experiments.finetuning.run_result import (
    CaptionEvaluation,
    ModelEvaluation,
    QuestionResult,
)
from audioprobe.metrics.bootstrap import DECIMALS, Bootstrap
from audioprobe.metrics.paired import N_PERMUTATIONS, exchange_p_value, sign_flips
from audioprobe.metrics.permutations import smallest_p_value
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean, ratio
from audioprobe.types import BoolArray, Estimate, Float64Array

Measure: TypeAlias = Literal[
    "inside AUC",
    "outside AUC",
    "earlier AUC",
    "loss of text",
    "accuracy in words",
    "accuracy in sound",
    "words minus sound",
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
UNITS: Mapping[Measure, str] = {
    "inside AUC": "macro AUC of captions, other sounds of the origin that was taught",
    "outside AUC": "macro AUC of captions, sounds of another origin",
    "earlier AUC": "macro AUC of captions, sounds of the kind known before",
    "loss of text": "nats per token of passages; what is added to it is forgotten",
    "accuracy in words": "share of right answers about classes, asked of the word",
    "accuracy in sound": "share of right answers about classes, asked of the sound",
    "words minus sound": "difference of both accuracies, over the same questions",
}
OF_WORDS: tuple[Measure, ...] = ("loss of text", "accuracy in words")
"""What sound has no part in, and the language model alone decides."""

ALPHA = 0.05
"""Below it, a corrected p-value tells something apart."""

_FLIPS = 1000


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """After minus before, or one strategy minus another.

    Attributes:
        estimate: mean over replicates, with an interval over items.
        p_value: of no change: before and after exchanged item by item; None where it is undefined.
        by_seed: of each replicate, in order; None where one failed or is undefined.
    """

    estimate: Estimate
    p_value: float | None
    by_seed: tuple[float | None, ...]

    @property
    def smallest_p_value(self) -> float | None:
        """The smallest p-value that so few items can give; None where there is no test."""
        n_units = self.estimate.n_groups
        known = self.p_value is not None and n_units is not None
        return smallest_p_value(n_units, N_PERMUTATIONS) if known and n_units else None

    @property
    def direction(self) -> int:
        """1 or -1 where the whole interval and every seed that has a value agree, else 0."""
        low, high = self.estimate.low, self.estimate.high
        if low is None or high is None:
            return 0
        known = [value for value in self.by_seed if value is not None]
        if low > 0 and all(value > 0 for value in known):
            return 1
        return -1 if high < 0 and all(value < 0 for value in known) else 0

    def told_apart(self, corrected: float | None) -> int:
        """The direction, where the corrected p-value tells it apart as well, else 0."""
        return self.direction if corrected is not None and corrected < ALPHA else 0


NOTHING = Estimate(value=None, n=0, method="no training of this strategy ended")
_UNHEARD = Estimate(value=None, n=0, method="no clip that has scores each time")


Pair: TypeAlias = tuple[ModelEvaluation, ModelEvaluation]
"""Before and after; or by one strategy and by another, of the same seed."""


def changes(pairs: Sequence[Pair | None], bootstrap: Bootstrap) -> dict[Measure, PairedDifference]:
    """What the second of each pair does otherwise than the first, measure by measure.

    Args:
        pairs: one per seed; None where a training failed.
        bootstrap: how intervals are computed; its seed is that of the tests.
    """
    there = [pair for pair in pairs if pair is not None]
    found = {}
    for measure in MEASURES:
        compare = _WAYS[measure]
        if not there:
            found[measure] = PairedDifference(NOTHING, None, (None,) * len(pairs))
            continue
        estimate, p_value = compare(there, bootstrap)
        alone = [None if pair is None else compare([pair], None) for pair in pairs]
        by_seed = tuple(None if one is None else one[0].value for one in alone)
        found[measure] = PairedDifference(estimate, p_value, by_seed)
    return found


def level_of(
    measured: Sequence[ModelEvaluation], measure: Measure, bootstrap: Bootstrap | None = None
) -> Estimate:
    """The measure itself, not its change: mean over replicates, with an interval over items."""
    first = measured[0]
    if measure in _PORTIONS:
        targets, values = _common([one.heard[_PORTIONS[measure]] for one in measured])
        if not len(targets):
            return _UNHEARD
        return _estimate(_mean_auc(targets, values), len(targets), bootstrap)
    if measure == "loss of text":
        tokens = [float(text.n_tokens) for text in first.texts]
        nats = np.mean([[text.nats for text in one.texts] for one in measured], axis=0)
        return _estimate(ratio(nats, tokens), len(tokens), bootstrap, unit="passages")
    values_of, concepts = _rights(measured, measure)
    return _estimate(mean(values_of), len(values_of), bootstrap, concepts, "concepts")


_Compared = tuple[Estimate, float | None]


def _estimate(
    statistic: Callable[[Float64Array], Float64Array],
    n: int,
    bootstrap: Bootstrap | None,
    groups: Sequence[str] | None = None,
    unit: str = "clips",
) -> Estimate:
    """Without a bootstrap, the number alone."""
    if bootstrap is not None:
        return bootstrap.estimate(statistic, n, groups=groups, unit=unit)
    value = round(float(statistic(np.ones((1, n)))[0]), DECIMALS) if n else float("nan")
    return Estimate(value=None if np.isnan(value) else value, n=n)


_PORTIONS: Mapping[str, str] = {
    "inside AUC": "inside",
    "outside AUC": "outside",
    "earlier AUC": "earlier",
}


def _of_captions(portion: str) -> Callable[..., _Compared]:
    def compare(pairs: Sequence[Pair], bootstrap: Bootstrap | None) -> _Compared:
        # The model before is the same in every pair: it is computed once.
        heard = {id(one): one.heard[portion] for pair in pairs for one in pair}
        targets, values = _common(list(heard.values()))
        if not len(targets):
            return _UNHEARD, None
        scores = dict(zip(heard, values, strict=True))
        aucs = {key: macro_roc_auc(targets, one) for key, one in scores.items()}
        found = _estimate(
            lambda counts: _mean_apart(pairs, {key: one(counts) for key, one in aucs.items()}),
            len(targets),
            bootstrap,
        )
        exchange = [(scores[id(was)], scores[id(now)]) for was, now in pairs]
        if bootstrap is None:
            return found, None
        return found, exchange_p_value(targets, exchange, n_exchanges=_FLIPS, seed=bootstrap.seed)

    return compare


def _mean_apart(pairs: Sequence[Pair], of: Mapping[int, Float64Array]) -> Float64Array:
    apart = [of[id(now)] - of[id(was)] for was, now in pairs]
    return np.asarray(np.mean(apart, axis=0), dtype=np.float64)


def _mean_auc(
    targets: BoolArray, values: Sequence[Float64Array]
) -> Callable[[Float64Array], Float64Array]:
    each = [macro_roc_auc(targets, one) for one in values]
    return lambda counts: np.mean([one(counts) for one in each], axis=0)


def _common(heard: Sequence[CaptionEvaluation]) -> tuple[BoolArray, list[Float64Array]]:
    """Targets and scores of the clips that all of them have, in order."""
    shared = set.intersection(*(set(one.clips) for one in heard))
    rows = [[n for n, clip in enumerate(one.clips) if clip in shared] for one in heard]
    values = [one.values()[row] for one, row in zip(heard, rows, strict=True)]
    return heard[0].targets()[rows[0]], values


def _of_texts(pairs: Sequence[Pair], bootstrap: Bootstrap | None) -> _Compared:
    tokens = np.array([text.n_tokens for text in pairs[0][0].texts], dtype=np.float64)
    was, now = (
        np.mean([[text.nats for text in pair[side].texts] for pair in pairs], axis=0)
        for side in (0, 1)
    )
    found = _estimate(ratio(now - was, tokens), len(tokens), bootstrap, unit="passages")
    if bootstrap is None:
        return found, None
    return found, sign_flips(now - was, seed=bootstrap.seed).p_value


def _of_answers(measure: Measure) -> Callable[..., _Compared]:
    def compare(pairs: Sequence[Pair], bootstrap: Bootstrap | None) -> _Compared:
        was, now = ([_valued(pair[side].probe, measure) for pair in pairs] for side in (0, 1))
        return _difference(was, now, bootstrap)

    return compare


Values: TypeAlias = Mapping[tuple[object, ...], tuple[QuestionResult, float]]
"""A number for each answer, by its key."""


def apart(pairs: Sequence[tuple[Values, Values]], bootstrap: Bootstrap) -> PairedDifference:
    """The second of each pair minus the first, one pair per seed."""
    estimate, p_value = _difference([was for was, _ in pairs], [now for _, now in pairs], bootstrap)
    alone = [_difference([was], [now], None)[0].value for was, now in pairs]
    return PairedDifference(estimate, p_value, tuple(alone))


def _difference(
    was: Sequence[Values], now: Sequence[Values], bootstrap: Bootstrap | None
) -> _Compared:
    """Mean of the new values minus the old, over what all of them have; concepts are resampled."""
    every = [*was, *now]
    keys = [key for key in every[0] if all(key in one for one in every)]
    if not keys:
        return Estimate(value=None, n=0, method="no question that was answered each time"), None
    groups = [every[0][key][0].concept for key in keys]
    old, new = ([np.mean([one[key][1] for one in some]) for key in keys] for some in (was, now))
    each = np.subtract(new, old)
    found = _estimate(mean(each), len(keys), bootstrap, groups, "concepts")
    if bootstrap is None:
        return found, None
    return found, sign_flips(each, groups=groups, seed=bootstrap.seed).p_value


def _valued(answers: Sequence[QuestionResult], measure: Measure) -> Values:
    """Answers with 1 for a right and 0 for a wrong one; for the gap, words minus sound."""
    asked = {"accuracy in words": "words", "accuracy in sound": "sound"}.get(measure)
    if asked is not None:
        return accuracy_by_item(answers, asked)
    words = {_asked(a): right for a, right in accuracy_by_item(answers, "words").values()}
    return {
        key: (a, words[_asked(a)] - right)
        for key, (a, right) in accuracy_by_item(answers, "sound").items()
        if _asked(a) in words
    }


def accuracy_by_item(
    answers: Sequence[QuestionResult], asked: str, concepts: Collection[str] | None = None
) -> Values:
    """Answers in words or in sound: 1 where right, 0 where wrong; of some concepts, or of all."""
    condition = {"words": "text", "sound": "audio"}[asked]
    return {
        a.key: (a, float(a.right))
        for a in answers
        if a.condition == condition and a.right is not None
        if concepts is None or a.concept in concepts
    }


def _asked(answer: QuestionResult) -> tuple[object, ...]:
    """The same in words and in sound."""
    return answer.concept, answer.target, answer.relation, answer.match


def _rights(
    measured: Sequence[ModelEvaluation], measure: Measure
) -> tuple[Float64Array, list[str]]:
    each = [_valued(one.probe, measure) for one in measured]
    keys = [key for key in each[0] if all(key in one for one in each)]
    values = np.array([np.mean([one[key][1] for one in each]) for key in keys], dtype=np.float64)
    return values, [each[0][key][0].concept for key in keys]


_WAYS: Mapping[Measure, Callable[..., _Compared]] = {
    "inside AUC": _of_captions("inside"),
    "outside AUC": _of_captions("outside"),
    "earlier AUC": _of_captions("earlier"),
    "loss of text": _of_texts,
    "accuracy in words": _of_answers("accuracy in words"),
    "accuracy in sound": _of_answers("accuracy in sound"),
    "words minus sound": _of_answers("words minus sound"),
}
