"""Metrics, confidence intervals and statistical tests, as pure functions of arrays.

Conventions:
    Targets come first, then scores or predictions: shape (n_clips,) for one label, (n_clips,
    n_labels) for several. Higher scores mean "more likely present". An undefined result is None and
    is counted, never replaced by 0, -1 or NaN. Each module states its own conventions.
"""

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import pareto_front
from audioprobe.metrics.label_metrics import (
    Metric,
    average_precision,
    macro,
    micro_average_precision,
    micro_roc_auc,
    per_label,
    roc_auc,
    with_failures,
)
from audioprobe.metrics.shapley import shapley_values
from audioprobe.metrics.similarity import linear_cka, mutual_knn, rsa
from audioprobe.metrics.threshold import (
    FixedThreshold,
    OracleThreshold,
    PrecisionRecallF1,
    ThresholdPolicy,
    TunedThreshold,
    best_f1_threshold,
    f1_per_label,
    micro_f1,
    precision_recall_f1,
)

__all__ = [
    "Bootstrap",
    "FixedThreshold",
    "Metric",
    "OracleThreshold",
    "PrecisionRecallF1",
    "ThresholdPolicy",
    "TunedThreshold",
    "average_precision",
    "best_f1_threshold",
    "f1_per_label",
    "linear_cka",
    "macro",
    "micro_average_precision",
    "micro_f1",
    "micro_roc_auc",
    "mutual_knn",
    "pareto_front",
    "per_label",
    "precision_recall_f1",
    "roc_auc",
    "rsa",
    "shapley_values",
    "with_failures",
]
