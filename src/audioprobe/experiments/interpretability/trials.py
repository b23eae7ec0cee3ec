"""Matched trials of a study: the same question in text and about a clip, with both answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from audioprobe.interpretability.probe_prompts import ProbePrompts
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.probing.trial import Trial
from audioprobe.probing.wordings import PromptingOptions
from audioprobe.small_ltu.relations import ROLE_NAMES, SplitRole
from audioprobe.types import BoolArray, Float64Array, Waveform

RelationRole: TypeAlias = SplitRole | Literal["unknown"]
"""Role of a relation in the training of the model; "unknown" if it does not occur in it, or if the
training is unknown."""
Modality: TypeAlias = Literal["text", "audio"]
READING: Literal["likelihood"] = "likelihood"
"""How answers are read in this study: the option with the higher likelihood."""

ALL = "all"
FAMILIARITY: Mapping[bool | None, str] = {
    True: "familiar",
    False: "unfamiliar",
    None: "familiarity unknown",
}
"""Names of recordings that are, or are not, like those of the training."""

_COLUMNS = ("item", "concept", "target", "holds", "role", "evaluation_set", "familiar", "clip")
_ANSWERS = ("recognised", "text_correct", "audio_correct", "text_log_odds", "audio_log_odds")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedTrial:
    """A question about a clip, and the same question in text.

    Attributes:
        text: the question in text, with its answer.
        audio: the question about the clip, with its answer.
        evaluation_set: name of the evaluation set of the clip.
        familiar: whether the model was trained on such audio; None if unknown.
        role: role of the true relation in training; a false relation has the role of the true one
            that it is matched with.
        recognised: whether the model recognises the concept in the clip; None if unknown.
    """

    text: Trial
    audio: Trial
    evaluation_set: str
    familiar: bool | None
    role: RelationRole
    recognised: bool | None

    @property
    def concept(self) -> str:
        """Id of the concept of the clip."""
        return self.audio.question.pair.concept

    @property
    def clip(self) -> str:
        """Name of the clip, unique in the study: evaluation set and id."""
        return f"{self.evaluation_set}|{self.audio.question.clip}"

    @property
    def id(self) -> str:
        """Name of the trial, unique in the study."""
        question = self.audio.question
        parts = (self.concept, question.pair.target, str(question.wording), self.clip)
        return "|".join((*parts, str(question.pair.match)))

    def trial(self, modality: Modality) -> Trial:
        """Return the question with its answer in a modality."""
        return self.text if modality == "text" else self.audio

    def is_correct(self, modality: Modality) -> bool | None:
        """Return whether the answer is correct; None for an invalid answer or a failure."""
        return self.trial(modality).is_correct(READING)


@dataclass(frozen=True, slots=True)
class TrialRecord(TidyData):
    """All matched trials of a study, as they are stored.

    Attributes:
        trials: the trials.
        kinds: broad class of each concept, such as "animal", by concept id.
    """

    trials: tuple[MatchedTrial, ...]
    kinds: Mapping[str, str]

    def groups(self) -> dict[str, BoolArray]:
        """Return whether each trial belongs to a group of recordings, by name of the group.

        The first group has all trials; the others, those of familiar and of unfamiliar recordings,
        if there are both.
        """
        values = [trial.familiar for trial in self.trials]
        known = [value for value in FAMILIARITY if value in values]
        everything = np.ones(len(values), dtype=np.bool_)
        if len(known) < 2:
            return {ALL: everything}
        parts = {FAMILIARITY[v]: np.array([x is v for x in values], dtype=np.bool_) for v in known}
        return {ALL: everything, **parts}

    def data(self) -> DataTable:
        """Return a table with one row per trial; log-odds are those of the correct answer."""
        return DataTable.from_rows((*_COLUMNS, *_ANSWERS), map(_row, self.trials))

    def where(self, items: Sequence[str], **properties: object) -> BoolArray:
        """Return whether each item of a curve has the given properties, shape (n_items,).

        Args:
            items: ids of trials, or names of clips.
            properties: value of fields of `MatchedTrial`; a tuple accepts any of its values.
        """
        wanted = {k: v if isinstance(v, tuple) else (v,) for k, v in properties.items()}
        selected = {
            name
            for trial in self.trials
            if all(getattr(trial, key) in values for key, values in wanted.items())
            for name in (trial.id, trial.clip)
        }
        return np.array([item in selected for item in items], dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class StudyTrials:
    """Matched trials with their sounds, for measurements.

    Attributes:
        record: the trials.
        sounds: functions that load a waveform, by `MatchedTrial.clip`.
        prompting: texts of the two answers.
    """

    record: TrialRecord
    sounds: Mapping[str, Callable[[], Waveform]]
    prompting: PromptingOptions

    def __len__(self) -> int:
        return len(self.record.trials)

    @cached_property
    def concepts(self) -> tuple[str, ...]:
        """Id of the concept of each trial."""
        return tuple(trial.concept for trial in self.record.trials)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Name of each trial."""
        return tuple(trial.id for trial in self.record.trials)

    @cached_property
    def clips(self) -> tuple[str, ...]:
        """Name of the clip of each trial."""
        return tuple(trial.clip for trial in self.record.trials)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Broad class of the concept of each trial."""
        return tuple(self.record.kinds[concept] for concept in self.concepts)

    def prompts(self, modality: Modality) -> ProbePrompts:
        """Return the prompts of all trials in text or about audio; the first option is correct."""
        questions = [trial.trial(modality).question for trial in self.record.trials]
        if modality == "audio":
            questions = [replace(q, audio=c) for q, c in zip(questions, self.clips, strict=True)]
        return ProbePrompts(questions, self.sounds, prompting=self.prompting)

    def only(self, numbers: Sequence[int]) -> "StudyTrials":
        """Return the trials with these indices, in this order."""
        chosen = tuple(self.record.trials[n] for n in numbers)
        return StudyTrials(replace(self.record, trials=chosen), self.sounds, self.prompting)

    def sample(self, n: int, seed: int) -> "StudyTrials":
        """Return at most n trials, drawn evenly from all roles and evaluation sets.

        Trials with right and with wrong answers about audio are drawn alike, too.

        Args:
            n: number of trials; 0 means all.
            seed: random seed of the draw.
        """
        if not n or n >= len(self):
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        rank: dict[tuple[object, ...], int] = {}
        keys = {}
        for number in order.tolist():
            trial = self.record.trials[number]
            pair, is_correct = trial.audio.question.pair, trial.is_correct("audio")
            stratum = (trial.role, trial.evaluation_set, pair.holds, is_correct)
            rank[stratum] = rank.get(stratum, 0) + 1
            keys[number] = rank[stratum]
        return self.only(sorted(sorted(keys, key=lambda number: keys[number])[:n]))


def role_name(role: RelationRole) -> str:
    """Return the name of a role for readers."""
    return "role unknown" if role == "unknown" else ROLE_NAMES[role]


def _row(trial: MatchedTrial) -> tuple[object, ...]:
    """Return the values of the columns for a trial."""
    pair = trial.audio.question.pair
    return (
        trial.id,
        trial.concept,
        pair.target,
        pair.holds,
        trial.role,
        trial.evaluation_set,
        trial.familiar,
        trial.audio.question.clip,
        trial.recognised,
        trial.is_correct("text"),
        trial.is_correct("audio"),
        log_odds(trial.text),
        log_odds(trial.audio),
    )


def audio_log_odds(trials: Iterable[MatchedTrial]) -> Float64Array:
    """Return the log-odds of the correct answer about audio of each trial; NaN without answer."""
    values = [log_odds(trial.audio) for trial in trials]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def log_odds(trial: Trial) -> float | None:
    """Return the log-likelihood of the correct minus that of the wrong answer, in nats."""
    if len(trial.log_likelihoods) != 2:
        return None
    correct = trial.question.correct
    return trial.log_likelihoods[correct] - trial.log_likelihoods[1 - correct]
