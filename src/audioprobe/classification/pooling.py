"""Scores of windows to scores of clips."""

from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.audio.windowing import Windowing
from audioprobe.results import LabelScores
from audioprobe.types import FloatArray


def pooled(
    rows: Mapping[str, Sequence[FloatArray]], labels: tuple[str, ...], reading: Windowing
) -> LabelScores:
    """One row per clip out of one per window.

    Args:
        rows: by clip id, an array of shape (n_labels,) per window.
        labels: the columns.
        reading: says by "max" or "mean".
    """
    pool = np.max if reading.pooling == "max" else np.mean
    values = [pool(windows, axis=0) for windows in rows.values()]
    table = np.array(values, dtype=np.float64).reshape(len(rows), len(labels))
    return LabelScores(tuple(rows), labels, table)
