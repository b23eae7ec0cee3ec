"""From scores to yes or no: precision, recall and F1, and where their thresholds come from.

Conventions:
    Targets and predictions are True/False or 1/0 and scores are finite floats, of shape (n_clips,)
    for one label and (n_clips, n_labels) for many, in any order of clips. A clip is said to have a
    label where its score is at least the threshold. Precision, recall and F1 are in [0, 1].

    Undefined is None, never a number. A label without positives has neither recall nor F1, and
    where nothing is predicted there is no precision. scikit-learn puts a number there (its
    `zero_division`, by default 0 with a warning), which then counts in its macro means as if it
    had been measured. One zero is a measurement and stays: where there are positives but nothing
    is predicted, F1 is 0.0, here as there.

    An F1 means little without its threshold policy. Thresholds chosen on the scored data itself
    (`OracleThreshold`) give an upper bound, not a result, so every policy has a name to print.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.threshold_counts import threshold_counts
from audioprobe.metrics.validation import validate, validate_predictions


@dataclass(frozen=True, slots=True)
class PrecisionRecallF1:
    """How predictions of one label compare with its targets.

    Attributes:
        precision: share of the predicted clips that have the label; None if none is predicted.
        recall: share of the clips with the label that are predicted; None if there are none.
        f1: harmonic mean of the two, 0.0 where positives are all missed; None if there are none.
        n_true_positive: clips that have the label and are predicted.
        n_false_positive: clips that are predicted but do not have it.
        n_false_negative: clips that have it but are not predicted.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    n_true_positive: int
    n_false_positive: int
    n_false_negative: int


def precision_recall_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> PrecisionRecallF1:
    """Compare yes/no predictions of one label with its targets.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        predictions: shape (n_clips,); True or 1 where it is said to be present.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips,), there are no clips, or either
            is not binary.
    """
    present, predicted = validate_predictions(targets, predictions, n_dimensions=1)
    n_present, n_predicted = int(np.count_nonzero(present)), int(np.count_nonzero(predicted))
    n_hit = int(np.count_nonzero(present & predicted))
    return PrecisionRecallF1(
        precision=n_hit / n_predicted if n_predicted else None,
        recall=n_hit / n_present if n_present else None,
        f1=2 * n_hit / (n_present + n_predicted) if n_present else None,
        n_true_positive=n_hit,
        n_false_positive=n_predicted - n_hit,
        n_false_negative=n_present - n_hit,
    )


