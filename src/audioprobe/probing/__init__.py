"""Probes: measure what a language model knows about concepts in text and in audio."""

from audioprobe.probing.accuracy_difference import (
    AccuracyDifference,
    accuracy_difference,
    valid_answers,
)
from audioprobe.probing.agreement import (
    AnswerAgreement,
    model_agreement,
)
from audioprobe.probing.audio_use import (
    AudioUse,
    ConflictAnswers,
    WholeClipNeed,
)
from audioprobe.probing.clips import ClipsByConcept, ProbeClip, clips_by_concept, spoken_words
from audioprobe.probing.concept_probe import ConceptProbe, prepare_probe
from audioprobe.probing.consistency import Consistency, HypernymChain, consistency
from audioprobe.probing.diagnosis import Diagnosis, diagnose
from audioprobe.probing.familiarity import Familiarity, familiarity
from audioprobe.probing.logical_consistency import LogicalConsistency
from audioprobe.probing.modality_gap import ModalityGap, modality_gap
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.question_asker import parse_response
from audioprobe.probing.questions import Pairs, QuestionConfig, balanced_pairs, draw_lowest
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    Negatives,
    ProbeConcept,
    RelationKind,
    Target,
    from_concepts,
)
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.probing.scores import Score, accuracy, blind_accuracy, score
from audioprobe.probing.stability import Stability
from audioprobe.probing.tool_shapley import ToolShapley, tool_shapley
from audioprobe.probing.tool_use import ToolUse, ToolUseItem, tool_use
from audioprobe.probing.trial import (
    YES_NO,
    AnswerReading,
    ConceptPair,
    Condition,
    Form,
    Judgement,
    ProbeQuestion,
    SampledAnswer,
    Trial,
)
from audioprobe.probing.wordings import PromptingOptions, Wording, Wordings, read_wordings
from audioprobe.probing.yes_no import YesNoScorer, likelihood_scorer, score_yes_no

__all__ = [
    "YES_NO",
    "AccuracyDifference",
    "AnswerAgreement",
    "AnswerReading",
    "AudioUse",
    "ClipsByConcept",
    "ConceptPair",
    "ConceptProbe",
    "ConceptSet",
    "Condition",
    "ConflictAnswers",
    "Consistency",
    "Diagnosis",
    "Familiarity",
    "Form",
    "HypernymChain",
    "Judgement",
    "LogicalConsistency",
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
    "SampledAnswer",
    "Score",
    "Stability",
    "Target",
    "ToolShapley",
    "ToolUse",
    "ToolUseItem",
    "Trial",
    "WholeClipNeed",
    "Wording",
    "Wordings",
    "YesNoScorer",
    "accuracy",
    "accuracy_difference",
    "balanced_pairs",
    "blind_accuracy",
    "clips_by_concept",
    "consistency",
    "diagnose",
    "draw_lowest",
    "familiarity",
    "from_concepts",
    "likelihood_scorer",
    "modality_gap",
    "model_agreement",
    "parse_response",
    "prepare_probe",
    "read_wordings",
    "run_probe",
    "score",
    "score_yes_no",
    "spoken_words",
    "tool_shapley",
    "tool_use",
    "valid_answers",
]
