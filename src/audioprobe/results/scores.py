"""Data classes for label scores of clips, captions and failed clips."""

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
"""Key in `Caption.details` for the number of tokens over the limit of the scorer."""

Stage: TypeAlias = Literal["read", "caption", "score"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
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

    def best(self, n: int = 1) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return the n best labels of each clip with their scores; ties are in label order."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :n]
        return tuple(
            tuple((self.labels[k], float(row[k])) for k in ranks)
            for row, ranks in zip(self.values, order, strict=True)
        )

    def of(self, clip_id: str) -> dict[str, float]:
        """Return the scores of a clip by label.

        Raises:
            KeyError: if there is no such clip; the message suggests a similar id.
        """
        if clip_id not in self.clip_ids:
            raise KeyError(f"{clip_id}: no such clip.{did_you_mean(clip_id, self.clip_ids)}")
        row = self.values[self.clip_ids.index(clip_id)]
        return dict(zip(self.labels, row.tolist(), strict=True))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per clip and label: columns clip, label and score.

        Raises:
            MissingDependencyError: if pandas is not installed (extra `data`).
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
        start: start of the window in the clip, in seconds.
        text: the model's response, unchanged.
        abstained: whether the model responded that it recognises nothing.
        finish: "length" if the text was cut off at the token limit.
        details: further information, such as "truncated audio (s)": the seconds of the window that
            exceed the model's maximum input length.
    """

    clip_id: str
    start: float
    text: str
    abstained: bool = False
    finish: Literal["stop", "length"] = "stop"
    details: Mapping[str, Option] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip without scores, and the cause.

    Attributes:
        clip_id: id of the clip.
        stage: step that failed, such as reading the audio, captioning or scoring.
        error: class name of the error.
        message: message of the error.
    """

    clip_id: str
    stage: Stage
    error: str
    message: str
