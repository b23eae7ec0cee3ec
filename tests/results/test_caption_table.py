"""Captions of several models side by side."""

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.results import Caption, ClassificationResult, Failure, LabelScores, Provenance
from audioprobe.results.tables import compare_captions


def result(*captions: Caption, failures: tuple[Failure, ...] = ()) -> ClassificationResult:
    ids = tuple(dict.fromkeys(caption.clip_id for caption in captions))
    scores = LabelScores(ids, ("crow",), np.zeros((len(ids), 1)))
    truth = dict.fromkeys((*ids, *(failure.clip_id for failure in failures)), ("crow",))
    return ClassificationResult(scores, captions, failures, PROVENANCE, truth)


PROVENANCE = Provenance({}, {}, 0, "", {}, "")


def test_each_clip_has_what_every_model_said_or_why_not() -> None:
    one = result(Caption("a", 0.0, "A bird."), Caption("a", 10.0, "Rain."), Caption("b", 0.0, "?"))
    failed = Failure("b", "read", "AudioReadError", "damaged")
    other = result(Caption("a", 0.0, "A crow."), failures=(failed,))
    table = compare_captions({"one": one, "other": other})
    assert table.header == ("clip", "labels", "one", "other")
    assert table.rows == (
        ("a", "crow", "A bird. / Rain.", "A crow."),
        ("b", "crow", "?", "AudioReadError: damaged"),
    )


def test_results_of_other_clips_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="different clips"):
        compare_captions({"x": result(Caption("a", 0, "?")), "y": result(Caption("b", 0, "?"))})
    with pytest.raises(InvalidInputError, match="Nothing to compare"):
        compare_captions({})
