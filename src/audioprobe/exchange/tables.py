"""Tables of questions, trials and classified clips that other tools can read, with their audio."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from audioprobe.audio.windowing import read_waveform
from audioprobe.exchange.sounds import Sounds, outcome_sounds, public_names, public_text
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import ProbeQuestion, Trial
from audioprobe.probing.trial_data import trial_data
from audioprobe.results import ClassificationResult
from audioprobe.results.provenance import Provenance
from audioprobe.types import Clip

TYPES: dict[str, str | list[str]] = {
    "model": "string",
    "evaluation_set": "string",
    "prompt_level": "string",
    "question": "string",
    "options": ["string"],
    "correct": "int64",
    "answer": "string",
    "concept": "string",
    "relation": "string",
    "target": "string",
    "holds": "bool",
    "level": "int64",
    "condition": "string",
    "form": "string",
    "wording": "int64",
    "order": "int64",
    "negatives": "string",
    "match": "int64",
    "clip": "string",
    "sound": "string",
    "group": "string",
    "caption": "string",
    "response": "string",
    "reading": "string",
    "choice": "int64",
    "log_likelihoods": ["float64"],
    "prior_log_likelihoods": ["float64"],
    "labels": ["string"],
    "captions": ["string"],
    "scores": ["float64"],
    "failure": "string",
}
"""Type of each column that a table may have, in the names of Arrow; a list contains its type."""

_QUESTION = (
    *("question", "options", "correct", "concept", "relation", "target", "holds", "level"),
    *("condition", "form", "wording", "order", "negatives", "match", "clip"),
)
_ANSWER = (
    "response",
    "reading",
    "choice",
    "log_likelihoods",
    "prior_log_likelihoods",
    "failure",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTable:
    """Rows for an exported data set, each with at most one sound.

    Attributes:
        columns: values of each column, which are named in `TYPES`.
        keys: key of the sound of each row in `sounds`; "" for a row without sound.
        sounds: functions that load the sounds.
        names: public name of each clip id.
        notes: sentences about the origin of the rows, for the dataset card.
    """

    columns: Mapping[str, Sequence[object]]
    keys: tuple[str, ...]
    sounds: Sounds
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def labelled(self, **values: str) -> "AudioTable":
        """Return the table with further first columns that have one value each."""
        first = {name: [value] * len(self) for name, value in values.items()}
        return replace(self, columns={**first, **self.columns})


def question_table(probe: PreparedProbe) -> AudioTable:
    """Return the questions of a probe that no model has answered yet, one per row."""
    trials = [Trial(question=question) for question in probe.questions]
    options = ", ".join(f"{name}: {value}" for name, value in probe.options.items())
    notes = [f"Questions of a concept probe of audioprobe ({options}; seed {probe.seed})."]
    if probe.unmatched:
        n_pairs = len(probe.unmatched)
        notes.append(f"{n_pairs} true pairs are left out because they have no false pair.")
    table = _probe_table(trials, _QUESTION, sounds=probe.sounds, groups=_groups(probe))
    return replace(table, notes=tuple(notes))


def trial_table(outcome: ProbeOutcome, probe: PreparedProbe | None = None) -> AudioTable:
    """Return the trials of a probe (questions with the model's answers), one per row.

    Args:
        outcome: the trials.
        probe: the questions as they were asked, for sounds that have no file; None reads the
            sounds from the files of the clips.
    """
    sounds = outcome_sounds(outcome) if probe is None else probe.sounds
    groups = {} if probe is None else _groups(probe)
    columns = (*_QUESTION, *_ANSWER)
    table = _probe_table(outcome.trials, columns, sounds=sounds, groups=groups, outcome=outcome)
    notes = (
        f"Trials of a concept probe of audioprobe ({_components(outcome.provenance)}).",
        f"Created {outcome.provenance.created}, seed {outcome.provenance.seed}, hash of questions "
        f"and sounds {outcome.provenance.data}.",
    )
    return replace(table, notes=notes)


def classification_table(result: ClassificationResult, clips: Iterable[Clip]) -> AudioTable:
    """Return the clips of a classification with captions and label scores, one per row.

    Failed clips are rows without scores; the column `failure` has the cause. The column `labels`
    has the reference labels, `options` the labels that were scored.

    Args:
        result: scores, captions, reference labels and failures.
        clips: the clips that were classified, with their audio.
    """
    names = public_names([*result.clip_ids, *(f.clip_id for f in result.failures)])
    failures = {f.clip_id: public_text(f"{f.stage}: {f.message}", names) for f in result.failures}
    captions: dict[str, list[str]] = {}
    for caption in result.captions:
        captions.setdefault(caption.clip_id, []).append(caption.text)
    question = result.provenance.options.get("question")
    rows = dict(zip(result.clip_ids, result.scores.tolist(), strict=True))
    n = len(names)
    truth = [result.truth.get(clip) for clip in names]
    columns: dict[str, Sequence[object]] = {
        "question": [None if question is None else str(question)] * n,
        "options": [list(result.labels)] * n,
        "labels": [None if labels is None else list(labels) for labels in truth],
        "condition": ["audio"] * n,
        "clip": list(names.values()),
        "group": [result.groups.get(clip) for clip in names],
        "captions": [captions.get(clip) for clip in names],
        "scores": [rows.get(clip) for clip in names],
        "failure": [failures.get(clip) for clip in names],
    }
    return AudioTable(
        columns=columns,
        keys=tuple(names),
        sounds={clip.id: partial(read_waveform, clip) for clip in clips},
        names=names,
        notes=(
            f"Clips classified with audioprobe ({_components(result.provenance)}); the scores are "
            "in the order of options.",
            f"Created {result.provenance.created}, hash of the audio {result.provenance.data}.",
        ),
    )


def public_questions(questions: Sequence[ProbeQuestion]) -> list[ProbeQuestion]:
    """Return the questions with clip ids that contain no folder of this machine."""
    names = public_names_of(questions)
    return [
        replace(q, clip=names.get(q.clip, q.clip), audio=names.get(q.audio, q.audio))
        for q in questions
    ]


def public_names_of(questions: Iterable[ProbeQuestion]) -> dict[str, str]:
    """Return the public names of the clips and sounds of questions; see `public_names`."""
    return public_names(sorted({name for q in questions for name in (q.clip, q.audio) if name}))


def _components(provenance: Provenance) -> str:
    """Return name and revision of each component, without options, which may contain paths."""
    return ", ".join(
        f"{role} {info.name} {info.revision}".strip()
        for role, info in provenance.components.items()
    )


def _groups(probe: PreparedProbe) -> dict[str, str | None]:
    """Return the group of each clip, keyed by clip id."""
    return {clip.id: clip.group for clips in probe.clips.by_concept.values() for clip in clips}


def _probe_table(
    trials: Sequence[Trial],
    names: Sequence[str],
    *,
    sounds: Sounds,
    groups: Mapping[str, str | None],
    outcome: ProbeOutcome | None = None,
) -> AudioTable:
    """Return one row per trial, with the columns `names` of `trial_data` and some more."""
    questions = [trial.question for trial in trials]
    public = public_names_of(questions)
    captions = {} if outcome is None else outcome.captions
    data = trial_data(trials, "free-text" if outcome is None else outcome.reading).columns
    failures = data["failure"]
    columns = {name: data[name] for name in names} | {
        "options": [list(q.options) for q in questions],
        "answer": [q.options[q.correct] for q in questions],
        "clip": [public.get(q.clip) for q in questions],
        "sound": [public.get(q.audio) for q in questions],
        "group": [groups.get(q.clip) for q in questions],
        "caption": [captions.get(q.clip) if q.condition == "caption" else None for q in questions],
    }
    if "failure" in names:
        columns["failure"] = [f and public_text(str(f), public) for f in failures]
    return AudioTable(
        columns={name: columns[name] for name in TYPES if name in columns},
        keys=tuple(q.audio for q in questions),
        sounds=sounds,
        names=public,
    )
