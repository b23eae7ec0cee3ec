"""Data classes for the label scores, captions and failures of clips."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.json_codec import JsonArray
from audioprobe.results.provenance import Provenance
from audioprobe.types import Clip, FloatArray, Option

MATCH = "match"
"""Name of the measure of scores that compare captions with labels."""

NOT_SCORED = "not scored (tokens)"
"""Key in `Caption.details` for the number of tokens over the limit of the scorer."""

Stage: TypeAlias = Literal["read", "caption", "score"]


def truth_of(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    """Return the reference labels of clips, keyed by clip id; clips without any are left out."""
    return {clip.id: clip.labels for clip in clips if clip.labels is not None}


def groups_of(clips: Iterable[Clip]) -> dict[str, str]:
    """Return the groups (recording sites) keyed by clip id; clips without one are left out."""
    return {clip.id: clip.group for clip in clips if clip.group is not None}


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores(TidyData):
    """Scores of clips and labels.

    Attributes:
        clip_ids: unique clip ids of the rows.
        labels: unique labels of the columns.
        values: finite scores, float64, shape (n_clips, n_labels); higher means a better match.
    """

    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    values: JsonArray

    def __post_init__(self) -> None:
        for field_name, names in (("clip_ids", self.clip_ids), ("labels", self.labels)):
            if len(set(names)) < len(names):
                raise InvalidInputError(f"{field_name} must be unique. Remove duplicates.")
        shape = (len(self.clip_ids), len(self.labels))
        if self.values.shape != shape:
            raise InvalidInputError(f"values need shape {shape}, got {self.values.shape}.")
        if not np.isfinite(self.values).all():
            raise InvalidInputError(
                "Scores must be finite, got NaN or infinity. List clips without scores as failures."
            )

    @classmethod
    def pooled(
        cls,
        windows: Mapping[str, Sequence[FloatArray]],
        labels: tuple[str, ...],
        pooling: Literal["max", "mean"],
    ) -> "LabelScores":
        """Return the maximum or mean over the windows of each clip.

        Args:
            windows: scores of each window, shape (n_labels,), by clip id.
            labels: labels of the columns.
            pooling: "max" or "mean".
        """
        pool = np.max if pooling == "max" else np.mean
        rows = [pool(scores, axis=0) for scores in windows.values()]
        table = np.array(rows, dtype=np.float64).reshape(len(windows), len(labels))
        return cls(tuple(windows), labels, table)

    def best(self, n: int = 1) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return, for each clip, the n labels with the highest scores; ties are in label order.

        Returns:
            One tuple per clip, with pairs of a label and its score.
        """
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :n]
        return tuple(
            tuple((self.labels[k], float(row[k])) for k in ranks)
            for row, ranks in zip(self.values, order, strict=True)
        )

    def of(self, clip_id: str) -> dict[str, float]:
        """Return the scores of a clip, keyed by label.

        Raises:
            KeyError: if there is no such clip; the message suggests a similar id.
        """
        if clip_id not in self.clip_ids:
            near = did_you_mean(clip_id, self.clip_ids) if isinstance(clip_id, str) else ""
            raise KeyError(f"{clip_id}: no such clip; expected the id of a clip.{near}")
        row = self.values[self.clip_ids.index(clip_id)]
        return dict(zip(self.labels, row.tolist(), strict=True))

    def data(self) -> DataTable:
        """Return a table with one row per clip and label: columns clip, label and score."""
        n_clips, n_labels = self.values.shape
        return DataTable(
            {
                "clip": [clip for clip in self.clip_ids for _ in range(n_labels)],
                "label": list(self.labels) * n_clips,
                "score": self.values.ravel().tolist(),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A model's caption of one window of a clip.

    Attributes:
        clip_id: id of the clip.
        start: start of the window in the clip, in seconds.
        text: the model's response, unchanged.
        abstained: whether the model responded that it recognises nothing.
        finish: "length" if the text was cut off at the token limit, otherwise "stop".
        details: further information, such as "truncated audio (s)": the seconds of the window that
            exceed the model's maximum input length.
        sample: number of the sample, from 0, if the window was captioned several times.
    """

    clip_id: str
    start: float
    text: str
    abstained: bool = False
    finish: Literal["stop", "length"] = "stop"
    details: Mapping[str, Option] = field(default_factory=dict, hash=False)
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip without scores, and the cause.

    Attributes:
        clip_id: id of the clip.
        stage: step that failed: reading the audio, captioning or scoring.
        error: class name of the error.
        message: message of the error.
    """

    clip_id: str
    stage: Stage
    error: str
    message: str


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class ScoredClips:
    """Label scores of clips, the captions from which they are computed, and the failed clips.

    This is the content of a `ClassificationResult`, which adds evaluation, display and storage.

    Attributes:
        label_scores: scores with one row per scored clip.
        captions: captions in the order of clips and windows, also of clips whose scoring failed;
            () if labels are scored without captions.
        failures: one failure per requested clip without scores.
        provenance: components, options and versions.
        truth: reference labels by clip id, for clips that have any.
        measure: kind of the scores: "match" (of captions), "total" or "per_token" (log-likelihood),
            "cosine" or "probability".
        alternatives: scores of the same clips and labels by other measures; see `ranked_by`.
        groups: group (site, recorder) by clip id, for clips that have one. Statistics resample
            and permute the clips of a group together.

    Raises:
        InvalidInputError: if the scores in `alternatives` have other clips or labels than
            `label_scores`, or if `alternatives` contains `measure`.
    """

    label_scores: LabelScores
    captions: tuple[Caption, ...]
    failures: tuple[Failure, ...]
    provenance: Provenance
    truth: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measure: str = MATCH
    alternatives: Mapping[str, LabelScores] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, other in self.alternatives.items():
            is_same = (other.clip_ids, other.labels) == (self.clip_ids, self.labels)
            if name == self.measure or not is_same:
                raise InvalidInputError(
                    f"The alternative {name!r} needs the clips and labels of `label_scores`, and "
                    f"a name other than the measure {self.measure!r}."
                )

    @property
    def scores(self) -> FloatArray:
        """Score of each clip and label, shape (n_clips, n_labels); higher means a better match."""
        return self.label_scores.values

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the columns of `scores`."""
        return self.label_scores.labels

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """Ids of the scored clips, in the order of the rows of `scores`."""
        return self.label_scores.clip_ids

    @property
    def measures(self) -> dict[str, LabelScores]:
        """All scores, keyed by measure such as "cosine"; the measure of `scores` is first."""
        return {self.measure: self.label_scores, **self.alternatives}

    def ranked_by(self, measure: str) -> Self:
        """Return a copy of the result whose `scores` are those of another measure.

        Args:
            measure: one of `measures`, such as "cosine" or "probability".

        Raises:
            InvalidInputError: if the result has no such measure.
        """
        others = self.measures
        if measure not in others:
            raise InvalidInputError(
                f"measure must be one of {', '.join(others)} (the measures of this result), "
                f"got {measure!r}."
            )
        options = {**self.provenance.options, "rank_by": measure}
        return replace(
            self,
            label_scores=others.pop(measure),
            provenance=replace(self.provenance, options=options),
            measure=measure,
            alternatives=others,
        )

    @property
    def by_captions(self) -> bool:
        """Whether the scores are computed from captions."""
        return self.measure == MATCH or bool(self.captions)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of clips, keyed by "clips" (all), "scored" and "failed".

        If there are captions, "unrecognised" counts the clips in which nothing was recognised.
        """
        n_scored, n_failed = len(self.clip_ids), len(self.failures)
        counts = {"clips": n_scored + n_failed, "scored": n_scored, "failed": n_failed}
        if self.by_captions:
            counts["unrecognised"] = len(set(self.clip_ids) - self.recognised)
        return counts

    @property
    def recognised(self) -> frozenset[str]:
        """Ids of the clips in which the model recognised something.

        All scored clips if the scores are not computed from captions.
        """
        if not self.by_captions:
            return frozenset(self.clip_ids)
        return frozenset(c.clip_id for c in self.captions if not c.abstained)

    def captions_by_clip(self) -> dict[str, tuple[Caption, ...]]:
        """Return the captions of each clip in window order, keyed by clip id; () for no caption."""
        captions: dict[str, list[Caption]] = {clip_id: [] for clip_id in self.clip_ids}
        captions |= {failure.clip_id: [] for failure in self.failures}
        for caption in self.captions:
            captions[caption.clip_id].append(caption)
        return {clip_id: tuple(windows) for clip_id, windows in captions.items()}
