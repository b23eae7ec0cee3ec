"""Outcome of a probe: all questions with the model's answers, and their analyses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from audioprobe.io.atomic import atomic_write
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.json_codec import from_json, read_json, to_json
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.plots.forest_plot import draw_kind
from audioprobe.probing.analyses import ProbeAnalyses
from audioprobe.probing.answers.judging import Agreement, agreement
from audioprobe.probing.clips import ProbeClip
from audioprobe.probing.measures import measures_table
from audioprobe.probing.modality_gap import recognition_by_clip
from audioprobe.probing.scores import HEADER, SHORT_HEADER, Score, score
from audioprobe.probing.trial import AnswerReading, Trial, check_known
from audioprobe.probing.trial_data import trial_data
from audioprobe.results.provenance import Provenance
from audioprobe.training_data import training_notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PlotKind = Literal["conditions", "text-audio", "hypernyms", "audio-use"]

OUTCOME = "outcome.json"  # name of the file that `save` writes

DIMENSIONS = (
    "condition",
    "relation",
    "level",
    "concept",
    "target",
    "negatives",
    "form",
    "wording",
    "order",
    "familiar",
    "recognised",
)
"""Properties by which trials are selected and grouped; see `ProbeOutcome.by`."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProbeOutcome(ProbeAnalyses, TidyData, Displayed):
    """The trials of a probe (questions with the model's answers) and their provenance.

    In the methods, `reading` is how an answer is turned into an option (see `AnswerReading`); None
    means the default, the property `reading`.

    Attributes:
        trials: all trials.
        clips: clips that questions are about, keyed by clip id.
        captions: the model's captions for the condition "caption", keyed by clip id.
        familiar: ids of concepts whose sounds the model was trained on; if there are any, all
            other concepts count as unfamiliar.
        unmatched: true pairs of concept and target that were not asked because no false pair
            exists, as (concept, target, negatives).
        unassigned: labels or file names of the clips that belong to no concept or to several, keyed
            by clip id.
        without_clips: ids of concepts without clips.
        n_calls: number of prompts by stage (captions, answers, likelihoods).
        bootstrap: how confidence intervals are computed; concepts are resampled.
        provenance: components, options, seed and versions; `provenance.data` is a hash of the
            questions and sounds, to detect changes.
        seconds_cut: unused duration at the end of each clip in seconds, keyed by clip id.
        unused_clips: reason why no question is about a clip, keyed by clip id.
    """

    trials: tuple[Trial, ...]
    clips: Mapping[str, ProbeClip]
    captions: Mapping[str, str]
    familiar: tuple[str, ...]
    unmatched: tuple[tuple[str, str, str], ...]
    unassigned: Mapping[str, str]
    without_clips: tuple[str, ...]
    n_calls: Mapping[str, int]
    bootstrap: Bootstrap
    provenance: Provenance
    seconds_cut: Mapping[str, float] = field(default_factory=dict)
    unused_clips: Mapping[str, str] = field(default_factory=dict)

    def where(self, reading: AnswerReading | None = None, **values: object) -> tuple[Trial, ...]:
        """Return the trials with the given properties, as in `where(condition="audio")`.

        Args:
            reading: how answers are turned into options; it matters only if "recognised" is among
                the properties.
            values: value of each property; see `by` for the names of the properties.

        Raises:
            InvalidInputError: for an unknown property.
        """
        check_known("dimension", list(values), DIMENSIONS)
        selected = self._with_values(tuple(values), reading or self.reading)
        return tuple(trial for trial, key in selected if key == tuple(values.values()))

    def subset(self, reading: AnswerReading | None = None, **values: object) -> "ProbeOutcome":
        """Return the outcome with only the trials that `where` returns.

        All analyses can be applied to it, as in `subset(relation="hypernym").audio_use()`.
        """
        return replace(self, trials=self.where(reading, **values))

    def score(self, reading: AnswerReading | None = None, **values: object) -> Score:
        """Return accuracy, yes-rate, d' and criterion of the trials that `where` returns."""
        chosen = reading or self.reading
        return score(self.where(chosen, **values), chosen, self.bootstrap)

    def by(
        self, *dimensions: str, reading: AnswerReading | None = None, **values: object
    ) -> dict[tuple[object, ...], Score]:
        """Return a score for each combination of properties, in the order of the trials.

        Args:
            dimensions: properties by which trials are grouped: "condition", "relation", "level",
                "concept", "target", "negatives", "form", "wording", "order", "familiar" (whether
                the concept is in `familiar`) or "recognised" (whether the model recognised the
                concept of the clip).
            reading: how answers are turned into options.
            values: only trials with these properties are used; see `where`.

        Raises:
            InvalidInputError: for an unknown property.
        """
        check_known("dimension", [*dimensions, *values], DIMENSIONS)
        chosen = reading or self.reading
        groups: dict[tuple[object, ...], list[Trial]] = {}
        n = len(dimensions)
        for trial, key in self._with_values((*dimensions, *values), chosen):
            if key[n:] == tuple(values.values()):
                groups.setdefault(key[:n], []).append(trial)
        return {key: score(group, chosen, self.bootstrap) for key, group in groups.items()}

    def judge_agreement(self) -> Agreement | None:
        """Return the agreement of the judge with the parser; None if there was no judge."""
        if "judge" not in self.provenance.components:
            return None
        return agreement(self.trials)

    def table(
        self, *dimensions: str, reading: AnswerReading | None = None, **values: object
    ) -> Table:
        """Return the scores of `by` as a table; by default for condition, relation and form."""
        columns = dimensions or ("condition", "relation", "form")
        scores = self.by(*columns, reading=reading, **values)
        rows = tuple((*map(_cell, key), *value.cells()) for key, value in scores.items())
        n = len(columns)
        return Table((*columns, *HEADER), rows, numeric=tuple(range(n, n + len(HEADER))))

    def measures(self, reading: AnswerReading | None = None) -> Table:
        """Return audio use, consistency, stability and agreement as a table with chance levels.

        A measure has a row if there are trials under the conditions that it needs.
        """
        return measures_table(self, reading or self.reading)

    def plot(self, kind: PlotKind = "conditions", *, axes: "Axes | None" = None) -> "Axes":
        """Draw the accuracy of yes/no questions, or the audio use; return the matplotlib axes.

        Args:
            kind: "conditions" is the accuracy by relation and condition, "text-audio" that of each
                concept in text against that about audio, and "hypernyms" that by the number of
                steps from the concept to the class; "audio-use" has text prior and audio reliance.
            axes: axes to draw on; None makes a new figure.

        Raises:
            InvalidInputError: if the kind is unknown, or no such question was asked.
            MissingDependencyError: if matplotlib (extra `report`) is not installed.
        """
        check_known("plot", [kind], get_args(PlotKind))
        return draw_kind("audioprobe.probing.plotting", kind, self, axes)

    def data(self) -> DataTable:
        """Return a table with one row per trial: pair, question, answer and its reading."""
        return trial_data(self.trials, self.reading)

    def __str__(self) -> str:
        tables, sentences = self.displayed()
        texts = [text for table in tables if table.rows for text in (table.to_text(), "")]
        return "\n".join([*texts, *sentences])

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables and the sentences that notebooks and terminals show for this object."""
        diagnosis = self.diagnosis()
        table = self.table().only(("condition", "relation", "form", *SHORT_HEADER))
        sentence = f"{diagnosis.name} ({diagnosis.evidence})"
        return (table, self.measures()), (str(self.modality_gap()), sentence, *self.notes())

    def notes(self) -> list[str]:
        """Return sentences on training clips, unused audio and the agreement of the judge."""
        n_clips = len(self.clips)
        notes = training_notes(self.provenance.training_clips, n_clips)
        if self.seconds_cut:
            notes.append(
                f"{len(self.seconds_cut)} of {n_clips} clips were not played to their end "
                f"({sum(self.seconds_cut.values()):.1f} s in all)"
            )
        if self.unused_clips:
            notes.append(f"{len(self.unused_clips)} clips have no question")
        judge_agreement = self.judge_agreement()
        return notes if judge_agreement is None else [*notes, str(judge_agreement)]

    def to_json(self) -> str:
        """Return the outcome as JSON, which `from_json` reads."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> "ProbeOutcome":
        """Read an outcome from the JSON that `to_json` returned.

        Raises:
            InvalidInputError: if the text is not the JSON of an outcome.
        """
        return from_json(cls, text)

    @classmethod
    def load(cls, path: str | Path) -> "ProbeOutcome":
        """Read an outcome that `save` wrote.

        Args:
            path: the folder, or its `outcome.json`.

        Raises:
            InvalidInputError: if the file does not exist or is invalid.
        """
        return read_json(cls, path, OUTCOME)

    def save(self, folder: str | Path) -> Path:
        """Write `outcome.json` into a folder, which is created if necessary; return its path."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        return atomic_write(Path(folder) / OUTCOME, self.to_json())

    def _with_values(
        self, dimensions: tuple[str, ...], reading: AnswerReading
    ) -> list[tuple[Trial, tuple[object, ...]]]:
        """Return each trial with its values of the given properties (such as "condition")."""
        recognised: Mapping[str, bool] = {}
        if "recognised" in dimensions:
            recognised = recognition_by_clip(self.trials, reading)
        familiar = frozenset(self.familiar)

        def value(trial: Trial, name: str) -> object:
            question = trial.question
            if name in ("condition", "form", "wording", "order"):
                return getattr(question, name)
            if name == "familiar":
                return question.pair.concept in familiar if familiar else None
            if name == "recognised":
                return recognised.get(question.clip)
            return getattr(question.pair, name)

        return [(trial, tuple(value(trial, name) for name in dimensions)) for trial in self.trials]


def _cell(value: object) -> str:
    if value is None:
        return "unknown"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
