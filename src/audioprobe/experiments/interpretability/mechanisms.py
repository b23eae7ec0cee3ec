"""The three mechanisms of the study, with their predictions, and the conclusion on each of them.

The mechanisms are hypotheses of "What do MLLMs hear?" (arXiv 2406.04615) about why a model that
knows a class in text answers wrongly about a recording. `rules` defines outcomes and conclusions.
"""

from audioprobe.experiments.interpretability.evidence import (
    ANSWERS,
    answers_by_familiarity,
    class_before_word,
    class_by_familiarity,
    effect_over_places,
    gap_of_roles,
    no_similarity,
    no_transfer,
    recognition_by_familiarity,
)
from audioprobe.experiments.interpretability.interventions import (
    TEXT_PATCHED,
    WORD_ERASED,
    WORD_PATCHED,
    WORD_READABLE,
)
from audioprobe.experiments.interpretability.representations import LINEAR, SIMILARITY, TRANSFER
from audioprobe.experiments.interpretability.rules import Conclusion, Prediction, PredictionEvidence
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord

WORDS = "Audio tokens are mapped to words"
SEPARATE = "Audio and text have separate representations"
UNFAMILIAR = "Unfamiliar sound is represented worse"

_READABLE = Prediction(
    "The word of the concept can be read at the positions of the clip.", WORD_READABLE, True
)
_NOT_BEFORE = Prediction(
    "The class cannot be read from the clip at sites before its word.", LINEAR, False
)
_ERASED = Prediction(
    "Erasing the direction of the word lowers the logit difference of the answer.",
    WORD_ERASED,
    True,
)
_WORD_SUFFICES = Prediction(
    "States of the word at the positions of the clip recover the answer.", WORD_PATCHED, False
)
_GAP = Prediction(
    "Text minus audio accuracy is larger for relations that were not trained in audio.",
    ANSWERS,
    True,
)
_NO_TRANSFER = Prediction(
    "A classifier of the class that is trained on text does not work on audio.", TRANSFER, True
)
_NOT_SIMILAR = Prediction(
    "Concepts are not arranged alike in text and in audio.", SIMILARITY, False
)
_REPAIRED = Prediction(
    "States of the text prompt repair answers that are right in text and wrong in audio.",
    TEXT_PATCHED,
    True,
)
_ENCODED = Prediction(
    "The class is read less accurately from encoder and connector for unfamiliar recordings.",
    LINEAR,
    True,
)
_ANSWERED = Prediction(
    "Answers about unfamiliar recordings of the same concepts are less accurate.", ANSWERS, True
)
_RECOGNISED = Prediction(
    "Unfamiliar recordings of the same concepts are recognised less often.", ANSWERS, False
)


def conclusions(record: InterpretabilityRecord) -> tuple[Conclusion, ...]:
    """Return the conclusion on each mechanism."""
    evidence: dict[str, tuple[PredictionEvidence, ...]] = {
        WORDS: (
            effect_over_places(record, _READABLE),
            class_before_word(record, _NOT_BEFORE),
            effect_over_places(record, _ERASED),
            effect_over_places(record, _WORD_SUFFICES),
        ),
        SEPARATE: (
            gap_of_roles(record, _GAP),
            no_transfer(record, _NO_TRANSFER),
            no_similarity(record, _NOT_SIMILAR),
            effect_over_places(record, _REPAIRED, only_repairable=True),
        ),
        UNFAMILIAR: (
            class_by_familiarity(record, _ENCODED),
            answers_by_familiarity(record, _ANSWERED),
            recognition_by_familiarity(record, _RECOGNISED),
        ),
    }
    return tuple(Conclusion(mechanism, parts) for mechanism, parts in evidence.items())
