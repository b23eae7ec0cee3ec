"""What a configuration of concept probes names, built: concepts, clips, questions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioprobe.audio.sources import clips_of
from audioprobe.concepts import Concepts
from audioprobe.concepts.ontology import Ontology
from audioprobe.concepts.wordnet import WordNet
from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.materials import dataset_of
from audioprobe.experiments.probing.config import WORDS, ConceptSource, Listener, Played, Probe
from audioprobe.probes.prepared import Prepared
from audioprobe.probes.questionnaire import Questionnaire
from audioprobe.probes.questions import Plan
from audioprobe.probes.relations.audioset import from_ontology
from audioprobe.probes.relations.edansa import from_edansa
from audioprobe.probes.relations.shipped import from_concepts
from audioprobe.probes.relations.subject import Subjects
from audioprobe.probes.relations.tables import from_table
from audioprobe.probes.relations.words import from_wordnet
from audioprobe.probes.spoken import spoken_words
from audioprobe.probes.wording import read_wordings
from audioprobe.types import Clip, ComponentInfo, Waveform


@dataclass(frozen=True, slots=True)
class Heard:
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
class Planned:
    """One listener with one part of the sounds, before anything is asked.

    Attributes:
        listener: who will be asked.
        sounds: name of the sounds, or `WORDS`.
        heard: the sounds; None in words alone.
        questionnaire: where the questions come from.
        asked: what it gave.
    """

    listener: Listener
    sounds: str
    heard: Heard | None
    questionnaire: Questionnaire
    asked: Prepared

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.listener.name}--{self.sounds}"


def subjects_of(wanted: ConceptSource) -> Subjects:
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
    return found.only(wanted.only) if wanted.only else found


def _of_wn(wanted: ConceptSource) -> Subjects:
    from audioprobe.probes.relations.lexicon import from_wn  # noqa: PLC0415 - an extra

    return from_wn(wanted.path, wanted.words)


def _of_wordnet(wanted: ConceptSource) -> Subjects:
    return from_wordnet(wanted.words, WordNet(wanted.path) if wanted.path else None)


_SOURCES: Mapping[str, Callable[[ConceptSource], Subjects]] = {
    "shipped": lambda _: from_concepts(),
    "file": lambda wanted: from_concepts(Concepts.from_file(wanted.path)),
    "table": lambda wanted: from_table(wanted.path),
    "wordnet": _of_wordnet,
    "wn": _of_wn,
    "audioset": lambda wanted: from_ontology(Ontology.from_json(wanted.path), wanted.edges or None),
    "edansa": lambda _: from_edansa(),
}


def heard(played: Played) -> Heard:
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
    return Heard(played.name, clips, played.familiar, info)


def planned(config: Probe) -> list[Planned]:
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
        own: list[Heard | None] = [
            one for one in sounds if not listener.sounds or one.name in listener.sounds
        ]
        found += [_planned(config, listener, questionnaire, one, spoken) for one in own or [None]]
    return found


def _questionnaire(config: Probe, listener: Listener, subjects: Subjects) -> Questionnaire:
    plan = Plan(
        read_wordings(listener.manners.wordings),
        listener.conditions,
        config.forms,
        config.n_orders,
        config.n_clips,
        config.seed,
    )
    return Questionnaire(subjects, plan, config.negatives)


def _planned(
    config: Probe,
    listener: Listener,
    questionnaire: Questionnaire,
    one: Heard | None,
    spoken: dict[str, Waveform] | None,
) -> Planned:
    asked = questionnaire(config.pairs, one.clips if one else None, spoken=spoken)
    return Planned(listener, one.name if one else WORDS, one, questionnaire, asked)
