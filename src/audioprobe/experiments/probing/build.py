"""What a configuration of concept probes names, built: concepts, clips, questions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioprobe.audio.sources import clips_of
from audioprobe.concepts import Concepts
from audioprobe.concepts.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.concepts.ontology import Ontology
from audioprobe.concepts.wordnet import WordNet
from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.classification.build import dataset_of
from audioprobe.experiments.probing.config import (
    WORDS,
    AudioSetSpec,
    ConceptSpec,
    ModelSpec,
    ProbeConfig,
)
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.probe_builder import PreparedProbe, ProbeBuilder
from audioprobe.probing.questions import QuestionConfig
from audioprobe.probing.relations.audioset import from_ontology
from audioprobe.probing.relations.concept_set import ConceptSet, from_concepts
from audioprobe.probing.relations.tables import from_hierarchy, from_table
from audioprobe.probing.relations.wordnet import from_wordnet
from audioprobe.probing.spoken_words import spoken_words
from audioprobe.probing.wordings import read_wordings
from audioprobe.types import Clip, ComponentInfo, Waveform


@dataclass(frozen=True, slots=True)
class ProbeClips:
    """The clips of one part of the sounds.

    Attributes:
        name: of the results.
        clips: in order.
        familiar: as in the configuration.
        info: of the data set; of a folder, its path.
    """

    name: str
    clips: tuple[Clip, ...]
    familiar: bool | None
    info: ComponentInfo


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """One listener with one part of the sounds, before anything is asked.

    Attributes:
        listener: who will be asked.
        sounds: name of the sounds, or `WORDS`.
        heard: the sounds; None in words alone.
        questionnaire: where the questions come from.
        asked: what it gave.
    """

    listener: ModelSpec
    sounds: str
    heard: ProbeClips | None
    questionnaire: ProbeBuilder
    asked: PreparedProbe

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.listener.name}--{self.sounds}"


def subjects_of(wanted: ConceptSpec) -> ConceptSet:
    """The concepts that a run asks about.

    Raises:
        InvalidInputError: as the source of relations that is named; if a path or words are missing;
            or if a concept that is to be taken is not there.
    """
    needs = {"file": "path", "table": "path", "audioset": "path", "wn": "path", "wordnet": "words"}
    needed = needs.get(wanted.source, "")
    if needed and not getattr(wanted, needed):
        raise InvalidInputError(f"Concepts from {wanted.source!r} need the key {needed!r}.")
    found = _SOURCES[wanted.source](wanted)
    return found.subset(wanted.only) if wanted.only else found


def _of_wn(wanted: ConceptSpec) -> ConceptSet:
    from audioprobe.concepts.wn_lexicon import WnLexicon  # noqa: PLC0415 - an extra

    return from_wordnet(wanted.words, WnLexicon(wanted.path))


def _of_wordnet(wanted: ConceptSpec) -> ConceptSet:
    return from_wordnet(wanted.words, WordNet(wanted.path) if wanted.path else None)


_SOURCES: Mapping[str, Callable[[ConceptSpec], ConceptSet]] = {
    "shipped": lambda _: from_concepts(),
    "file": lambda wanted: from_concepts(Concepts.from_file(wanted.path)),
    "table": lambda wanted: from_table(wanted.path),
    "wordnet": _of_wordnet,
    "wn": _of_wn,
    "audioset": lambda wanted: from_ontology(Ontology.from_json(wanted.path), wanted.edges or None),
    "edansa": lambda _: from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES),
}


def heard(played: AudioSetSpec) -> ProbeClips:
    """The clips that are to be played.

    Raises:
        InvalidInputError: if there are none.
    """
    if played.dataset is None:
        clips = clips_of(played.folder)
        info = ComponentInfo("dataset", "folder", options={"path": played.folder})
    else:
        with located(f"{played.name}: dataset"):
            dataset = dataset_of(played.dataset, played.mapping)
        clips, info = tuple(dataset.clips(played.split)), dataset.info
    clips = clips[: played.most] if played.most else clips
    if not clips:
        raise InvalidInputError(f"{played.name}: the split {played.split!r} has no clips.")
    return ProbeClips(played.name, clips, played.familiar, info)


def planned(config: ProbeConfig) -> list[PlannedProbe]:
    """Everything that will be asked, listener by listener.

    Raises:
        InvalidInputError: if concepts, sounds or wordings are not there, or nothing can be asked.
    """
    subjects = subjects_of(config.concepts)
    spoken = spoken_words(config.spoken, subjects) if config.spoken else None
    sounds = [heard(played) for played in config.sounds]
    found = []
    for listener in config.listeners:
        questionnaire = _questionnaire(config, listener, subjects)
        own: list[ProbeClips | None] = [
            one for one in sounds if not listener.sounds or one.name in listener.sounds
        ]
        found += [_planned(config, listener, questionnaire, one, spoken) for one in own or [None]]
    return found


def _questionnaire(config: ProbeConfig, listener: ModelSpec, subjects: ConceptSet) -> ProbeBuilder:
    plan = QuestionConfig(
        wordings=read_wordings(listener.options.wordings),
        conditions=listener.conditions,
        forms=config.forms,
        n_orders=config.n_orders,
        n_clips=config.n_clips,
        seed=config.seed,
    )
    return ProbeBuilder(subjects, plan, config.negatives)


def _planned(
    config: ProbeConfig,
    listener: ModelSpec,
    questionnaire: ProbeBuilder,
    one: ProbeClips | None,
    spoken: dict[str, Waveform] | None,
) -> PlannedProbe:
    asked = questionnaire(config.pairs, one.clips if one else None, spoken=spoken)
    return PlannedProbe(listener, one.name if one else WORDS, one, questionnaire, asked)
