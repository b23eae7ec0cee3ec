"""Numbers that know which label lies above which."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.metrics import ThresholdPolicy
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.types import BoolArray, Estimate

Decisions: TypeAlias = tuple[list[int], BoolArray]
"""Labels that have a threshold, and which of them each clip is said to have."""


def decided(one: LabelledScores, policy: ThresholdPolicy) -> Decisions:
    """The labels that have a threshold, and which of them each clip is said to have."""
    limits = policy.thresholds(one.targets, one.scores)
    with_limit = [n for n, limit in enumerate(limits) if limit is not None]
    least = np.array([limits[n] for n in with_limit], dtype=np.float64)
    said: BoolArray = one.scores[:, with_limit] >= least
    return with_limit, said


def credited(one: LabelledScores, decisions: Decisions, bootstrap: Bootstrap) -> Estimate | None:
    """F1 over all pairs of clip and label, parents on both sides; None without a hierarchy."""
    hierarchy = one.cell.hierarchy
    with_limit, said = decisions
    if hierarchy is None or not with_limit:
        return None
    # Parents that are no label of the run have columns too, or there were nothing to share.
    asked = [one.cell.result.labels[n] for n in with_limit]
    others = [label for label in hierarchy.labels if label not in asked]
    empty = np.zeros((len(said), len(others)), dtype=np.bool_)
    there, claimed = (
        hierarchy.closed(np.hstack([columns, empty]), [*asked, *others])
        for columns in (one.targets[:, with_limit], said)
    )
    shared, both = (there & claimed).sum(axis=1), there.sum(axis=1) + claimed.sum(axis=1)
    return bootstrap.estimate(
        ratio(2 * shared, both),
        len(shared),
        groups=one.groups,
        strata=one.strata,
        unit=one.unit,
    )


def steps_off(one: LabelledScores, bootstrap: Bootstrap) -> Estimate | None:
    """Mean distance of the best label from the nearest right one; None without a hierarchy."""
    hierarchy = one.cell.hierarchy
    if hierarchy is None:
        return None
    steps = hierarchy.distances_of_best(one.targets, one.scores, one.cell.result.labels)
    known = ~np.isnan(steps)
    groups = [group for group, there in zip(one.groups, known, strict=True) if there]
    found = bootstrap.estimate(mean(steps[known]), int(known.sum()), groups=groups, unit=one.unit)
    return replace(found, n_undefined=int((~known).sum()))
