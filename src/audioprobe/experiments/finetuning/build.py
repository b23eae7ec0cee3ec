"""What a study of fine-tuning names, built: clips, lessons, and what is measured by."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError, InvalidInputError, WeightsError, located
from audioprobe.experiments.classification.build import dataset_of
from audioprobe.experiments.finetuning.config import SETS, ClipSubset, StudyConfig
from audioprobe.experiments.finetuning.novel_classes import invented
from audioprobe.finetuning.captioned_clips import CaptionedClips, captioned_clips
from audioprobe.finetuning.data import MatchedPair, TrainingData
from audioprobe.finetuning.text_corpora import TextSet, encode_passages, read_texts, refuse_leaks
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.pairs import ConceptPair, balanced_pairs
from audioprobe.probing.probe_builder import PreparedProbe, ProbeBuilder
from audioprobe.probing.questions import QuestionConfig
from audioprobe.probing.relations.concept_set import ConceptSet, from_concepts
from audioprobe.probing.wordings import Wordings, read_wordings
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Dataset
from audioprobe.seeding import stable_hash
from audioprobe.training.examples import TrainingExample
from audioprobe.types import Clip, ComponentInfo

_WATCHED = 5  # every fifth passage is held apart, for early stopping


@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """Everything that a study draws from, before any model is loaded.

    Attributes:
        clips: of each portion, by its name; see `config.SETS`.
        infos: the data set of each portion.
        probe: the concept probe: questions about classes, in words and of the sounds of `inside`.
        pairs: questions about real classes that may be taught, about taught concepts alone.
        quiz: the same about classes with invented names; None without transfer.
        coined: questions about invented classes, which may be taught.
        halves: ids of the concepts of which invented classes are taught in sound.
        held: passages to be kept in mind.
        watched: passages of the same set, held apart.
        measured: passages by which reading is measured.
        texts: the two sets of texts, by name.
    """

    clips: Mapping[str, tuple[Clip, ...]]
    infos: Mapping[str, ComponentInfo]
    probe: PreparedProbe
    pairs: tuple[MatchedPair, ...]
    quiz: PreparedProbe | None
    coined: tuple[MatchedPair, ...]
    halves: frozenset[str]
    held: tuple[str, ...]
    watched: tuple[str, ...]
    measured: tuple[str, ...]
    texts: Mapping[str, TextSet]


def model_of(study: StudyConfig) -> LTUCheckpoint:
    """The model that a study fine-tunes, as it is on disk.

    Raises:
        WeightsError: if it is no LTU: others neither train here nor show the states that are tied.
    """
    wanted = study.model
    try:
        return load_ltu(wanted.name, wanted.base or None)
    except WeightsError as error:
        raise WeightsError(
            "A study of fine-tuning needs an LTU: it changes weights, and ties hidden states of "
            f"sound and text. {error}"
        ) from error


def materials_of(study: StudyConfig) -> Materials:
    """Build what a study names.

    Raises:
        InvalidInputError: if a portion has no clips, sounds that are learned from are heard again
            where something is measured, or texts give away what the probe asks.
    """
    portions = {name: getattr(study, name) for name in SETS if getattr(study, name) is not None}
    datasets = {}
    for name, portion in portions.items():
        with located(f"{name}: dataset"):
            datasets[name] = dataset_of(portion.dataset, portion.mapping)
    clips = {name: portion_of(name, portions[name], datasets[name]) for name in portions}
    _refuse_shared(clips)
    subjects = _heard_both(clips, study)
    taught = frozenset(_half(subjects, study.seed))
    plan = QuestionConfig(wordings=_one_wording(study.quiz.wordings), n_clips=1, seed=study.seed)
    probe = ProbeBuilder(subjects, plan)("hypernym", _of(clips["inside"], subjects))
    quiz = None
    coined: tuple[MatchedPair, ...] = ()
    if study.transfer is not None:
        made = invented(subjects, study.transfer.names)
        quiz = ProbeBuilder(made, plan)("hypernym", _of(clips["inside"], made))
        coined = _pairs(balanced_pairs(made, "hypernym", seed=study.seed).pairs)
    held, measured = read_texts(study.texts), read_texts(study.measured)
    _refuse_giveaways(probe, (*held.passages, *measured.passages))
    most = study.quiz.passages or len(measured.passages)
    mine = balanced_pairs(subjects.subset(sorted(taught)), "hypernym", seed=study.seed)
    return Materials(
        clips,
        {name: dataset.info for name, dataset in datasets.items()},
        probe,
        _pairs(mine.pairs),
        quiz,
        coined,
        taught,
        tuple(p for n, p in enumerate(held.passages) if n % _WATCHED),
        held.passages[::_WATCHED],
        measured.passages[:most],
        {study.texts: held, study.measured: measured},
    )


def portion_of(name: str, portion: ClipSubset, dataset: Dataset) -> tuple[Clip, ...]:
    """The clips of a portion, in the order of the data set.

    Raises:
        InvalidInputError: if none is left.
    """
    every = dataset.clips(portion.split)
    clips = [clip for clip in every[: portion.most or len(every)] if clip.labels]
    often = Counter(label for clip in clips for label in clip.labels or ())
    by_label: dict[str, list[Clip]] = {}
    for clip in clips:
        rarest = min(clip.labels or (), key=lambda label: (often[label], label))
        by_label.setdefault(rarest, []).append(clip)
    kept: set[str] = set()
    for some in by_label.values():
        if len(some) < portion.least:
            continue
        drawn = sorted(some, key=lambda clip: stable_hash(clip.id))
        first, second = drawn[::2], drawn[1::2]
        chosen = {"all": drawn, "first": first, "second": second}[portion.half]
        kept.update(clip.id for clip in chosen[: portion.each or len(chosen)])
    found = tuple(clip for clip in clips if clip.id in kept)
    if not found:
        raise InvalidInputError(
            f"{name}: no clip is left of the split {portion.split!r} ({len(clips)} have labels, "
            f"{portion.least} of each label are wanted)."
        )
    return found


def lessons_of(
    study: StudyConfig,
    materials: Materials,
    folder: Path,
    tokenizer: Any,  # noqa: ANN401 - transformers has no types
    *,
    transfer: bool,
) -> TrainingData:
    """What trainings draw from, with spectrograms in a folder that cells share."""
    rehearsed = None
    if "rehearsed" in materials.clips:
        rehearsed = sounds_in(materials, "rehearsed", folder)
    return TrainingData(
        tokenizer=LTUPrompts(tokenizer),
        clips=sounds_in(materials, "taught", folder),
        rehearsal_clips=rehearsed,
        rehearsal_texts=tuple(
            encode_passages(materials.held, LTUPrompts(tokenizer), max_tokens=study.cutoff)
        ),
        question_pairs=materials.coined if transfer else materials.pairs,
        audio_concepts=materials.halves if transfer else None,
        max_tokens=study.cutoff,
        seed=study.seed,
    )


def sounds_in(
    materials: Materials,
    name: str,
    folder: Path,
    progress: ProgressCallback = ignore_progress,
) -> CaptionedClips:
    """Spectrograms of a portion; computed by whoever asks first."""
    progress = prefixed(progress, name)
    return captioned_clips(name, materials.clips[name], folder / name, progress=progress)


def watched_by(
    materials: Materials,
    tokenizer: Any,  # noqa: ANN401 - transformers has no types
    cutoff: int,
) -> list[TrainingExample]:
    """Passages held apart, in tokens."""
    return encode_passages(materials.watched, LTUPrompts(tokenizer), max_tokens=cutoff)


def _one_wording(name: str) -> Wordings:
    """Wordings in which every question has one: an answer is paired with itself before by it."""
    found = read_wordings(name)
    if len(found.hypernym.audio) > 1:
        raise InvalidInputError(
            f"{name}: a study asks each question in one wording, got {len(found.hypernym.audio)}. "
            "Take brief, or a file with the first of each."
        )
    return found


def _refuse_shared(clips: Mapping[str, Sequence[Clip]]) -> None:
    """What is learned from must not be measured by: neither the clip nor the same samples."""
    learned = {
        read_waveform(clip).digest(): clip.id
        for name in ("taught", "rehearsed")
        for clip in clips.get(name, ())
    }
    for name in ("inside", "outside", "earlier"):
        for clip in clips[name]:
            try:
                same = learned.get(read_waveform(clip).digest())
            except AudioReadError:
                continue  # counted where it would have been measured
            if same is not None:
                raise InvalidInputError(
                    f"{name}: the clip {clip.id!r} sounds the same as {same!r}, which is learned "
                    "from. Take other splits, or halves of the data set."
                )


def _heard_both(clips: Mapping[str, Sequence[Clip]], study: StudyConfig) -> ConceptSet:
    """Concepts that are heard where the model learns and where it is measured."""
    everything = from_concepts()
    names = [
        set(clips_by_concept(clips[name], everything).by_concept) for name in ("taught", "inside")
    ]
    both = [s.id for s in everything.concepts if s.id in names[0] & names[1]]
    if len(both) < 2:
        raise InvalidInputError(
            f"{len(both)} concepts are heard both in what is taught and in other sounds of its "
            "origin (inside); a probe needs at least two."
        )
    drawn = sorted(both, key=lambda name: stable_hash(f"{study.seed} {name}"))
    chosen = set(drawn[: study.quiz.concepts or len(drawn)])
    return everything.subset([name for name in both if name in chosen])


def _of(clips: Iterable[Clip], subjects: ConceptSet) -> tuple[Clip, ...]:
    """The first clip of each concept: others would be left unasked."""
    found = clips_by_concept(clips, subjects)
    return tuple(own[0] for own in found.by_concept.values())


def _half(subjects: ConceptSet, seed: int) -> list[str]:
    """Every second concept of each kind, in an order that was drawn."""
    by_kind: dict[str, list[str]] = {}
    for subject in subjects.concepts:
        by_kind.setdefault(subject.kind, []).append(subject.id)
    found: list[str] = []
    for names in by_kind.values():
        found += sorted(names, key=lambda name: stable_hash(f"half {seed} {name}"))[::2]
    return found


def _pairs(pairs: Sequence[ConceptPair]) -> tuple[MatchedPair, ...]:
    return tuple(zip(pairs[::2], pairs[1::2], strict=True))


def _refuse_giveaways(probe: PreparedProbe, passages: Sequence[str]) -> None:
    facts = {
        (q.pair.phrase, q.pair.target_phrase)
        for q in probe.questions
        if q.pair.holds and q.pair.relation != "identity"
    }
    refuse_leaks(passages, sorted({q.text for q in probe.questions}), sorted(facts))
