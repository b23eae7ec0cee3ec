"""What a probe found: every trial, and whatever can be computed from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.answers.judging import Agreement, agreement
from audioprobe.probing.consistency import Consistency, consistency
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.hypernym_chain import HypernymChain, hypernym_chains
from audioprobe.probing.modality_gap import ModalityGap, modality_gap, recognised
from audioprobe.probing.questions import CONDITIONS, Condition
from audioprobe.probing.scores import BRIEF, HEADER, Score, score, table_cells
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.results.display import Displayed
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
"""What trials differ by."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sound of a clip is.

    Attributes:
        concept: id of the concept that is heard.
        path: of the file; "" for a sound that was in memory.
        start: seconds.
        duration: seconds; None to the end.
    """

    concept: str
    path: str
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ProbeOutcome(Displayed):
    """The trials of a probe, with where they come from.

    Attributes:
        trials: all of them.
        clips: that were played, by id.
        captions: of clips, where they were asked for.
        familiar: ids of concepts that the model learned from such sound; others count as
            unfamiliar where any is named.
        unmatched: right pairs that found no wrong one and were not asked: concept, target, and how
            wrong ones were to be drawn.
        unsorted: clips that name no concept, or several, with what they name.
        silent: concepts without clips.
        n_calls: prompts given to the model, by what was asked.
        bootstrap: how intervals are computed: concepts are resampled.
        provenance: components, options, seed, versions; its `data` is over questions and sounds.
        cut: seconds of clips that were not heard, by id: what lies behind the first 10 s, and what
            the model said that it left out.
        unasked: clips that no question is about, by id, with the reason.
    """

    trials: tuple[Trial, ...]
    clips: Mapping[str, Place]
    captions: Mapping[str, str]
    familiar: tuple[str, ...]
    unmatched: tuple[tuple[str, str, str], ...]
    unsorted: Mapping[str, str]
    silent: tuple[str, ...]
    n_calls: Mapping[str, int]
    bootstrap: Bootstrap
    provenance: Provenance
    cut: Mapping[str, float] = field(default_factory=dict)
    unasked: Mapping[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> AnswerReading:
        """How answers are read unless one says otherwise: by likelihood, where one decides."""
        decided = any(trial.chosen("likelihood") is not None for trial in self.trials)
        return "likelihood" if decided else "text"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those that were asked under."""
        there = {trial.question.condition for trial in self.trials}
        return tuple(condition for condition in CONDITIONS if condition in there)

    def where(self, reading: AnswerReading | None = None, **wanted: object) -> tuple[Trial, ...]:
        """The trials that have certain values, such as `condition="audio", relation="hypernym"`.

        Raises:
            InvalidInputError: for an unknown dimension.
        """
        _check(wanted)
        return self._where(self._values(reading or self.reading), wanted)

    def score(self, reading: AnswerReading | None = None, **wanted: object) -> Score:
        """Accuracy, yes-rate, d' and criterion of the trials that have certain values; see `where`.

        Raises:
            InvalidInputError: for an unknown dimension.
        """
        chosen = reading or self.reading
        return score(self.where(chosen, **wanted), chosen, self.bootstrap)

    def by(
        self, *names: str, reading: AnswerReading | None = None, **wanted: object
    ) -> dict[tuple[object, ...], Score]:
        """Scores for each combination of values, in order of appearance.

        Args:
            names: "condition", "relation", "level", "concept", "target", "negatives", "form",
                "wording", "order", "familiar" or "recognised".
            reading: how answers are read; None takes `reading`.
            wanted: only trials that have these values; see `where`.

        Raises:
            InvalidInputError: for an unknown name.
        """
        _check([*names, *wanted])
        chosen = reading or self.reading
        values = self._values(chosen)
        parts: dict[tuple[object, ...], list[Trial]] = {}
        for trial in self._where(values, wanted):
            parts.setdefault(tuple(values(trial, name) for name in names), []).append(trial)
        return {key: score(part, chosen, self.bootstrap) for key, part in parts.items()}

    def modality_gap(
        self,
        reading: AnswerReading | None = None,
        *,
        first: Condition = "text",
        second: Condition = "audio",
    ) -> ModalityGap:
        """Text accuracy minus audio accuracy over the same questions."""
        return modality_gap(
            self.trials, reading or self.reading, self.bootstrap, first=first, second=second
        )

    def audio_reliance(self, reading: AnswerReading | None = None) -> ModalityGap:
        """Accuracy with the clip minus accuracy with a clip of another concept."""
        return self.modality_gap(reading, first="audio", second="wrong clip")

    def given_recognised(self, reading: AnswerReading | None = None) -> Score:
        """Classes and names in sound, of the clips whose concept was recognised.

        Where this is high and the accuracy over all clips is not, perception fails; where this is
        low, what is heard does not reach what is known.
        """
        chosen = reading or self.reading
        trials = [
            trial
            for trial in self.where(chosen, condition="audio", recognised=True)
            if trial.question.pair.relation != "identity"
        ]
        return score(trials, chosen, self.bootstrap)

    def hypernym_chains(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> tuple[HypernymChain, ...]:
        """How far up a model follows, concept by concept."""
        return hypernym_chains(self.trials, reading or self.reading, condition)

    def consistency(
        self, condition: Condition = "audio", reading: AnswerReading | None = None
    ) -> Consistency:
        """How alike the answers to paraphrases are."""
        chosen = reading or self.reading
        return consistency(self.where(chosen, condition=condition), chosen, self.bootstrap)

    def diagnosis(self, reading: AnswerReading | None = None) -> Diagnosis:
        """Which kind of listener this is, as far as intervals allow a name."""
        return diagnose(self.trials, reading or self.reading, self.bootstrap)

    def table(self, *names: str, reading: AnswerReading | None = None, **wanted: object) -> Table:
        """`by` as a table; without names, a row per condition, relation and form."""
        columns = names or ("condition", "relation", "form")
        rows = tuple(
            (*(_told(value) for value in key), *table_cells(found))
            for key, found in self.by(*columns, reading=reading, **wanted).items()
        )
        n = len(columns)
        return Table((*columns, *HEADER), rows, numeric=tuple(range(n, n + len(HEADER))))

    def __str__(self) -> str:
        (table,), sentences = self.displayed()
        return "\n".join([table.to_text(), "", *sentences])

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Accuracies, the gap between text and audio, the diagnosis, and notes."""
        found = self.diagnosis()
        table = self.table().only(("condition", "relation", "form", *BRIEF))
        diagnosis = f"{found.name} ({found.grounds})"
        return (table,), (str(self.modality_gap()), diagnosis, *self.notes())

    def notes(self) -> list[str]:
        """What a reader of the numbers should know of the clips, a sentence each."""
        n_clips = len(self.clips)
        found = training_notes(self.provenance.training_clips, n_clips)
        if self.cut:
            found.append(
                f"{len(self.cut)} of {n_clips} clips were not heard to their end "
                f"({sum(self.cut.values()):.1f} s in all)"
            )
        if self.unasked:
            found.append(f"{len(self.unasked)} clips were not asked about")
        if (judged := self.judge_agreement()) is not None:
            found.append(str(judged))
        return found

    def judge_agreement(self) -> Agreement | None:
        """How far a judge reads the free answers as the rules do; None without a judge."""
        if "judge" not in self.provenance.components:
            return None
        both = [(trial.read, trial.judged) for trial in self.trials if trial.judged is not None]
        return agreement([read for read, _ in both], [judged for _, judged in both])

    def to_json(self) -> str:
        """Everything, to be read by `from_json`."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> "ProbeOutcome":
        """An outcome that `to_json` has written.

        Raises:
            InvalidInputError: if it is none.
        """
        return from_json(cls, text)

    def to_html(self, path: str | Path, *, embed: bool = False) -> Path:
        """A page to look at and to listen to, in one file; sounds are linked to (extra `report`).

        Args:
            path: of the page.
            embed: put the sounds into it, instead of links.
        """
        from audioprobe.reports.html import write_page  # noqa: PLC0415 - an extra
        from audioprobe.reports.probe_page import page_of  # noqa: PLC0415 - an extra

        return write_page(page_of(self, Path(path).parent, embed=embed), Path(path))

    def _where(self, values: "_Values", wanted: Mapping[str, object]) -> tuple[Trial, ...]:
        kept = (all(values(t, name) == want for name, want in wanted.items()) for t in self.trials)
        return tuple(compress(self.trials, kept))

    def _values(self, reading: AnswerReading) -> "_Values":
        return _Values(frozenset(self.familiar), recognised(self.trials, reading))


@dataclass(frozen=True, slots=True)
class _Values:
    """What trials differ by."""

    familiar: frozenset[str]
    recognised: Mapping[str, bool]

    def __call__(self, trial: Trial, name: str) -> object:
        question = trial.question
        if name in ("condition", "form", "wording", "order"):
            return getattr(question, name)
        if name == "familiar":
            return question.pair.concept in self.familiar if self.familiar else None
        if name == "recognised":
            return self.recognised.get(question.clip)
        return getattr(question.pair, name)


def _check(names: Iterable[str]) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise InvalidInputError(
                f"Trials differ by {', '.join(DIMENSIONS)}; got {name!r}."
                f"{did_you_mean(name, DIMENSIONS)}"
            )


def _told(value: object) -> str:
    if value is None:
        return "unknown"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
