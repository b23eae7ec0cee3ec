"""Pareto front of gain and loss.

Conventions:
    Gains and losses have shape (n_points,), in any unit; a larger gain and a smaller loss are
    better. None or NaN is undefined.
"""

from collections.abc import Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, FloatArray


def pareto_front(
    gains: Sequence[float | None] | FloatArray, losses: Sequence[float | None] | FloatArray
) -> BoolArray:
    """Return which points no other point dominates.

    A point dominates another if it has at least its gain and at most its loss, and is better in one
    of them; equal points are on the front together. Points with an undefined gain or loss are not
    on the front and dominate none.

    Returns:
        Shape (n_points,); True for points on the front.

    Raises:
        InvalidInputError: if there is not one gain and one loss per point.
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
    # By falling gain, and by rising loss for equal gains.
    for index in defined[np.lexsort((loss[defined], -gain[defined]))]:
        point = gain[index], loss[index]
        if last is None or point[1] < last[1] or point == last:
            on_front[index] = True
            last = point
    return on_front
