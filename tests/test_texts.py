"""Two spellings of one text are one text, wherever labels, captions and names are compared."""

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.audio.sources import clips_of
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import InvalidInputError
from audioprobe.models.scripted import Scripted
from audioprobe.results.targets import targets_of
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.texts import checked_captions, checked_labels, nfc, path_on_disk
from audioprobe.types import Clip, Waveform

NFC, NFD = unicodedata.normalize("NFC", "Käuzchen"), unicodedata.normalize("NFD", "Käuzchen")
SOUND = Waveform(np.zeros(100, np.float32), 100)


@given(st.text())
def test_both_unicode_forms_have_one_normal_form(text: str) -> None:
    assert nfc(unicodedata.normalize("NFD", text)) == nfc(text) == nfc(nfc(text))


@pytest.mark.parametrize(("made", "requested"), [(NFC, NFD), (NFD, NFC)])
def test_file_is_found_in_either_unicode_form(tmp_path: Path, made: str, requested: str) -> None:
    (tmp_path / made).mkdir()
    (tmp_path / made / f"{made}.wav").touch()
    path = path_on_disk(tmp_path / requested / f"{requested}.wav")
    assert path == tmp_path / made / f"{made}.wav"
    assert path.is_file()
    assert (
        path_on_disk(tmp_path / requested / "other-ä.wav") == tmp_path / requested / "other-ä.wav"
    )


def test_clip_path_may_have_another_unicode_form(tmp_path: Path) -> None:
    (tmp_path / f"{NFD}.wav").touch()
    (clip,) = clips_of(tmp_path / f"{NFC}.wav")
    assert clip.path == tmp_path / f"{NFD}.wav"
    assert Path(clip.id).name == f"{NFC}.wav"


def test_clip_normalises_id_labels_and_group() -> None:
    clip = Clip(id=NFD, waveform=SOUND, labels=(NFD, NFC, "rain"), group=NFD)
    assert (clip.id, clip.labels, clip.group) == (NFC, (NFC, "rain"), NFC)


@pytest.mark.parametrize("labels", [("crow", None), (float("nan"),), "crow"])
def test_labels_of_a_clip_must_be_strings(labels: Any) -> None:
    with pytest.raises(InvalidInputError, match="tuple of texts"):
        Clip(id="x", waveform=SOUND, labels=labels)


@pytest.mark.parametrize(("truth", "requested"), [(NFC, NFD), (NFD, NFC), (f" {NFC}", f"{NFD} ")])
def test_targets_are_joined_in_either_unicode_form(truth: str, requested: str) -> None:
    targets = targets_of({f"{truth}.wav".strip(): (truth,)}, (f"{NFD}.wav",), (requested, "rain"))
    assert targets.tolist() == [[True, False]]


@pytest.mark.parametrize("labels", [None, ("crow", None), float("nan"), "crow"])
def test_targets_must_be_strings(labels: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"x\.wav"):
        targets_of({"x.wav": labels}, ("x.wav",), ("crow",))


@pytest.mark.parametrize(("caption", "label"), [(NFC, NFD), (NFD, NFC)])
def test_keyword_is_found_in_either_unicode_form(caption: str, label: str) -> None:
    assert KeywordScorer().score([f"Ein {caption} ruft."], [label]).tolist() == [[1.0]]
    synonyms = KeywordScorer(synonyms={NFD: [caption]})
    assert synonyms.score([f"Ein {label} ruft."], [NFC]).tolist() == [[1.0]]


def iterators(labels: list[str]) -> list[Callable[[], Iterable[str]]]:
    return [lambda: iter(labels), lambda: (x for x in labels), lambda: dict.fromkeys(labels).keys()]


@pytest.mark.parametrize("make", iterators([NFD, "rain"]))
def test_labels_may_be_an_iterator(make: Callable[[], Iterable[str]]) -> None:
    result = CaptionClassifier(Scripted(f"Ein {NFC}"), "keyword")([SOUND], make())
    assert (result.labels, result.failures) == ((NFC, "rain"), ())
    assert result.scores.tolist() == [[1.0, 0.0]]
    assert result.evaluate({"waveform-1": (NFD,)}).labels[0].n_positive == 1


@pytest.mark.parametrize("labels", [["crow", None], [float("nan")], None, 3, b"crow", [b"crow"]])
def test_labels_must_be_strings(labels: Any) -> None:
    with pytest.raises(InvalidInputError, match="labels must be"):
        checked_labels(labels)
    with pytest.raises(InvalidInputError, match="captions must be"):
        checked_captions(labels)


def test_unicode_forms_of_one_label_are_duplicates() -> None:
    with pytest.raises(InvalidInputError, match="more than once"):
        checked_labels([NFC, NFD])
