"""Pareto front of gain and loss.

Conventions:
    Gains and losses have shape (n_points,), in any unit; a larger gain and a smaller loss are
    better. None and NaN mean that a gain or loss is undefined.
"""

from collections.abc import Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, FloatArray


def pareto_front(
    gains: Sequence[float | None] | FloatArray, losses: Sequence[float | None] | FloatArray
) -> BoolArray:
    """Return which points are on the Pareto front: no other point dominates them.

    Point A dominates point B if its gain is not smaller, its loss is not larger, and at least one
    of both is better. Equal points are all on the front or all off it. A point with an undefined
    gain or loss is not on the front and does not dominate other points.

    Returns:
        Shape (n_points,); True for points on the front.

    Raises:
        InvalidInputError: if gains and losses do not have the same shape (n_points,).
    """
    gain, loss = (np.array(values, dtype=np.float64) for values in (gains, losses))
    if gain.ndim != 1 or gain.shape != loss.shape:
        raise InvalidInputError(
            "Expected gains and losses of the same shape (n_points,), got "
            f"{gain.shape} and {loss.shape}."
        )
    defined = np.flatnonzero(~(np.isnan(gain) | np.isnan(loss)))
    on_front = np.zeros(len(gain), dtype=np.bool_)
    last = None
    # Sorted by decreasing gain, then by increasing loss.
    for index in defined[np.lexsort((loss[defined], -gain[defined]))]:
        point = gain[index], loss[index]
        if last is None or point[1] < last[1] or point == last:
            on_front[index] = True
            last = point
    return on_front
