"""Tables of results: display of clip ids and captions, and captions of several models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import CaptionClassifier, Recordings, Scripted
from audioprobe.errors import InvalidInputError
from audioprobe.results import Caption, ClassificationResult, Failure, LabelScores, Provenance
from audioprobe.results.tables import compare_captions, displayed_caption, remove_common_folder


@pytest.mark.parametrize(
    ("given_ids", "shown"),
    [
        (("/a/b/x.wav", "/a/b/y.wav"), ("x.wav", "y.wav")),
        (("a/b/x.wav", "a/bc/x.wav"), ("b/x.wav", "bc/x.wav")),
        (("a/x.wav", "y.wav"), ("a/x.wav", "y.wav")),
        (("a/x.wav",), ("a/x.wav",)),
        ((), ()),
    ],
)
def test_common_folder_is_removed(given_ids: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert remove_common_folder(given_ids) == shown


@given(st.lists(st.text("ab/", min_size=1, max_size=8), unique=True))
def test_displayed_ids_remain_unique(ids: list[str]) -> None:
    shown = remove_common_folder(ids)
    assert len(set(shown)) == len(ids)
    assert all(full.endswith(short) for full, short in zip(ids, shown, strict=True))


def test_caption_prefix_is_stored_but_not_displayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caption = "Audio caption: A crow."
    assert displayed_caption(caption) == "A crow."
    assert displayed_caption("A crow. Audio caption: no") == "A crow. Audio caption: no"
    assert displayed_caption("Audio caption: ") == "Audio caption: "
    folder = Recordings().folder
    result = CaptionClassifier(Scripted(caption), "keyword")(folder, ["crow"])
    assert {row[:2] for row in result.table().rows} >= {("crow.flac", "A crow.")}
    assert result.captions[0].text == caption
    table = compare_captions({"one": result, "other": result})
    assert table.header == ("clip", "one", "other")
    assert table.rows[0][1] == "A crow."
    for columns in (60, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert max(map(len, str(result).splitlines()[:2])) <= columns


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
    with pytest.raises(InvalidInputError, match="one result per model"):
        compare_captions({})
