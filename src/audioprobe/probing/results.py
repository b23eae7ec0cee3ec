"""Outcome of a probe: all trials (questions with the model's answers) and their analyses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.answers.judging import Agreement, agreement
from audioprobe.probing.consistency import (
    Consistency,
    HypernymChain,
    consistency,
    hypernym_chains,
)
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.modality_gap import ModalityGap, modality_gap, recognition_by_clip
from audioprobe.probing.scores import HEADER, SHORT_HEADER, Score, score
from audioprobe.probing.trial import CONDITIONS, AnswerReading, Condition, Trial
from audioprobe.results.provenance import Provenance
from audioprobe.training_data import training_notes

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
"""Dimensions by which trials are selected and grouped."""


@dataclass(frozen=True, slots=True)
class ProbeClip:
    """Location of a clip's audio.

    Attributes:
        concept: id of the concept that the clip belongs to.
        path: path of the file; "" for a waveform in memory.
        start: start of the clip in the file, in seconds.
        duration: duration in seconds; None if the clip ends with the file.
    """

    concept: str
    path: str
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProbeOutcome(Displayed):
    """The trials of a probe with their provenance.

    Attributes:
        trials: all trials.
        clips: clips that were used, by id.
        captions: captions by clip id, if any condition needed captions.
        familiar: ids of concepts whose sounds the model was trained on; if any is given, all
            other concepts count as unfamiliar.
        unmatched: true pairs that were not asked because they have no matched false pair, as
            (concept, target, negatives).
        unassigned: clips whose labels or file name match no concept or several: the names that
            were found, by clip id.
        without_clips: ids of concepts without clips.
        n_calls: number of prompts by stage (captions, responses, likelihoods).
        bootstrap: how confidence intervals are computed; concepts are resampled.
        provenance: components, options, seed and versions; `provenance.data` is the digest of
            questions and sounds.
        seconds_cut: seconds of each clip that the model did not use, by clip id: after the first
            10 s, or truncated by the model.
        unused_clips: reason by id, for clips without a question.
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

    @property
    def reading(self) -> AnswerReading:
        """Default reading of the answers: "likelihood" if available, otherwise "free-text"."""
        decided = any(trial.choice("likelihood") is not None for trial in self.trials)
        return "likelihood" if decided else "free-text"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that occur in the trials."""
        present = {trial.question.condition for trial in self.trials}
        return tuple(condition for condition in CONDITIONS if condition in present)

    def where(self, reading: AnswerReading | None = None, **values: object) -> tuple[Trial, ...]:
        """Return the trials that have the given values, as in `where(condition="audio")`.

        Args:
            reading: how an answer is turned into an option, which matters for the dimension
                "recognised"; None uses `self.reading`.
            values: value of each dimension; see `by` for the dimensions.

        Raises:
            InvalidInputError: for an unknown dimension.
        """
        _check_dimensions(values)
        selected = self._with_values(tuple(values), reading or self.reading)
        return tuple(trial for trial, key in selected if key == tuple(values.values()))

    def score(self, reading: AnswerReading | None = None, **values: object) -> Score:
        """Return accuracy, yes-rate, d' and criterion of the trials that `where` returns.

        Raises:
            InvalidInputError: for an unknown dimension.
        """
        chosen = reading or self.reading
        return score(self.where(chosen, **values), chosen, self.bootstrap)

    def by(
        self, *dimensions: str, reading: AnswerReading | None = None, **values: object
    ) -> dict[tuple[object, ...], Score]:
        """Return scores for each combination of values, in the order of the trials.

        Args:
            dimensions: "condition", "relation", "level", "concept", "target", "negatives", "form",
                "wording", "order", "familiar" or "recognised".
            reading: how an answer is turned into an option; None uses `self.reading`.
            values: select the trials with these values; see `where`.

        Raises:
            InvalidInputError: for an unknown dimension.
        """
        _check_dimensions([*dimensions, *values])
        chosen = reading or self.reading
        groups: dict[tuple[object, ...], list[Trial]] = {}
        n = len(dimensions)
        for trial, key in self._with_values((*dimensions, *values), chosen):
            if key[n:] == tuple(values.values()):
                groups.setdefault(key[:n], []).append(trial)
        return {key: score(group, chosen, self.bootstrap) for key, group in groups.items()}

    def modality_gap(
        self,
        reading: AnswerReading | None = None,
        *,
        first: Condition = "text",
        second: Condition = "audio",
    ) -> ModalityGap:
        """Return text accuracy minus audio accuracy on the same questions."""
        chosen = reading or self.reading
        return modality_gap(self.trials, chosen, self.bootstrap, first=first, second=second)

    def audio_reliance(self, reading: AnswerReading | None = None) -> ModalityGap:
        """Return accuracy with the clip minus accuracy with a clip of another concept."""
        return self.modality_gap(reading, first="audio", second="wrong clip")

    def given_recognised(self, reading: AnswerReading | None = None) -> Score:
        """Return the score of audio questions about clips whose concept was recognised.

        Identity questions are left out. If this score is high but the accuracy over all clips is
        low, the model fails at perception. If this score is low, the model does not apply its
        knowledge to audio.
        """
        chosen = reading or self.reading
        trials = self.where(chosen, condition="audio", recognised=True)
        others = [trial for trial in trials if trial.question.pair.relation != "identity"]
        return score(others, chosen, self.bootstrap)

    def hypernym_chains(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> tuple[HypernymChain, ...]:
        """Return the share of "yes" at each level of the hypernym chain of each concept."""
        return hypernym_chains(self.trials, reading or self.reading, condition)

    def consistency(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> Consistency:
        """Return the agreement of the answers to paraphrases."""
        chosen = reading or self.reading
        return consistency(self.where(chosen, condition=condition), chosen, self.bootstrap)

    def diagnosis(self, reading: AnswerReading | None = None) -> Diagnosis:
        """Return the diagnosis of the model, if the confidence intervals support one."""
        return diagnose(self.trials, reading or self.reading, self.bootstrap)

    def judge_agreement(self) -> Agreement | None:
        """Return the agreement of the judge with the parser; None if there was no judge."""
        if "judge" not in self.provenance.components:
            return None
        return agreement(self.trials)

    def table(
        self, *dimensions: str, reading: AnswerReading | None = None, **values: object
    ) -> Table:
        """Return the scores of `by` as a table; by default by condition, relation and form."""
        columns = dimensions or ("condition", "relation", "form")
        scores = self.by(*columns, reading=reading, **values)
        rows = tuple((*map(_cell, key), *value.cells()) for key, value in scores.items())
        n = len(columns)
        return Table((*columns, *HEADER), rows, numeric=tuple(range(n, n + len(HEADER))))

    def __str__(self) -> str:
        (table,), sentences = self.displayed()
        return "\n".join([table.to_text(), "", *sentences])

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table of accuracies, and the sentences to show below it."""
        diagnosis = self.diagnosis()
        table = self.table().only(("condition", "relation", "form", *SHORT_HEADER))
        sentence = f"{diagnosis.name} ({diagnosis.evidence})"
        return (table,), (str(self.modality_gap()), sentence, *self.notes())

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

    def _with_values(
        self, dimensions: tuple[str, ...], reading: AnswerReading
    ) -> list[tuple[Trial, tuple[object, ...]]]:
        """Return each trial with its values of the given dimensions."""
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


def _check_dimensions(names: Iterable[str]) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise InvalidInputError(
                f"Expected a dimension ({', '.join(DIMENSIONS)}), got {name!r}."
                f"{did_you_mean(name, DIMENSIONS)}"
            )


def _cell(value: object) -> str:
    if value is None:
        return "unknown"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
