"""Corrections of p-values for multiple testing.

Conventions:
    A p-value is in [0, 1], or None if its test is undefined. None stays None and does not count as
    a test. Other values raise `InvalidInputError`.
"""

from collections.abc import Callable, Sequence

from scipy import stats

from audioprobe.errors import InvalidInputError


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p-values corrected by Holm (1979), which controls the family-wise error rate."""

    def adjust(defined: Sequence[float]) -> list[float]:
        order = sorted(range(len(defined)), key=defined.__getitem__)
        adjusted, highest = [0.0] * len(defined), 0.0
        for rank, index in enumerate(order):
            highest = max(highest, min(1.0, (len(defined) - rank) * defined[index]))
            adjusted[index] = highest
        return adjusted

    return _adjust_defined(p_values, adjust)


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p-values corrected by Benjamini and Hochberg (1995): the false discovery rate."""
    return _adjust_defined(p_values, lambda ps: list(stats.false_discovery_control(ps).tolist()))


def _adjust_defined(
    p_values: Sequence[float | None], adjust: Callable[[Sequence[float]], list[float]]
) -> tuple[float | None, ...]:
    defined = [p for p in p_values if p is not None]
    if not all(0 <= p <= 1 for p in defined):
        raise InvalidInputError(f"p-values must be in [0, 1] or None, got {p_values}.")
    adjusted = iter(adjust(defined) if defined else ())
    return tuple(None if p is None else next(adjusted) for p in p_values)
