"""Zero-shot classifier: cosines, probabilities, failures, provenance and storage."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scripted import JointLevels, LevelTagger, content, sound
from tests.tiny_clap import save_tiny_clap
from torch.nn import functional

from audioprobe import CLAP, ClassificationResult, Windowing, ZeroShotClassifier
from audioprobe.errors import (
    ContractError,
    InvalidInputError,
    UnsupportedInputError,
    WeightsError,
)
from audioprobe.progress import ProgressEvent
from audioprobe.types import Clip, FloatArray, Waveform

LABELS = ["crow", "rain", "dog"]  # at 0, 60 and 90 degrees


def clips(*levels: float) -> list[Clip]:
    return [
        Clip(id=f"{n}", waveform=sound(value), labels=("crow",) if value == 0.1 else ())
        for n, value in enumerate(levels)
    ]


def cosines(*degrees: float) -> FloatArray:
    probabilities: FloatArray = np.cos(
        np.radians(np.array(degrees)[:, None] - np.array([0, 60, 90]))
    )
    return probabilities


def test_cosines_and_probabilities_are_both_reported() -> None:
    result = ZeroShotClassifier(JointLevels(scale=2.0))(clips(0.1, 0.5), LABELS)
    expected = cosines(10, 50)
    np.testing.assert_allclose(result.scores, expected, atol=1e-6)
    weights = np.exp(2 * expected)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.measures["probability"].values, probabilities, atol=1e-6)
    ranked = ZeroShotClassifier(JointLevels(), rank_by="probability")(clips(0.1, 0.5), LABELS)
    assert content(ranked) == content(result.ranked_by("probability"))
    assert [best[0][0] for best in result.label_scores.best()] == ["crow", "rain"]


def test_large_scale_does_not_overflow() -> None:
    result = ZeroShotClassifier(JointLevels(scale=1e4))(clips(0.1), LABELS)
    np.testing.assert_allclose(result.measures["probability"].values, [[1, 0, 0]], atol=1e-9)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0])
def test_invalid_scale_is_rejected_before_inference(scale: float) -> None:
    with pytest.raises(ContractError, match="logit_scale"):
        ZeroShotClassifier(JointLevels(scale=scale))(clips(0.1), LABELS)


def test_labels_are_embedded_once_in_the_template() -> None:
    encoder = JointLevels()
    result = ZeroShotClassifier(encoder)(clips(*[0.1] * 20), ["crow", "{0} dog", "100 % rain"])
    assert encoder.texts == [
        "This is a sound of crow.",
        "This is a sound of {0} dog.",
        "This is a sound of 100 % rain.",
    ]
    assert result.provenance.options == {
        "template": "This is a sound of {}.",
        "rank_by": "cosine",
        "channels": "mean",
        "length": "windows",
        "seconds": 10.0,
        "pooling": "max",
    }
    assert set(result.provenance.components) == {"encoder"}
    other = ZeroShotClassifier(encoder, template="{}")
    assert other(clips(0.1), LABELS).provenance.options["template"] == "{}"
    assert encoder.texts[3:] == LABELS


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_windows_are_pooled_per_measure(pooling: Any) -> None:
    long = Waveform(np.repeat([0.1, 0.5], 800).astype(np.float32), 8000)
    pool = np.max if pooling == "max" else np.mean
    reading = Windowing(seconds=0.1, pooling=pooling)
    result = ZeroShotClassifier(JointLevels(), windowing=reading)(long, LABELS)
    expected = cosines(10, 50)
    np.testing.assert_allclose(result.scores[0], pool(expected, axis=0), atol=1e-6)
    weights = np.exp(2 * expected)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    measured = result.measures["probability"].values[0]
    np.testing.assert_allclose(measured, pool(probabilities, axis=0), atol=1e-6)


class Picky(JointLevels):
    """Encoder that rejects audio with level 0.3, and returns NaN for level 0.4."""

    def embed_clip(self, waveform: Waveform) -> FloatArray:
        level = round(float(waveform.samples[0]), 3)
        if level == 0.3:
            raise UnsupportedInputError("cannot take it")
        return np.array([1.0, np.nan]) if level == 0.4 else super().embed_clip(waveform)


@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=10),
    batch=st.integers(1, 4),
)
def test_failing_clips_are_listed_and_others_scored_for_any_batch_size(
    levels: list[float], batch: int
) -> None:
    result = ZeroShotClassifier(Picky(batch_size=batch))(clips(*levels), LABELS)
    good = [(str(n), v) for n, v in enumerate(levels) if v < 0.3]
    assert result.clip_ids == tuple(clip_id for clip_id, _ in good)
    if good:
        expected = cosines(*(100 * v for _, v in good))
        np.testing.assert_allclose(result.scores, expected, atol=1e-6)
    causes = {0.3: "UnsupportedInputError", 0.4: "ZeroVectorError"}
    assert [(f.clip_id, f.stage, f.error) for f in result.failures] == [
        (str(n), "score", causes[v]) for n, v in enumerate(levels) if v in causes
    ]


def test_unreadable_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("not sound")
    result = ZeroShotClassifier(JointLevels(batch_size=2))(
        [tmp_path / "bad.wav", sound(0.1)], LABELS
    )
    assert [f.stage for f in result.failures] == ["read"]
    assert result.counts == {"clips": 2, "scored": 1, "failed": 1}


def test_result_round_trips_and_exports() -> None:
    result = ZeroShotClassifier(Picky())(clips(0.1, 0.3), LABELS)
    assert ClassificationResult.from_json(result.to_json()).to_json() == result.to_json()
    rows = list(csv.DictReader(io.StringIO(result.to_csv(), newline="")))
    probabilities = [float(rows[0][f"{label} (probability)"]) for label in LABELS]
    assert sum(probabilities) == pytest.approx(1)
    assert (rows[1]["crow"], rows[1]["cause"]) == ("", "cannot take it")


class Unready(JointLevels):
    def embed_clip(self, waveform: Waveform) -> FloatArray:
        raise WeightsError("no weights")


class Wide(JointLevels):
    def embed_clip(self, waveform: Waveform) -> FloatArray:
        return np.ones(3)


class Lossy(JointLevels):
    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return iter(list(super().embed_audio(waveforms))[1:])


class Chatty(JointLevels):
    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return (
            v for vector in super(Chatty, self).embed_audio(waveforms) for v in (vector, vector)
        )


class Short(JointLevels):
    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        return super().embed_texts(texts)[:-1]


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (Unready, WeightsError, "no weights"),
        (Wide, ContractError, r"shape \(2,\) .* like those of the labels, got \(3,\)"),
        (Lossy, ContractError, "encoder ended before it had answered every sound"),
        (Chatty, ContractError, "encoder returned more answers than sounds"),
        (Short, ContractError, "one row for each of 3 texts .* got an array of shape"),
    ],
)
def test_error_that_no_clip_causes_ends_the_run(
    broken: type[JointLevels], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ZeroShotClassifier(broken())(clips(0.1, 0.2), LABELS)


class Blank(JointLevels):
    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        return super().embed_texts(texts) * [["dog" not in text] for text in texts]


def test_label_with_zero_embedding_is_rejected_by_name() -> None:
    with pytest.raises(InvalidInputError, match=r"sound of dog\.' is zero or not finite"):
        ZeroShotClassifier(Blank())(clips(0.1), LABELS)


def test_invalid_labels_and_options_are_rejected() -> None:
    encoder = JointLevels()
    for labels in ([], [""], ["crow", "crow"], "crow"):
        with pytest.raises(InvalidInputError):
            ZeroShotClassifier(encoder)(clips(0.1), labels)
    assert not encoder.texts
    with pytest.raises(InvalidInputError, match="exactly once"):
        ZeroShotClassifier(encoder, template="a label")
    with pytest.raises(InvalidInputError, match="rank_by must be"):
        ZeroShotClassifier(encoder, rank_by="total")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="`logit_scale`, got LevelTagger"):
        ZeroShotClassifier(LevelTagger())  # type: ignore[arg-type]


def test_clap_by_name_classifies_recordings(tmp_path: Path) -> None:
    save_tiny_clap(tmp_path)
    seen: list[ProgressEvent] = []
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 15 * 8000).astype(np.float32)
    sounds = [Waveform(noise, 8000), sound(0.1)]
    result = ZeroShotClassifier(f"clap:{tmp_path}")(sounds, LABELS, progress=seen.append)
    encoder = CLAP(str(tmp_path))
    heads = [Waveform(noise[start : start + 80_000], 8000) for start in (0, 40_000)]
    vectors = np.stack(list(encoder.embed_audio([*heads, sound(0.1)])))
    texts = encoder.embed_texts([f"This is a sound of {label}." for label in LABELS])
    first, second, other = vectors @ texts.T
    np.testing.assert_allclose(result.scores, [np.maximum(first, second), other], atol=1e-5)
    assert result.provenance.components["encoder"] == encoder.info
    assert (seen[-1].done, seen[-1].total, seen[-1].n_failed) == (2, 2, 0)


TEMPLATES = ["This is a sound of {}.", "{}", "a recording of {}"]


def test_templates_and_synonyms_are_averaged_as_in_open_clip(tmp_path: Path) -> None:
    save_tiny_clap(tmp_path)
    encoder = CLAP(str(tmp_path))
    synonyms = {"dog": ["hound", "a barking animal"]}
    classifier = ZeroShotClassifier(encoder, template=TEMPLATES, synonyms=synonyms)
    result = classifier(sound(0.1), LABELS)
    audio = torch.tensor(np.stack(list(encoder.embed_audio([sound(0.1)]))))
    columns = []
    for label in LABELS:
        names = [label, *synonyms.get(label, [])]
        texts = [template.format(name) for name in names for template in TEMPLATES]
        embedding = functional.normalize(torch.tensor(encoder.embed_texts(texts)), dim=-1).mean(0)
        columns.append(embedding / embedding.norm())
    expected = functional.normalize(audio, dim=-1) @ torch.stack(columns, dim=1)
    np.testing.assert_allclose(result.scores, expected.numpy(), atol=1e-6)
    options = result.provenance.options
    assert options["template"] == tuple(TEMPLATES)
    assert options["synonyms of dog"] == ("hound", "a barking animal")
    assert ClassificationResult.from_json(result.to_json()).provenance.options == options


@pytest.mark.parametrize("templates", [[], ["{}", "{}"], ["{}", "a label"]])
def test_invalid_lists_of_templates_are_rejected(templates: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="template"):
        ZeroShotClassifier(JointLevels(), template=templates)


class Opposed(JointLevels):
    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[(-1.0) ** n, 0.0] for n in range(len(texts))])


def test_texts_that_cancel_each_other_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="cancel each other"):
        ZeroShotClassifier(Opposed(), template=["{}", "a {}"])(clips(0.1), ["crow"])
