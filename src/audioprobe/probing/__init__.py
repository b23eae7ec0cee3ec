"""Probes: measure what a language model knows about concepts in text and in audio."""

from audioprobe.probing.clips import ClipsByConcept, clips_by_concept
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.consistency import Consistency, HypernymChain
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.modality_gap import ModalityGap, modality_gap
from audioprobe.probing.pairs import (
    ConceptPair,
    Negatives,
    Pairs,
    RelationKind,
    balanced_pairs,
    draw_lowest,
)
from audioprobe.probing.probe_builder import PreparedProbe, ProbeBuilder
from audioprobe.probing.prompting import ProbeRunner, PromptingOptions
from audioprobe.probing.questions import YES_NO, Condition, ProbeQuestion, QuestionConfig
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    ProbeConcept,
    Target,
    from_concepts,
)
from audioprobe.probing.results import ProbeClip, ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.scores import Score, accuracy, blind_accuracy, score
from audioprobe.probing.spoken_words import spoken_words
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.probing.wordings import Form, Wording, Wordings, read_wordings
from audioprobe.probing.yes_no import YesNoScorer, likelihood_scorer, score_yes_no

__all__ = [
    "YES_NO",
    "AnswerReading",
    "ClipsByConcept",
    "ConceptPair",
    "ConceptProbe",
    "ConceptSet",
    "Condition",
    "Consistency",
    "Diagnosis",
    "Form",
    "HypernymChain",
    "ModalityGap",
    "Negatives",
    "Pairs",
    "PreparedProbe",
    "ProbeBuilder",
    "ProbeClip",
    "ProbeConcept",
    "ProbeOutcome",
    "ProbeQuestion",
    "ProbeRunner",
    "PromptingOptions",
    "QuestionConfig",
    "RelationKind",
    "Score",
    "Target",
    "Trial",
    "Wording",
    "Wordings",
    "YesNoScorer",
    "accuracy",
    "balanced_pairs",
    "blind_accuracy",
    "clips_by_concept",
    "diagnose",
    "draw_lowest",
    "from_concepts",
    "likelihood_scorer",
    "modality_gap",
    "read_wordings",
    "run_probe",
    "score",
    "score_yes_no",
    "spoken_words",
]
