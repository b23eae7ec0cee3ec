"""Results of classification: immutable, with provenance; captions can be scored again later."""

from audioprobe.results.classification import ClassificationResult
from audioprobe.results.evaluation import Evaluation
from audioprobe.results.provenance import Provenance
from audioprobe.results.scores import Caption, Failure, LabelScores, Stage

__all__ = [
    "Caption",
    "ClassificationResult",
    "Evaluation",
    "Failure",
    "LabelScores",
    "Provenance",
    "Stage",
]
