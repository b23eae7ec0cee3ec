"""Probes: measure what a language model knows about concepts in text and in audio."""

from audioprobe.probing.clips import ClipsByConcept, clips_by_concept, spoken_words
from audioprobe.probing.concept_probe import ConceptProbe, prepare_probe
from audioprobe.probing.consistency import Consistency, HypernymChain
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.familiarity import Familiarity, familiarity
from audioprobe.probing.modality_gap import ModalityGap, modality_gap
from audioprobe.probing.questions import Pairs, QuestionConfig, balanced_pairs, draw_lowest
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    Negatives,
    ProbeConcept,
    RelationKind,
    Target,
    from_concepts,
)
from audioprobe.probing.results import ProbeClip, ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.scores import Score, accuracy, blind_accuracy, score
from audioprobe.probing.trial import (
    YES_NO,
    AnswerReading,
    ConceptPair,
    Condition,
    Form,
    Judgement,
    PreparedProbe,
    ProbeQuestion,
    Trial,
)
from audioprobe.probing.wordings import PromptingOptions, Wording, Wordings, read_wordings
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
    "Familiarity",
    "Form",
    "HypernymChain",
    "Judgement",
    "ModalityGap",
    "Negatives",
    "Pairs",
    "PreparedProbe",
    "ProbeClip",
    "ProbeConcept",
    "ProbeOutcome",
    "ProbeQuestion",
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
    "familiarity",
    "from_concepts",
    "likelihood_scorer",
    "modality_gap",
    "prepare_probe",
    "read_wordings",
    "run_probe",
    "score",
    "score_yes_no",
    "spoken_words",
]
