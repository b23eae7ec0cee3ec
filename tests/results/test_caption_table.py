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
    return ClassificationResult(
        label_scores=scores,
        captions=captions,
        failures=failures,
        provenance=PROVENANCE,
        truth=truth,
    )


PROVENANCE = Provenance(components={}, options={}, seed=0, data="", versions={}, created="")


def test_caption_table_has_captions_or_causes_of_every_model() -> None:
    first = result(
        Caption(clip_id="a", start=0.0, text="A bird."),
        Caption(clip_id="a", start=10.0, text="Rain."),
        Caption(clip_id="b", start=0.0, text="?"),
    )
    failed = Failure("b", "read", "AudioReadError", "damaged")
    second = result(Caption(clip_id="a", start=0.0, text="A crow."), failures=(failed,))
    table = compare_captions({"one": first, "other": second})
    assert table.header == ("clip", "labels", "one", "other")
    assert table.rows == (
        ("a", "crow", "A bird. / Rain.", "A crow."),
        ("b", "crow", "?", "AudioReadError: damaged"),
    )


def test_results_of_different_clips_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="different clips"):
        compare_captions(
            {
                "x": result(Caption(clip_id="a", start=0, text="?")),
                "y": result(Caption(clip_id="b", start=0, text="?")),
            }
        )
    with pytest.raises(InvalidInputError, match="Nothing to compare"):
        compare_captions({})
