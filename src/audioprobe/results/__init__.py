"""What comes out of a study: frozen, with provenance, and enough in it to be computed again."""

from audioprobe.results.classification import ClassificationResult
from audioprobe.results.provenance import Provenance
from audioprobe.results.scores import Caption, Failure, LabelScores, Stage

__all__ = ["Caption", "ClassificationResult", "Failure", "LabelScores", "Provenance", "Stage"]
