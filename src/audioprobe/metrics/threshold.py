"""Precision, recall and F1, and the policies that choose their thresholds.

Conventions:
    Targets and predictions are True/False or 1/0 and scores are finite floats, of shape (n_clips,)
    for one label and (n_clips, n_labels) for several. A label is predicted for a clip whose score
    is at least the threshold. Invalid arrays raise `InvalidInputError`.

    Precision, recall and F1 are in [0, 1]. If a label has no positives, recall and F1 are None; if
    it is never predicted, precision is None. scikit-learn instead returns a number (its
    `zero_division`), which then counts in macro means.

    F1 depends on the threshold policy, the rule that chooses the threshold of each label, so the
    name of the policy is printed with F1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix_at_thresholds

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.label_metrics import micro_estimate, per_label
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.types import BoolArray, Estimate, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRecallF1:
    """Agreement of predictions with targets.

    Attributes:
        precision: TP / (TP + FP); None if nothing is predicted.
        recall: TP / (TP + FN); None if there are no positives.
        f1: harmonic mean of precision and recall, 0.0 if no positive is predicted; None if there
            are no positives.
        n_true_positive: number of clips that have the label, and it is predicted.
        n_false_positive: number of clips that do not have the label, but it is predicted.
        n_false_negative: number of clips that have the label, but it is not predicted.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    n_true_positive: int
    n_false_positive: int
    n_false_negative: int


def precision_recall_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> PrecisionRecallF1:
    """Return precision, recall and F1 of the predictions of one label.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        predictions: shape (n_clips,); True or 1 where the label is predicted.
    """
    present, predicted = validate_predictions(targets, predictions, n_dimensions=1)
    # Counted here: scikit-learn's confusion_matrix takes about 40 times as long (1 ms).
    tp = int(np.count_nonzero(present & predicted))
    fp, fn = int(np.count_nonzero(predicted)) - tp, int(np.count_nonzero(present)) - tp
    return PrecisionRecallF1(
        precision=tp / (tp + fp) if tp + fp else None,
        recall=tp / (tp + fn) if tp + fn else None,
        f1=2 * tp / (2 * tp + fp + fn) if tp + fn else None,
        n_true_positive=tp,
        n_false_positive=fp,
        n_false_negative=fn,
    )


def micro_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> Estimate:
    """Return F1 over all pairs of clip and label; the value is None if there are no positives.

    Predictions of a label without positives are false positives. Both arguments have shape
    (n_clips, n_labels).
    """
    present, predicted = validate_predictions(targets, predictions, n_dimensions=2)
    return micro_estimate(precision_recall_f1(present.ravel(), predicted.ravel()).f1, present.size)


def best_f1_threshold(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Return the threshold with the highest F1; of equally good thresholds, the highest.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,), finite; higher means "more likely present".

    Returns:
        One of the scores; None if there are no positives.
    """
    present, values = validate(targets, scores, n_dimensions=1)
    if not present.any():
        return None
    _, fp, fn, tp, thresholds = confusion_matrix_at_thresholds(present, values)
    return float(thresholds[np.argmax(2 * tp / (2 * tp + fp + fn))])


@runtime_checkable
class ThresholdPolicy(Protocol):
    """A rule that chooses the threshold of each label, with a name that is printed with F1."""

    @property
    def name(self) -> str:
        """Name in tables, as in "F1, threshold <name>"."""
        ...

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """Return a finite threshold for each label; None for a label whose F1 is undefined.

        Args:
            targets: shape (n_clips, n_labels); only `OracleThreshold` uses them.
            scores: shape (n_clips, n_labels), finite.

        Raises:
            InvalidInputError: if an array is invalid, or the number of labels differs from that of
                the policy.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """Threshold policy with the same threshold for every label, chosen before the evaluation.

    Attributes:
        value: the threshold, finite, in the unit of the scores.
    """

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InvalidInputError(f"A fixed threshold must be finite, got {self.value}.")

    @property
    def name(self) -> str:
        """Name in tables, such as "fixed at 0.5"."""
        return f"fixed at {self.value}"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """Return the fixed threshold once for each label."""
        _, values = validate(targets, scores, n_dimensions=2)
        return tuple(float(self.value) for _ in values.T)


