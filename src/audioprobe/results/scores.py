"""Label scores of clips, the captions they rest on, and clips that have none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean, needs_extra
from audioprobe.io.json_codec import JsonArray
from audioprobe.types import Option

if TYPE_CHECKING:
    import pandas as pd

NOT_SCORED = "not scored (tokens)"
"""Key of a caption's details: how many of its tokens the scorer does not read."""

Stage: TypeAlias = Literal["read", "caption", "score"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """How well each label fits each clip.

    Attributes:
        clip_ids: the rows, unique.
        labels: the columns, unique.
        values: float64, shape (n_clips, n_labels), finite; higher is a better match.
    """

    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    values: JsonArray

    def __post_init__(self) -> None:
        for what, names in (("clip_ids", self.clip_ids), ("labels", self.labels)):
            if len(set(names)) < len(names):
                raise InvalidInputError(f"{what} must be unique.")
        shape = (len(self.clip_ids), len(self.labels))
        if self.values.shape != shape:
            raise InvalidInputError(f"values need shape {shape}, got {self.values.shape}.")
        if not np.isfinite(self.values).all():
            raise InvalidInputError("Scores must be finite: list what has none as a failure.")

    def best(self, n: int = 1) -> tuple[tuple[tuple[str, float], ...], ...]:
        """For each clip its n best labels with their scores; ties keep the labels' order."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :n]
        return tuple(
            tuple((self.labels[k], float(row[k])) for k in ranks)
            for row, ranks in zip(self.values, order, strict=True)
        )

    def of(self, clip_id: str) -> dict[str, float]:
        """The scores of a clip, by label.

        Raises:
            KeyError: if there is no such clip; says which one is near.
        """
        if clip_id not in self.clip_ids:
            raise KeyError(f"{clip_id}: no such clip.{did_you_mean(clip_id, self.clip_ids)}")
        row = self.values[self.clip_ids.index(clip_id)]
        return dict(zip(self.labels, row.tolist(), strict=True))

    def to_pandas(self) -> "pd.DataFrame":
        """A row per clip and label, with the columns clip, label and score (extra `data`).

        Raises:
            MissingDependencyError: without pandas.
        """
        with needs_extra("data"):
            import pandas as pd  # noqa: PLC0415 - an extra

        n_clips, n_labels = self.values.shape
        return pd.DataFrame(
            {
                "clip": np.repeat(np.array(self.clip_ids, dtype=object), n_labels),
                "label": np.tile(np.array(self.labels, dtype=object), n_clips),
                "score": self.values.ravel(),
            }
        )


@dataclass(frozen=True, slots=True)
class Caption:
    """What a model said of a window of a clip.

    Attributes:
        clip_id: the clip.
        start: where the window begins in the clip, seconds.
        text: the answer as it came.
        abstained: True where the model itself said that it recognises nothing.
        finish: "length" where the token limit cut the text off.
        details: further facts about the response, such as "truncated audio (s)": seconds of the
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
    """A clip without scores, and why.

    Attributes:
        clip_id: the clip.
        stage: where it failed: reading the sound, captioning it, or scoring caption or sound.
        error: class of the error, or "EmptyCaptionError".
        message: what was expected, what came, what to do.
    """

    clip_id: str
    stage: Stage
    error: str
    message: str
