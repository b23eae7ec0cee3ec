"""Load the clips, questions and texts of a fine-tuning study, and its training data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts.concept import with_article
from audioprobe.errors import AudioReadError, InvalidInputError, WeightsError, located
from audioprobe.experiments.components import load_dataset
from audioprobe.experiments.finetuning.config import (
    CLIP_SETS,
    EVALUATION_SETS,
    ClipSubset,
    StudyConfig,
)
from audioprobe.finetuning.captioned_clips import CaptionedClips, captioned_clips
from audioprobe.finetuning.data import MatchedPair, TrainingSampler, question_pairs
from audioprobe.finetuning.text_corpora import TextSet, encode_passages, read_texts, refuse_leaks
from audioprobe.models.ltu.audio_frontend import AudioFrontend, load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.concept_probe import prepare_probe
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.questions import QuestionConfig
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    ProbeConcept,
    Target,
    from_concepts,
)
from audioprobe.probing.wordings import read_wordings
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Dataset
from audioprobe.texts import stable_hash
from audioprobe.types import Clip, ComponentInfo

_VALIDATION = 5  # every fifth rehearsal passage is held out for early stopping
_MIN_CONCEPTS = 3  # per novel class: at least two trained in audio, one held out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """Clips, questions and texts that the runs of a study use.

    Concepts are sound sources, such as a crow; novel classes are classes with invented names.

    Attributes:
        clips: clips, keyed by the name of the clip set, see `config.CLIP_SETS`.
        datasets: name and options of each data set, keyed by the name of the clip set.
        probe: yes/no questions for evaluation, in text and about in-domain clips.
        question_pairs: pairs of questions about the concepts in `audio_concepts`, for training.
        novel_probe: questions about novel classes, for evaluation; None if the study has none.
        novel_pairs: pairs of questions about novel classes, for training.
        audio_concepts: ids of a random half of the concepts. Training questions with audio are
            about these concepts only; the other half shows generalization.
        rehearsal_texts: text passages for rehearsal and distillation.
        validation_texts: held-out passages for early stopping, not in `rehearsal_texts`.
        evaluation_texts: passages for the text loss.
        text_sets: all rehearsal and evaluation passages, keyed by the name of their file.
    """

    clips: Mapping[str, tuple[Clip, ...]]
    datasets: Mapping[str, ComponentInfo]
    probe: PreparedProbe
    question_pairs: tuple[MatchedPair, ...]
    novel_probe: PreparedProbe | None
    novel_pairs: tuple[MatchedPair, ...]
    audio_concepts: frozenset[str]
    rehearsal_texts: tuple[str, ...]
    validation_texts: tuple[str, ...]
    evaluation_texts: tuple[str, ...]
    text_sets: Mapping[str, TextSet]


def load_model(study: StudyConfig) -> LTUCheckpoint:
    """Load the model that a study fine-tunes; raise if it is not an LTU (audio language model)."""
    try:
        checkpoint = load_ltu(study.model.name, study.model.base or None)
    except WeightsError as error:
        raise WeightsError(
            f"A fine-tuning study needs an LTU, got model.name {study.model.name!r}: {error}"
        ) from error
    return checkpoint


def build_materials(study: StudyConfig) -> Materials:
    """Load the clips, questions and texts of a study, and check that they are disjoint.

    Raises:
        InvalidInputError: if a clip set is empty, a training clip is also an evaluation clip, or
            the texts contain answers to the questions.
    """
    subsets: dict[str, ClipSubset] = {
        name: subset for name in CLIP_SETS if (subset := getattr(study, name)) is not None
    }
    datasets = {}
    for name, subset in subsets.items():
        with located(f"{name}: dataset"):
            datasets[name] = load_dataset(subset.dataset, subset.mapping)
    clips = {name: select_clips(name, subsets[name], datasets[name]) for name in subsets}
    _check_disjoint(clips)
    concepts = _shared_concepts(clips, study)
    audio_concepts = _half(concepts, study.seed)
    trained = concepts.subset(sorted(audio_concepts))
    rehearsal, evaluation = map(read_texts, (study.rehearsal_texts, study.evaluation_texts))
    probe = _probe(concepts, clips["in_domain"], study)
    _check_texts(probe, (*rehearsal.passages, *evaluation.passages))
    novel = None if study.transfer is None else novel_classes(concepts, study.transfer.class_names)
    return Materials(
        clips=clips,
        datasets={name: dataset.info for name, dataset in datasets.items()},
        probe=probe,
        question_pairs=question_pairs(trained, study.seed),
        novel_probe=None if novel is None else _probe(novel, clips["in_domain"], study),
        novel_pairs=() if novel is None else question_pairs(novel, study.seed),
        audio_concepts=audio_concepts,
        rehearsal_texts=tuple(p for n, p in enumerate(rehearsal.passages) if n % _VALIDATION),
        validation_texts=rehearsal.passages[::_VALIDATION],
        evaluation_texts=evaluation.passages[: study.evaluation.n_passages or None],
        text_sets={study.rehearsal_texts: rehearsal, study.evaluation_texts: evaluation},
    )


def select_clips(name: str, subset: ClipSubset, dataset: Dataset) -> tuple[Clip, ...]:
    """Return the clips of a subset, in the order of the data set; `name` is for error messages.

    Raises:
        InvalidInputError: if the subset has no clips.
    """
    split = dataset.clips(subset.split)
    clips = [clip for clip in split[: subset.max_clips or len(split)] if clip.labels]
    counts = Counter(label for clip in clips for label in clip.labels or ())
    by_label: dict[str, list[Clip]] = {}
    for clip in clips:
        rarest = min(clip.labels or (), key=lambda label: (counts[label], label))
        by_label.setdefault(rarest, []).append(clip)
    ids: set[str] = set()
    for labelled in by_label.values():
        if len(labelled) >= subset.min_per_label:
            drawn = sorted(labelled, key=lambda clip: stable_hash(clip.id))
            half = {"all": drawn, "first": drawn[::2], "second": drawn[1::2]}[subset.half]
            ids.update(clip.id for clip in half[: subset.max_per_label or None])
    if not ids:
        raise InvalidInputError(
            f"{name}: no clip is left of the split {subset.split!r}. It has {len(clips)} labelled "
            f"clips, but no label with {subset.min_per_label} clips. Lower min_per_label."
        )
    return tuple(clip for clip in clips if clip.id in ids)


def novel_classes(concepts: ConceptSet, names: Sequence[str]) -> ConceptSet:
    """Return the concepts with one invented class per kind (category) instead of real classes.

    Args:
        concepts: a kind with fewer than three concepts gets no class.
        names: invented names of one word each; the largest kinds get the first names.

    Raises:
        InvalidInputError: if the names are not different words, there are fewer than two names, or
            fewer than two kinds have three concepts.
    """
    if len(set(names)) < len(names) or not all(name.isalpha() for name in names):
        raise InvalidInputError(f"class_names: expected different words, got {', '.join(names)}.")
    counts = Counter(concept.kind for concept in concepts.concepts)
    kinds = sorted(
        (k for k, n in counts.items() if n >= _MIN_CONCEPTS), key=lambda k: (-counts[k], k)
    )
    if len(kinds) < 2 or len(names) < 2:
        raise InvalidInputError(
            f"Novel classes need two kinds with at least {_MIN_CONCEPTS} concepts and two names, "
            f"got {len(kinds)} and {len(names)}."
        )
    targets = {
        kind: Target(name, with_article(name)) for kind, name in zip(kinds, names, strict=False)
    }

    def renamed(concept: ProbeConcept) -> ProbeConcept:
        target = targets.get(concept.kind)
        if target is None:
            return replace(concept, hypernyms=(), ancestors=frozenset(), basic="")
        ancestors = frozenset({target.id})
        return replace(concept, hypernyms=(target,), ancestors=ancestors, basic=target.id)

    renamed_set = tuple(map(renamed, concepts.concepts))
    return ConceptSet(f"invented, {concepts.name}", concepts.revision, renamed_set, None)


def training_data(
    study: StudyConfig, materials: Materials, folder: Path, model: LTUCheckpoint, *, novel: bool
) -> TrainingSampler:
    """Return the training data of a run; features of the clips are stored in `folder`.

    Paired questions are about invented classes if `novel` is True, otherwise about real classes.
    """
    prompts = LTUPrompts(model.tokenizer)
    clips = clips_with_features(materials, folder, load_frontend(model.net.config.audio))
    texts = encode_passages(materials.rehearsal_texts, prompts, max_tokens=study.max_tokens)
    return TrainingSampler(
        tokenizer=prompts,
        clips=clips["train"],
        rehearsal_clips=clips.get("rehearsal"),
        rehearsal_texts=tuple(texts),
        question_pairs=materials.novel_pairs if novel else materials.question_pairs,
        audio_concepts=materials.audio_concepts if novel else None,
        max_tokens=study.max_tokens,
        seed=study.seed,
    )


def clips_with_features(
    materials: Materials,
    folder: Path,
    frontend: AudioFrontend,
    progress: ProgressCallback = ignore_progress,
) -> dict[str, CaptionedClips]:
    """Return the training and rehearsal clips with features, which are stored in `folder`."""
    return {
        name: captioned_clips(name, clips, folder / name, frontend, progress=progress)
        for name, clips in materials.clips.items()
        if name in ("train", "rehearsal")
    }


def _check_disjoint(clips: Mapping[str, Sequence[Clip]]) -> None:
    """Raise if a training clip has the same samples as an evaluation clip."""
    training = {
        read_waveform(clip).digest(): clip.id
        for name in ("train", "rehearsal")
        for clip in clips.get(name, ())
    }
    for name, clip in [(key, clip) for key in EVALUATION_SETS for clip in clips[key]]:
        try:
            same = training.get(read_waveform(clip).digest())
        except AudioReadError:
            continue  # counted as a failure by the evaluation
        if same is not None:
            problem = f"the clip {clip.id!r} has the same samples as the training clip {same!r}"
            raise InvalidInputError(f"{name}: {problem}. Choose other splits, or other halves.")


def _shared_concepts(clips: Mapping[str, Sequence[Clip]], study: StudyConfig) -> ConceptSet:
    """Return the concepts that occur in both training and in-domain clips."""
    concepts = from_concepts()
    occurring = [
        set(clips_by_concept(clips[name], concepts).by_concept) for name in ("train", "in_domain")
    ]
    shared = [c.id for c in concepts.concepts if c.id in occurring[0] & occurring[1]]
    if len(shared) < 2:
        raise InvalidInputError(
            f"Expected at least two concepts with clips in train and in_domain, got {len(shared)}."
        )
    drawn = sorted(shared, key=lambda name: stable_hash(f"{study.seed} {name}"))
    chosen = set(drawn[: study.evaluation.n_concepts or None])
    return concepts.subset([name for name in shared if name in chosen])


def _half(concepts: ConceptSet, seed: int) -> frozenset[str]:
    """Return the ids of a random half of the concepts of each kind."""
    by_kind: dict[str, list[str]] = {}
    for concept in concepts.concepts:
        by_kind.setdefault(concept.kind, []).append(concept.id)
    return frozenset(
        name
        for names in by_kind.values()
        for name in sorted(names, key=lambda name: stable_hash(f"half {seed} {name}"))[::2]
    )


def _probe(concepts: ConceptSet, clips: Sequence[Clip], study: StudyConfig) -> PreparedProbe:
    """Return the evaluation questions; audio questions use one clip per concept: its first."""
    name = study.evaluation.wordings
    wordings = read_wordings(name)
    if len(wordings.hypernym.audio) > 1:
        raise InvalidInputError(
            f"{name}: expected one wording per question, got {len(wordings.hypernym.audio)}. Use "
            "brief, or a file with the first of each."
        )
    by_concept = clips_by_concept(clips, concepts).by_concept
    config = QuestionConfig(wordings=wordings, n_clips=1, seed=study.seed)
    return prepare_probe(concepts, config, clips=[c[0] for c in by_concept.values()])


def _check_texts(probe: PreparedProbe, passages: Sequence[str]) -> None:
    """Raise if a text passage contains an evaluation question or states its answer."""
    questions = sorted({question.text for question in probe.questions})
    facts = {
        (question.pair.phrase, question.pair.target_phrase)
        for question in probe.questions
        if question.pair.holds and question.pair.relation != "identity"
    }
    refuse_leaks(passages, questions, sorted(facts))
