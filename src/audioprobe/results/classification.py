"""The result of classifying clips: shown, evaluated, written, read back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audioprobe.errors import InvalidInputError, located
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.text_table import Table, text_width
from audioprobe.metrics import Bootstrap, ThresholdPolicy
from audioprobe.results.display import Displayed
from audioprobe.results.evaluation import Evaluation, evaluate, refuse_unknown_labels, targets_of
from audioprobe.results.provenance import Provenance
from audioprobe.results.scores import Caption, Failure, LabelScores
from audioprobe.results.tables import clip_table, failure_table, score_table, summary_sentence
from audioprobe.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

RESULT, SCORES = "result.json", "scores.csv"  # what `save` writes

MATCH = "match"
"""The measure of results that go by captions: a scorer's match of caption and label."""

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassificationResult(Displayed):
    """Label scores of clips, the captions they rest on if any, and what failed.

    Attributes:
        label_scores: one row per clip that was scored.
        captions: in the order of clips and windows, those of clips whose scoring failed included;
            () where labels are scored without captions.
        failures: one per clip that was asked for and has no scores.
        provenance: what made this.
        truth: labels by clip id, where the clips came with labels.
        measure: what the scores are: "match" (of captions), "total" or "per_token" log-likelihood,
            "cosine" or "probability".
        alternatives: the same clips and labels by other measures; `ranked_by` swaps them.
        groups: site, recorder or source by clip id, of the clips that have one: clips of a group
            are resampled and exchanged together.

    Raises:
        InvalidInputError: if an alternative has other clips or labels, or the measure's name.
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
            same = (other.clip_ids, other.labels) == (self.clip_ids, self.labels)
            if name == self.measure or not same:
                raise InvalidInputError(
                    f"The alternative {name!r} needs a name of its own and the clips and labels of "
                    f"the scores by {self.measure!r}."
                )

    @property
    def scores(self) -> FloatArray:
        """Shape (n_clips, n_labels), higher is a better match; rows are `clip_ids`."""
        return self.label_scores.values

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of `scores`."""
        return self.label_scores.labels

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """Names of the rows of `scores`."""
        return self.label_scores.clip_ids

    @property
    def measures(self) -> dict[str, LabelScores]:
        """The scores by every measure that was taken, the chosen one first."""
        return {self.measure: self.label_scores, **self.alternatives}

    def ranked_by(self, measure: str) -> "ClassificationResult":
        """The same result with another of its measures as `scores`; nothing is computed.

        Args:
            measure: one of `measures`.

        Raises:
            InvalidInputError: if it has no such measure.
        """
        others = self.measures
        if measure not in others:
            raise InvalidInputError(
                f"measure must be one of {', '.join(others)}, which this result has, "
                f"got {measure!r}."
            )
        chosen = others.pop(measure)
        options = {**self.provenance.options, "rank_by": measure}
        return replace(
            self,
            label_scores=chosen,
            provenance=replace(self.provenance, options=options),
            measure=measure,
            alternatives=others,
        )

    @property
    def by_captions(self) -> bool:
        """Whether captions came between sound and scores, and can be shown."""
        return self.measure == MATCH or bool(self.captions)

    @property
    def counts(self) -> dict[str, int]:
        """Clips asked for, scored, failed; and scored ones in which nothing was recognised.

        The last is known, and told, only where the model said so in captions.
        """
        n_scored, n_failed = len(self.clip_ids), len(self.failures)
        counts = {"clips": n_scored + n_failed, "scored": n_scored, "failed": n_failed}
        silent = {"unrecognised": len(set(self.clip_ids) - self.recognised)}
        return counts | (silent if self.by_captions else {})

    @property
    def recognised(self) -> frozenset[str]:
        """Ids of the clips in some window of which the model recognised something.

        Without captions, nobody said of any clip that nothing is recognised: all are here.
        """
        if not self.by_captions:
            return frozenset(self.clip_ids)
        return frozenset(c.clip_id for c in self.captions if not c.abstained)

    def captions_by_clip(self) -> dict[str, tuple[Caption, ...]]:
        """The captions of each clip, by window; () for a clip that was never captioned."""
        grouped: dict[str, list[Caption]] = {clip_id: [] for clip_id in self.clip_ids}
        grouped |= {failure.clip_id: [] for failure in self.failures}
        for caption in self.captions:
            grouped[caption.clip_id].append(caption)
        return {clip_id: tuple(captions) for clip_id, captions in grouped.items()}

    def evaluate(
        self,
        targets: BoolArray | Mapping[str, tuple[str, ...]] | None = None,
        *,
        threshold: ThresholdPolicy | None = None,
        bootstrap: Bootstrap | None = _BOOTSTRAP,
    ) -> Evaluation:
        """Compare the scores with what annotators heard.

        Intervals resample the groups of the clips; a clip without a group is its own.

        Args:
            targets: labels by clip id, or a matrix of shape (n_clips, n_labels) with the rows of
                `clip_ids`; None takes the labels that came with the clips.
            threshold: how F1 decides; None leaves F1 out.
            bootstrap: how intervals of macro means are computed; None computes none.

        Raises:
            InvalidInputError: if targets are missing for a scored clip, or of another shape, or
                have none of the labels, or one in another spelling.
        """
        chosen = self.truth if targets is None else targets
        if isinstance(chosen, Mapping):
            known, chosen = chosen, targets_of(chosen, self.clip_ids, self.labels)
            refuse_unknown_labels(chosen, known.values(), self.labels)
        return evaluate(
            self.scores,
            np.asarray(chosen),
            self.labels,
            n_failed=len(self.failures),
            threshold=threshold,
            bootstrap=bootstrap,
            groups=[self.groups.get(name) for name in self.clip_ids] if self.groups else None,
        )

    def table(self) -> Table:
        """One row per scored clip: caption if any, best labels, their scores.

        Where nothing was recognised no label is shown, for the scores are those of the words that
        say so; `scores` has them all the same.
        """
        return clip_table(self)

    def failure_table(self) -> Table:
        """One row per clip without scores."""
        return failure_table(self)

    def summary(self) -> str:
        """What was scored, what was not, how windows were pooled."""
        return summary_sentence(self)

    def __str__(self) -> str:
        return self.to_text()

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """The tables of clips and of failures, and the summary."""
        return (self.table(), self.failure_table()), (self.summary(),)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.clip_ids)

    def __getitem__(self, clip_id: str) -> dict[str, float]:
        """The scores of a clip, by label.

        Raises:
            KeyError: if the clip has no scores; says why, where it failed.
        """
        for failure in self.failures:
            if failure.clip_id == clip_id:
                raise KeyError(f"{clip_id}: failed ({failure.message})")
        return self.label_scores.of(clip_id)

    def to_pandas(self) -> "pd.DataFrame":
        """A row per scored clip and label: see `LabelScores.to_pandas`."""
        return self.label_scores.to_pandas()

    def to_text(self, width: int = 0, most: int = 50) -> str:
        """For a terminal: the table, the failures if any, and a summary.

        Args:
            width: columns; 0 takes those of the terminal, or of the variable COLUMNS.
            most: rows of either table; a last line tells how many more there are.
        """
        width = width or text_width()
        parts = [self.table().to_text(width, most)] if self.clip_ids else []
        parts += [self.failure_table().to_text(width, most)] if self.failures else []
        return "\n\n".join([*parts, self.summary()])

    def to_csv(self) -> str:
        """One row per clip that was asked for; a failed one has its cause instead of scores.

        What a model told beside its captions, such as how much it did not hear, is in "details".
        Columns of alternatives follow those of the chosen measure and have its name in brackets.
        """
        return score_table(self).to_csv()

    def to_json(self) -> str:
        """Everything, exactly; `from_json` reads it back."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> "ClassificationResult":
        """The result that `to_json` wrote.

        Raises:
            InvalidInputError: if the text is not one.
        """
        return from_json(cls, text)

    @classmethod
    def load(cls, path: str | Path) -> "ClassificationResult":
        """The result that `save` wrote.

        Args:
            path: the folder, or its `result.json`.

        Raises:
            InvalidInputError: if there is none, or it is not one.
        """
        file = Path(path) / RESULT if Path(path).is_dir() else Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{file}: not a readable result ({error}).") from error
        with located(str(file)):
            return cls.from_json(text)

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `result.json` and `scores.csv` into a folder, which is made if need be.

        Each file is complete or absent: it is written under another name and then renamed.

        Returns:
            The two paths.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        written = []
        for name, text in ((RESULT, self.to_json()), (SCORES, self.to_csv())):
            written.append(atomic_write(target / name, text))
        return written[0], written[1]