@dataclass(frozen=True, slots=True)
class TunedThreshold:
    """Threshold policy whose thresholds have the best F1 on another split; `fit` chooses them.

    Attributes:
        values: threshold of each label; None for a label without positives in that split.
        on: name of the split on which the thresholds were tuned, for example "valid".
    """

    values: tuple[float | None, ...]
    on: str

    def __post_init__(self) -> None:
        if not self.values:
            raise InvalidInputError("Tuned thresholds need at least one label, got none.")
        if not all(value is None or math.isfinite(value) for value in self.values):
            raise InvalidInputError(
                f"Tuned thresholds must be finite, or None if undefined, got {self.values}."
            )
        if not self.on:
            raise InvalidInputError(
                "Expected the name of the split on which the thresholds were tuned, got an empty "
                'text. Set it, such as on="valid": tables print it.'
            )

    @classmethod
    def fit(cls, targets: npt.ArrayLike, scores: npt.ArrayLike, *, on: str) -> "TunedThreshold":
        """Return the policy whose thresholds have the best F1 for each label of a split.

        A label without positives in the split has no threshold, so its F1 is None on any data.

        Args:
            targets: shape (n_clips, n_labels). Use another split than the split to be evaluated.
            scores: shape (n_clips, n_labels), finite.
            on: name of the split, for example "valid".
        """
        return cls(per_label(best_f1_threshold, targets, scores), on)

    @property
    def name(self) -> str:
        """Name in tables, such as "tuned on valid"."""
        return f"tuned on {self.on}"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """Return the tuned thresholds."""
        _, values = validate(targets, scores, n_dimensions=2)
        if values.shape[1] != len(self.values):
            raise InvalidInputError(
                f"Thresholds were tuned for {len(self.values)} labels, but there are scores for "
                f"{values.shape[1]}. Tune on the same labels, in the same order."
            )
        return self.values


@dataclass(frozen=True, slots=True)
class OracleThreshold:
    """Threshold policy with the best F1 on the evaluated data itself.

    Its F1 is an upper bound for other policies and does not generalise to other data.
    """

    @property
    def name(self) -> str:
        """Name in tables."""
        return "oracle (best on the scored data itself)"

    def thresholds(self, targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, ...]:
        """Return the best threshold of each label; None for a label without positives."""
        return per_label(best_f1_threshold, targets, scores)


def f1_per_label(
    targets: npt.ArrayLike, scores: npt.ArrayLike, policy: ThresholdPolicy
) -> tuple[float | None, ...]:
    """Return F1 of each label at the thresholds of a policy.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite; higher means "more likely present".
        policy: rule that chooses the threshold of each label.

    Returns:
        One number in [0, 1] per label; None for a label without positives or without a threshold.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    columns = zip(present.T, values.T, policy.thresholds(present, values), strict=True)
    return tuple(
        None if threshold is None else precision_recall_f1(column, scored >= threshold).f1
        for column, scored, threshold in columns
    )


def decisions(
    scores: FloatArray, thresholds: Sequence[float | None]
) -> tuple[list[int], BoolArray]:
    """Return the columns of the labels that have a threshold, and whether each score reaches it.

    Args:
        scores: shape (n_clips, n_labels).
        thresholds: threshold of each label; None if it has none.

    Returns:
        Indices of labels, and decisions of shape (n_clips, n_columns).
    """
    columns = [n for n, threshold in enumerate(thresholds) if threshold is not None]
    limits = np.array([thresholds[n] for n in columns], dtype=np.float64)
    positive: BoolArray = scores[:, columns] >= limits
    return columns, positive
