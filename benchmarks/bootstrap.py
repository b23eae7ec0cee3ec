"""Intervals of AUC, average precision and F1: all resamples at once against scikit-learn in a loop.

1,000 clips, 28 labels, tied scores. The loop is timed over a few of the 2,000 resamples, and the
rest is taken to be as slow. The limit is drawing the resamples alone.
"""

import time

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import macro_average_precision, macro_f1, macro_roc_auc
from side_by_side import ROUNDS, finish, report

N_CLIPS, N_LABELS, N_RESAMPLES, N_LOOPED = 1000, 28, 2000, 10
THRESHOLD = 0.9

rng = np.random.default_rng(0)
targets = rng.random((N_CLIPS, N_LABELS)) < 0.1
scores = np.round(rng.random((N_CLIPS, N_LABELS)) + 0.3 * targets, 2)


def ours() -> float:
    """Seconds of all resamples."""
    began = time.perf_counter()
    for statistic in (
        macro_roc_auc(targets, scores),
        macro_average_precision(targets, scores),
        macro_f1(targets, scores >= THRESHOLD),
    ):
        Bootstrap(n_resamples=N_RESAMPLES).estimate(statistic, N_CLIPS)
    return time.perf_counter() - began


def drawing() -> float:
    """Seconds in which all resamples are drawn, three times, as for three metrics."""
    began = time.perf_counter()
    for _ in range(3):
        for _ in Bootstrap(n_resamples=N_RESAMPLES).resamples(N_CLIPS):
            pass
    return time.perf_counter() - began


def loop() -> float:
    """Seconds that scikit-learn would need for all resamples."""
    began = time.perf_counter()
    for _ in range(N_LOOPED):
        drawn = rng.integers(0, N_CLIPS, N_CLIPS)
        truth, values = targets[drawn], scores[drawn]
        for label in range(N_LABELS):
            roc_auc_score(truth[:, label], values[:, label])
            average_precision_score(truth[:, label], values[:, label])
            f1_score(truth[:, label], values[:, label] >= THRESHOLD)
    return (time.perf_counter() - began) * N_RESAMPLES / N_LOOPED


once = np.ones((1, N_CLIPS))
theirs = [roc_auc_score(targets, scores), average_precision_score(targets, scores)]
found = [macro_roc_auc(targets, scores)(once)[0], macro_average_precision(targets, scores)(once)[0]]
print(f"largest difference of the points: {np.max(np.abs(np.subtract(theirs, found))):.1e}")

ours(), loop(), drawing()
peer, own, least = map(min, zip(*((loop(), ours(), drawing()) for _ in range(ROUNDS)), strict=True))
what = f"{N_RESAMPLES} resamples of {N_CLIPS} x {N_LABELS}"
finish(report(what, peer / own, bar=40, limit=peer / least))
