"""Load the concepts and clips of a probing config, and create the questions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioprobe.audio.sources import clips_of
from audioprobe.concepts import Concepts
from audioprobe.concepts.ontology import Ontology
from audioprobe.concepts.wordnet import WnLexicon, WordNet
from audioprobe.datasets.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.components import EvaluationClips, load_dataset
from audioprobe.experiments.probing.config import (
    TEXT_ONLY,
    ConceptSpec,
    ModelSpec,
    ProbeConfig,
    ProbeEvaluationSet,
)
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.clips import spoken_words
from audioprobe.probing.concept_probe import prepare_probe
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.questions import QuestionConfig
from audioprobe.probing.relations.audioset import from_ontology
from audioprobe.probing.relations.concept_set import ConceptSet, from_concepts
from audioprobe.probing.relations.sources import from_hierarchy, from_table, from_wordnet
from audioprobe.probing.wordings import read_wordings
from audioprobe.types import ComponentInfo


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """Questions for one model about one evaluation set.

    Attributes:
        model: the model and its settings.
        clips: the evaluation set; None for a model that is asked in text only.
        questions: questions and their audio.
    """

    model: ModelSpec
    clips: EvaluationClips | None
    questions: PreparedProbe

    @property
    def evaluation_set(self) -> str:
        """Name of the evaluation set; "text-only" if there is none."""
        return self.clips.name if self.clips else TEXT_ONLY

    @property
    def name(self) -> str:
        """Name of the result files without suffix: "MODEL--EVALUATION_SET"."""
        return f"{self.model.name}--{self.evaluation_set}"


def read_concepts(spec: ConceptSpec) -> ConceptSet:
    """Read the concepts of a run.

    Raises:
        InvalidInputError: if the source cannot be read, a path or words are missing, or a concept
            in `only` is unknown.
    """
    keys = {"file": "path", "table": "path", "audioset": "path", "wn": "path", "wordnet": "words"}
    key = keys.get(spec.source, "")
    if key and not getattr(spec, key):
        raise InvalidInputError(
            f"concepts: expected a value of {key!r} for the source {spec.source!r}, received none."
        )
    concepts = _SOURCES[spec.source](spec)
    return concepts.subset(spec.only) if spec.only else concepts


_SOURCES: Mapping[str, Callable[[ConceptSpec], ConceptSet]] = {
    "shipped": lambda _: from_concepts(),
    "file": lambda spec: from_concepts(Concepts.from_file(spec.path)),
    "table": lambda spec: from_table(spec.path),
    "wordnet": lambda spec: from_wordnet(spec.words, WordNet(spec.path) if spec.path else None),
    "wn": lambda spec: from_wordnet(spec.words, WnLexicon(spec.path)),
    "audioset": lambda spec: from_ontology(Ontology.from_json(spec.path), spec.edges or None),
    "edansa": lambda _: from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES),
}


def load_clips(spec: ProbeEvaluationSet) -> EvaluationClips:
    """List the clips of an evaluation set.

    Raises:
        InvalidInputError: if the evaluation set has no clips.
    """
    if spec.dataset is None:
        clips = clips_of(spec.folder)
        info = ComponentInfo("dataset", "folder", options={"path": spec.folder})
    else:
        with located(f"{spec.name}: dataset"):
            dataset = load_dataset(spec.dataset, spec.mapping)
        clips, info = tuple(dataset.clips(spec.split)), dataset.info
    clips = clips[: spec.max_clips] if spec.max_clips else clips
    if not clips:
        raise InvalidInputError(
            f"{spec.name}: expected clips in the split {spec.split!r}, found none."
        )
    return EvaluationClips(
        name=spec.name,
        clips=clips,
        info=info,
        familiar=spec.familiar,
        allow_training_clips=spec.allow_training_clips,
    )


def plan_probes(config: ProbeConfig) -> list[PlannedProbe]:
    """Create the questions for every model about each of its evaluation sets.

    Raises:
        InvalidInputError: if concepts, clips or wordings are missing, or there are no questions.
    """
    concepts = read_concepts(config.concepts)
    spoken = spoken_words(config.spoken, concepts) if config.spoken else None
    sets = [load_clips(spec) for spec in config.evaluation_sets]
    plans = []
    for model in config.models:
        question_config = QuestionConfig(
            wordings=read_wordings(model.prompting.wordings),
            conditions=model.conditions,
            forms=config.forms,
            negatives=config.negatives,
            n_orders=config.n_orders,
            n_clips=config.n_clips,
            n_windows=config.n_windows,
            seed=config.seed,
        )
        of_model: list[EvaluationClips | None] = [
            each for each in sets if not model.evaluation_sets or each.name in model.evaluation_sets
        ]
        for each in of_model or [None]:
            clips = each.clips if each else None
            questions = prepare_probe(
                concepts,
                question_config,
                config.pairs,
                clips,
                spoken=spoken,
                windowing=config.windowing,
            )
            plans.append(PlannedProbe(model, each, questions))
    return plans
