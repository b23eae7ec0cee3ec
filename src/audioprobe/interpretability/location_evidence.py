"""Whether a label is present at a stage of a model: tests over concepts, relative to a reference.

Conventions:
    The contrast of a place is the mean of a concept minus its control. "yes" means that the
    contrast is significantly above 0 at any place of the stage (sign flips of concepts, corrected
    over the places). "no" means that it is not, and that at every place the contrast is
    significantly below a share of the reference: what an earlier stage has, or a perfect value.
    This is a test of its own, so a "no" is never a missing "yes". Otherwise, as with too few
    concepts, the presence is "undecided".

    Every place must pass the test of "no", so that its p-values need no correction (intersection-
    union test; Berger 1982).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.curve_bands import banded, column_means, corrected_p_values
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.significance import ROUNDING
from audioprobe.types import Estimate, Float64Array

Presence: TypeAlias = Literal["yes", "no", "undecided", "not measured"]

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True)
class LocationCriteria:
    """Settings of the tests of `locate`.

    Attributes:
        share: share of the reference below which a label counts as absent, in (0, 1).
        bootstrap: settings of the intervals; the level is also that of all tests.
    """

    share: float = 0.5
    bootstrap: Bootstrap = _BOOTSTRAP

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidInputError(f"Expected a share in (0, 1), got {self.share}.")

    def signs(self, contrasts: Float64Array) -> list[int]:
        """Return 1 or -1 for each place whose mean is significantly above or below 0, else 0.

        Args:
            contrasts: shape (n_concepts, n_places); NaN if undefined.
        """
        limit = 1 - self.bootstrap.level + ROUNDING
        p_values = corrected_p_values(contrasts, self.bootstrap.seed)
        return [
            0 if p is None or p > limit else int(np.sign(mean))
            for p, mean in zip(p_values, column_means(contrasts).tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvidence:
    """Whether a label is present at a stage.

    Attributes:
        presence: "yes", "no", "undecided", or "not measured" without a curve.
        place: place with the largest difference, among those that are significant if there are any;
            None if it is undefined.
        estimate: mean over concepts of the measure at this place.
        difference: mean of the measure minus its control there, with the simultaneous band over
            the places of the stage.
        depth: first relative depth of the language model at which the label is readable, with its
            interval; None for other stages.
        readable: the places at which the label is significantly readable.
    """

    presence: Presence
    place: Place | None = None
    estimate: Estimate | None = None
    difference: Estimate | None = None
    depth: Estimate | None = None
    readable: tuple[Place, ...] = ()


NOT_MEASURED = StageEvidence(presence="not measured")
"""Evidence without a curve."""


def contrasts_of(curve: SiteCurve) -> Float64Array:
    """Return measure minus first control (or neutral value), shape (n_concepts, n_places)."""
    _, means = curve.concept_means()
    control = next(iter(curve.controls), "")
    return means - (curve.concept_means(control)[1] if control else curve.neutral)


def evidence_of(
    curve: SiteCurve,
    contrasts: Float64Array,
    reference: Float64Array,
    criteria: LocationCriteria,
    below: Float64Array | None = None,
) -> StageEvidence:
    """Return whether a label is present at the places of a curve.

    Args:
        curve: the curve of the items.
        contrasts: contrast of each concept at each place, in which positive values mean presence.
        reference: reference of each concept, shape (n_concepts,).
        criteria: level and share.
        below: contrasts that are compared with the reference; None means `contrasts`.
    """
    if not curve.places or not curve.concepts or np.isnan(contrasts).all():
        return StageEvidence(presence="not measured" if not curve.places else "undecided")
    signs = criteria.signs(contrasts)
    compared = (contrasts if below is None else below) - criteria.share * reference[:, None]
    lacking = [criteria.signs(compared[:, [n]])[0] == -1 for n in range(len(curve.places))]
    means = column_means(contrasts)
    candidates = [n for n, sign in enumerate(signs) if sign == 1]
    presence: Presence = "yes" if candidates else "no" if all(lacking) else "undecided"
    defined = candidates or np.flatnonzero(~np.isnan(means)).tolist()
    best = max(defined, key=lambda n: float(means[n]))
    return StageEvidence(
        presence=presence,
        place=curve.places[best],
        estimate=banded(curve.concept_means()[1], criteria.bootstrap)[best],
        difference=banded(contrasts, criteria.bootstrap)[best],
        readable=tuple(curve.places[n] for n in candidates),
    )


def onset(contrasts: Float64Array, depths: Sequence[float], criteria: LocationCriteria) -> Estimate:
    """Return the first relative depth at which the contrast is significantly above 0.

    The interval resamples concepts. In a resample, a place counts if its mean exceeds half of the
    width of the simultaneous band, which is the same for all resamples.

    Args:
        contrasts: shape (n_concepts, n_places), in the order of the forward pass.
        depths: relative depth of each place.
        criteria: level and bootstrap.
    """
    signs, bands = criteria.signs(contrasts), banded(contrasts, criteria.bootstrap)
    if 1 not in signs:
        reason = "not readable at any depth"
        return Estimate(value=None, n=0, n_undefined=len(contrasts), method=reason)
    limits = np.array([_limit(band, sign) for band, sign in zip(bands, signs, strict=True)])
    defined = (~np.isnan(contrasts)).astype(np.float64)
    values = np.nan_to_num(contrasts)

    def statistic(counts: Float64Array) -> Float64Array:
        n = counts @ defined
        means = np.divide(counts @ values, n, out=np.full(n.shape, -np.inf), where=n > 0)
        above = means >= limits
        first = np.asarray(depths, dtype=np.float64)[above.argmax(axis=1)]
        return np.where(above.any(axis=1), first, np.nan)

    return criteria.bootstrap.estimate(statistic, len(contrasts), unit="concepts")


def _limit(band: Estimate, sign: int) -> float:
    """Return the mean from which on a place counts as readable in a resample.

    The limit agrees with the test of the place: its own mean is not below the limit if it is
    significant, and is below it if not.
    """
    if band.value is None:
        return np.inf
    width = 0.0 if band.low is None else band.value - band.low
    if sign == 1:
        return min(width, band.value) - ROUNDING
    return max(width, band.value) + ROUNDING
