"""Display of clip ids and captions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import CaptionClassifier, Recordings, Scripted
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
