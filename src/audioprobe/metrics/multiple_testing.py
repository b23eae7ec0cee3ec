"""Many tests at once: p-values that hold for all of them together.

Conventions:
    A p-value is in [0, 1], or None where its test is undefined; None stays None, and counts not.
"""

from collections.abc import Sequence

from scipy import stats

from audioprobe.errors import InvalidInputError


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """p-values that hold for all of them together (Holm 1979); None stays None, and counts not.

    Raises:
        InvalidInputError: if one is not in [0, 1].
    """
    defined = _defined(p_values)
    order = sorted(range(len(defined)), key=defined.__getitem__)
    adjusted, highest = [0.0] * len(defined), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(defined) - rank) * defined[index]))
        adjusted[index] = highest
    return _back(p_values, adjusted)


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """p-values that bound the share of false discoveries (1995); None stays None, and counts not.

    Raises:
        InvalidInputError: if one is not in [0, 1].
    """
    defined = _defined(p_values)
    adjusted = stats.false_discovery_control(defined).tolist() if defined else []
    return _back(p_values, adjusted)


def _defined(p_values: Sequence[float | None]) -> list[float]:
    defined = [p for p in p_values if p is not None]
    if not all(0 <= p <= 1 for p in defined):
        raise InvalidInputError(f"p-values must be in [0, 1] or None, got {p_values}.")
    return defined


def _back(p_values: Sequence[float | None], adjusted: Sequence[float]) -> tuple[float | None, ...]:
    rest = iter(adjusted)
    return tuple(None if p is None else next(rest) for p in p_values)
