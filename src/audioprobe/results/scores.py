"""Label scores of clips, the captions they are computed from, and failed clips."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean, optional_import
from audioprobe.io.json_codec import JsonArray
from audioprobe.types import Option

if TYPE_CHECKING:
    import pandas as pd

NOT_SCORED = "not scored (tokens)"
"""Key of a caption's details: the number of its tokens beyond the limit of the scorer."""

Stage: TypeAlias = Literal["read", "caption", "score"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """Scores of clips and labels.

    Attributes:
        clip_ids: of the rows, unique.
        labels: of the columns, unique.
        values: float64, shape (n_clips, n_labels), finite; higher is a better match.
    """

    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    values: JsonArray

    def __post_init__(self) -> None:
        for field_name, names in (("clip_ids", self.clip_ids), ("labels", self.labels)):
            if len(set(names)) < len(names):
                raise InvalidInputError(f"{field_name} must be unique.")
        shape = (len(self.clip_ids), len(self.labels))
        if self.values.shape != shape:
            raise InvalidInputError(f"values need shape {shape}, got {self.values.shape}.")
        if not np.isfinite(self.values).all():
            raise InvalidInputError("Scores must be finite: list clips without them as failures.")

    def best(self, n: int = 1) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return the n best labels of each clip with their scores; ties keep the label order."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :n]
        return tuple(
            tuple((self.labels[k], float(row[k])) for k in ranks)
            for row, ranks in zip(self.values, order, strict=True)
        )

    def of(self, clip_id: str) -> dict[str, float]:
        """Return the scores of a clip by label.

        Raises:
            KeyError: if there is no such clip; suggests a similar one.
        """
        if clip_id not in self.clip_ids:
            raise KeyError(f"{clip_id}: no such clip.{did_you_mean(clip_id, self.clip_ids)}")
        row = self.values[self.clip_ids.index(clip_id)]
        return dict(zip(self.labels, row.tolist(), strict=True))

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per clip and label: columns clip, label and score (extra `data`).

        Raises:
            MissingDependencyError: without pandas.
        """
        n_clips, n_labels = self.values.shape
        frame: pd.DataFrame = optional_import("pandas", "data").DataFrame(
            {
                "clip": np.repeat(np.array(self.clip_ids, dtype=object), n_labels),
                "label": np.tile(np.array(self.labels, dtype=object), n_clips),
                "score": self.values.ravel(),
            }
        )
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A model's caption of one window of a clip.

    Attributes:
        clip_id: id of the clip.
        start: start of the window in the clip, seconds.
        text: the answer, unchanged.
        abstained: True if the model answered that it recognises nothing.
        finish: "length" if the token limit cut the text off.
        details: further facts about the answer, such as "truncated audio (s)": seconds of the
            window beyond the model's input.
    """

    clip_id: str
    start: float
    text: str
    abstained: bool = False
    finish: Literal["stop", "length"] = "stop"
    details: Mapping[str, Option] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip without scores, with the cause.

    Attributes:
        clip_id: id of the clip.
        stage: step that failed: reading the audio, captioning it, or scoring.
        error: class name of the error.
        message: message of the error.
    """

    clip_id: str
    stage: Stage
    error: str
    message: str
