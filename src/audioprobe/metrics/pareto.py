"""Which of several choices no other one beats in both of two respects.

Conventions:
    Gains and losses have shape (n_points,), any unit; a larger gain and a smaller loss are better.
    None or NaN is undefined.
"""

from collections.abc import Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, FloatArray


def pareto_front(
    gains: Sequence[float | None] | FloatArray, losses: Sequence[float | None] | FloatArray
) -> BoolArray:
    """Which points are on the Pareto front.

    A point is on it unless another one has at least its gain and at most its loss, and is better
    in one of both. Equal points are on it together. A point with an undefined gain or loss is
    never on it, and keeps no other one off.

    Args:
        gains: of each point.
        losses: of each point.

    Returns:
        Shape (n_points,); True where a point is on the front.

    Raises:
        InvalidInputError: if there is not one gain and one loss for each point.
    """
    gained, lost = (np.array(values, dtype=np.float64) for values in (gains, losses))
    if gained.ndim != 1 or gained.shape != lost.shape:
        raise InvalidInputError(
            "Expected gains and losses of the same shape (n_points,), got "
            f"{gained.shape} and {lost.shape}."
        )
    defined = np.flatnonzero(~(np.isnan(gained) | np.isnan(lost)))
    on_it = np.zeros(len(gained), dtype=np.bool_)
    last = None
    # From the largest gain down, and of equal gains from the smallest loss up.
    for index in defined[np.lexsort((lost[defined], -gained[defined]))]:
        point = gained[index], lost[index]
        if last is None or point[1] < last[1] or point == last:
            on_it[index] = True
            last = point
    return on_it