def best_f1_threshold(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """The threshold with the highest F1 on these very data, exactly, in O(n log n).

    Every distinct score is tried, which covers every way to split the clips by a threshold, except
    predicting nothing, which is never best. Of thresholds with equal F1 the highest is taken.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,), finite; higher means "more likely present".

    Returns:
        One of the scores; None where there are no positives.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips,), there are no clips, targets are
            not binary, or scores are not finite.
    """
    at = threshold_counts(*validate(targets, scores, n_dimensions=1))
    if not at.n_positive:
        return None
    f1 = 2 * at.true_positives / (at.true_positives + at.false_positives + at.n_positive)
    return float(at.scores[np.argmax(f1)])


@runtime_checkable
class ThresholdPolicy(Protocol):
    """Where the threshold of each label comes from, with a name to print beside every F1."""

    @property
    def name(self) -> str:
        """What the policy is called in tables, as in "F1, threshold <name>"."""
        ...

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """The threshold of each label of the data that are about to be scored.

        Args:
            targets: shape (n_clips, n_labels); only an oracle looks at them.
            scores: shape (n_clips, n_labels), finite.

        Returns:
            One finite number per label, in order; None for a label that has no threshold, and
            hence no F1.

        Raises:
            InvalidInputError: if shapes differ or are not (n_clips, n_labels), or the policy was
                made for another number of labels.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """The same threshold for every label, chosen beforehand.

    Attributes:
        value: in the unit of the scores, finite.

    Raises:
        InvalidInputError: if the value is not finite.
    """

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InvalidInputError(f"A fixed threshold must be finite, got {self.value}.")

    @property
    def name(self) -> str:
        """For example "fixed at 0.5"."""
        return f"fixed at {self.value}"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """The value, once per label; see `ThresholdPolicy.thresholds`."""
        _, checked = validate(targets, scores, n_dimensions=2)
        return tuple(float(self.value) for _ in checked.T)


@dataclass(frozen=True, slots=True)
class TunedThreshold:
    """Thresholds that were best on another split; `fit` makes them.

    Attributes:
        values: one per label, in order; None for a label that had no positives to tune on.
        on: name of the split they were tuned on.

    Raises:
        InvalidInputError: if a value is not finite, there is none, or `on` is empty.
    """

    values: tuple[float | None, ...]
    on: str

    def __post_init__(self) -> None:
        if not self.values:
            raise InvalidInputError("Tuned thresholds need at least one label, got none.")
        if not all(value is None or math.isfinite(value) for value in self.values):
            raise InvalidInputError(
                f"Tuned thresholds must be finite, or None where there is none, got {self.values}."
            )
        if not self.on:
            raise InvalidInputError(
                'Name the split that thresholds are tuned on (on="valid"): tables print it.'
            )

    @classmethod
    def fit(cls, targets: npt.ArrayLike, scores: npt.ArrayLike, *, on: str) -> "TunedThreshold":
        """Take the threshold with the best F1 for each label of a split.

        A label without positives in that split cannot be tuned: its threshold is None, so its F1
        is undefined wherever the thresholds are used, however many positives there are.

        Args:
            targets: shape (n_clips, n_labels), of another split than the one to be scored.
            scores: shape (n_clips, n_labels), finite.
            on: name of that split, for example "valid".

        Raises:
            InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty,
                targets are not binary, scores are not finite, or `on` is empty.
        """
        return cls(_best_per_label(targets, scores), on)

    @property
    def name(self) -> str:
        """For example "tuned on valid"."""
        return f"tuned on {self.on}"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """The values; see `ThresholdPolicy.thresholds`."""
        _, checked = validate(targets, scores, n_dimensions=2)
        if checked.shape[1] != len(self.values):
            raise InvalidInputError(
                f"Thresholds were tuned for {len(self.values)} labels, but there are scores for "
                f"{checked.shape[1]}. Tune on the same labels, in the same order."
            )
        return self.values


@dataclass(frozen=True, slots=True)
class OracleThreshold:
    """Thresholds that are best on the scored data itself: an upper bound, not a result.

    A label without positives has no threshold.
    """

    @property
    def name(self) -> str:
        """Says openly where the thresholds come from."""
        return "oracle (best on the scored data itself)"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """The best F1's threshold of each label; see `ThresholdPolicy.thresholds`."""
        return _best_per_label(targets, scores)


def f1_per_label(
    targets: npt.ArrayLike, scores: npt.ArrayLike, policy: ThresholdPolicy
) -> tuple[float | None, ...]:
    """F1 of each label at the thresholds of a policy.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite; higher means "more likely present".
        policy: where thresholds come from; print its name beside the numbers.

    Returns:
        One number in [0, 1] per label, in order; None for a label without positives or without
        a threshold.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, targets
            are not binary, scores are not finite, or the policy is for other labels.
    """
    present, checked = validate(targets, scores, n_dimensions=2)
    return tuple(
        None if cut is None else precision_recall_f1(column, values >= cut).f1
        for column, values, cut in zip(
            present.T, checked.T, policy.thresholds(present, checked), strict=True
        )
    )


def _best_per_label(targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
    present, checked = validate(targets, scores, n_dimensions=2)
    columns = zip(present.T, checked.T, strict=True)
    return tuple(best_f1_threshold(column, values) for column, values in columns)
