"""Scores of clips with reference labels, their hierarchical metrics, and sets to tune on.

A "cell" is the result of one prompt level on one evaluation set.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.grouping import rare_label_strata
from audioprobe.metrics.label_metrics import macro, per_label, roc_auc, with_failures
from audioprobe.metrics.threshold import decisions
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean, ratio
from audioprobe.results.targets import targets_of
from audioprobe.types import BoolArray, Estimate, FloatArray


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Scores and reference labels of one cell: one prompt level on one evaluation set.

    Clips without scores or without reference labels are left out.
    """

    cell: ClassificationCell

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the clips."""
        return tuple(name for name in self.cell.result.clip_ids if name in self.cell.result.truth)

    @cached_property
    def targets(self) -> BoolArray:
        """Reference labels, shape (n_clips, n_labels)."""
        return targets_of(self.cell.result.truth, self.ids, self.cell.result.labels)

    @cached_property
    def scores(self) -> FloatArray:
        """Scores, shape (n_clips, n_labels)."""
        scores = self.cell.result.scores
        # Not a copy if every clip has reference labels.
        return scores if len(self.ids) == len(scores) else scores[self.rows(self.ids)]

    @cached_property
    def groups(self) -> list[str]:
        """Group of each clip, such as its recording site; the bootstrap resamples whole groups.

        A clip without a group counts as a group with one clip.
        """
        return self._groups_of(self.ids)

    def _groups_of(self, ids: Sequence[str]) -> list[str]:
        groups = self.cell.groups
        names = {group: f"group {group}" for group in groups.values()}  # clips share them
        return [names[groups[n]] if n in groups else f"clip {n}" for n in ids]

    @property
    def unit(self) -> str:
        """Unit that the bootstrap resamples: "groups", or "clips" if no clip has a group."""
        return "groups" if any(name in self.cell.groups for name in self.ids) else "clips"

    @cached_property
    def strata(self) -> list[Hashable]:
        """Stratum of each clip; the bootstrap resamples groups within each stratum.

        Groups with the same rare labels form a stratum, so that samples contain rare labels.
        """
        return rare_label_strata(self.groups, self.targets)

    def strict_auc(self, bootstrap: Bootstrap) -> Estimate | None:
        """Return the macro AUC if failed clips count as wrong; see `metrics.with_failures`.

        The result is None if no clip is scored, or if no clip with reference labels failed.
        """
        result = self.cell.result
        failed = [f.clip_id for f in result.failures if f.clip_id in result.truth]
        if not failed or not self.ids:
            return None
        failed_targets = targets_of(result.truth, tuple(failed), result.labels)
        targets, scores = with_failures(self.targets, self.scores, failed_targets)
        groups = [*self.groups, *self._groups_of(failed)]
        return bootstrap.estimate(
            macro_roc_auc(targets, scores),
            len(targets),
            groups=groups,
            strata=rare_label_strata(groups, targets),
            present=targets,
            point=macro(per_label(roc_auc, targets, scores)),
            unit=self.unit,
        )

    def aucs_of_repeats(self) -> tuple[float | None, ...]:
        """Return the macro AUC of the result and of each repetition; () without repetitions."""
        repeats = [LabelledScores(replace(self.cell, result=r)) for r in self.cell.repeats]
        return tuple(
            macro(per_label(roc_auc, data.targets, data.scores)).value if data.ids else None
            for data in ([self, *repeats] if repeats else [])
        )

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Return the row of each clip id in the score matrix `cell.result.scores`."""
        row_of = {name: n for n, name in enumerate(self.cell.result.clip_ids)}
        return [row_of[name] for name in ids]


def with_tuning_sets(
    cells: Sequence[ClassificationCell], config: ClassificationConfig
) -> dict[tuple[str, str], tuple[LabelledScores, LabelledScores | None]]:
    """Return the labelled scores of each cell, together with those of its tuning set.

    A cell is the result of one prompt level on one evaluation set. The tuning set is the evaluation
    set that the config names in `thresholds_from`.

    Returns:
        Pairs of labelled scores, keyed by (evaluation set, prompt level). The second element of a
        pair is None if there is no tuning set, or if no clip of it has scores and labels.
    """
    labelled = {(cell.evaluation_set, cell.prompt_level): LabelledScores(cell) for cell in cells}
    sources = {each.name: each.thresholds_from for each in config.evaluation_sets}
    pairs = {}
    for (name, level), data in labelled.items():
        source = labelled.get((sources.get(name, ""), level))
        pairs[name, level] = data, source if source is not None and source.ids else None
    return pairs


def hierarchical_f1(
    data: LabelledScores, thresholds: Sequence[float | None], bootstrap: Bootstrap
) -> Estimate | None:
    """Return F1 over all pairs of clip and label, where labels include their ancestors.

    Args:
        data: scores and reference labels.
        thresholds: threshold of each label; labels without one are left out.
        bootstrap: settings of the interval.

    Returns:
        None if the labels have no hierarchy, or no label has a threshold.
    """
    hierarchy = data.cell.hierarchy
    columns, positive = decisions(data.scores, thresholds)
    if hierarchy is None or not columns:
        return None
    # Ancestors outside the labels of the run get columns, too: they give partial credit.
    labels = [data.cell.result.labels[n] for n in columns]
    others = [label for label in hierarchy.labels if label not in labels]
    empty = np.zeros((len(positive), len(others)), dtype=np.bool_)
    targets, predictions = (
        hierarchy.closed(np.hstack([part, empty]), [*labels, *others])
        for part in (data.targets[:, columns], positive)
    )
    shared = (targets & predictions).sum(axis=1)
    both = targets.sum(axis=1) + predictions.sum(axis=1)
    return bootstrap.estimate(
        ratio(2 * shared, both),
        len(shared),
        groups=data.groups,
        strata=data.strata,
        unit=data.unit,
    )


def hierarchy_distance(data: LabelledScores, bootstrap: Bootstrap) -> Estimate | None:
    """Return the mean number of steps from the best-scored label to the nearest correct label.

    Steps are counted in the label hierarchy. The result is None if the labels have no hierarchy.
    """
    hierarchy = data.cell.hierarchy
    if hierarchy is None:
        return None
    steps = hierarchy.distances_of_best(data.targets, data.scores, data.cell.result.labels)
    defined = ~np.isnan(steps)
    groups = [group for group, keep in zip(data.groups, defined, strict=True) if keep]
    estimate = bootstrap.estimate(
        mean(steps[defined]), int(defined.sum()), groups=groups, unit=data.unit
    )
    return replace(estimate, n_undefined=int((~defined).sum()))
