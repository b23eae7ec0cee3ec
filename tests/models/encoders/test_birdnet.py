"""BirdNET with its real weights: a crow is a crow, and every input has one answer."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets.recordings import Recordings
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.encoders.birdnet import N_LABELS, SAMPLE_RATE, WIDTH, WINDOW, BirdNET
from audioprobe.testing import check_encoder, check_tagger
from audioprobe.types import Waveform
from audioprobe.weights import resolve


@pytest.fixture(scope="module")
def birdnet() -> BirdNET:
    return BirdNET()


def crow() -> Waveform:
    return read_waveform(next(clip for clip in Recordings().clips() if clip.id == "crow.flac"))


def test_contracts_of_both_protocols(birdnet: BirdNET) -> None:
    check_encoder(birdnet)
    check_tagger(birdnet)


def test_recorded_crow_is_recognised(birdnet: BirdNET) -> None:
    (probabilities,) = birdnet.tag([crow()])
    assert birdnet.labels[probabilities.argmax()] == "Corvus brachyrhynchos_American Crow"
    assert birdnet.phrases[probabilities.argmax()] == "an American crow"
    assert probabilities.max() > 0.5


@settings(max_examples=10, deadline=None)
@given(n_samples=st.integers(1, 3 * WINDOW))
def test_one_frame_per_window_of_three_seconds(birdnet: BirdNET, n_samples: int) -> None:
    noise = np.random.default_rng(n_samples).uniform(-0.1, 0.1, n_samples).astype(np.float32)
    (frames,) = birdnet.encode([Waveform(noise, SAMPLE_RATE)])
    assert birdnet.hop == 3
    assert frames.shape == (-(-n_samples // WINDOW), WIDTH)


def test_embedding_times_weights_gives_the_logits(birdnet: BirdNET) -> None:
    """Weights times embedding plus bias gives the logits: it is the right tensor, unspoilt."""
    interpreter = birdnet._embedder
    details = interpreter.get_tensor_details()
    (matrix,) = [d for d in details if tuple(d["shape"]) == (N_LABELS, WIDTH)]
    (bias,) = [d for d in details if tuple(d["shape"]) == (N_LABELS,)]
    ((embedding,),) = birdnet.encode([crow()])
    logits = interpreter.get_tensor(matrix["index"]) @ embedding
    logits += interpreter.get_tensor(bias["index"])
    (probabilities,) = birdnet.tag([crow()])
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), probabilities, atol=1e-4)


def test_pooling_over_windows(birdnet: BirdNET) -> None:
    random = np.random.default_rng(0)
    parts = [random.uniform(-0.3, 0.3, WINDOW).astype(np.float32) * g for g in (1.0, 0.05)]
    whole = Waveform(np.concatenate(parts), SAMPLE_RATE)
    alone = np.stack(list(birdnet.tag([Waveform(part, SAMPLE_RATE) for part in parts])))
    mean = BirdNET(pooling="mean")
    np.testing.assert_allclose(next(iter(birdnet.tag([whole]))), alone.max(axis=0))
    np.testing.assert_allclose(next(iter(mean.tag([whole]))), alone.mean(axis=0))
    assert mean.info != birdnet.info
    with pytest.raises(InvalidInputError, match="pooling"):
        BirdNET(pooling="sum")  # type: ignore[arg-type]


def test_phrases_of_labels(birdnet: BirdNET) -> None:
    phrase = dict(zip(birdnet.labels, birdnet.phrases, strict=True))
    assert phrase["Corvus corone_Carrion Crow"] == "a carrion crow"
    assert phrase["Euphagus cyanocephalus_Brewer's Blackbird"] == "a Brewer's blackbird"
    assert phrase["Corvus brachyrhynchos_American Crow"] == "an American crow"
    articles = {tuple(text.split()[:2]) for text in birdnet.phrases}
    assert {
        ("a", "Eurasian"),
        ("a", "European"),
        ("an", "upland"),
        ("an", "ultramarine"),
    } <= articles
    assert not {("an", "Eurasian"), ("an", "European"), ("a", "upland")} & articles
    assert phrase["Engine_Engine"] == "an engine"
    assert phrase["Human vocal_Human vocal"] == "a human voice"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = resolve("BirdNET_GLOBAL_6K_V2.4").folder
    for name in source.glob("*V2.4_[ML][oa]*"):
        if "MData" not in name.name:
            shutil.copy(name, tmp_path)
    return tmp_path


def test_weights_from_a_folder(folder: Path, birdnet: BirdNET) -> None:
    (actual,), (expected,) = BirdNET(str(folder)).tag([crow()]), birdnet.tag([crow()])
    np.testing.assert_array_equal(actual, expected)


def test_damaged_or_wrong_weights_raise(folder: Path) -> None:
    (labels,) = folder.glob("*Labels.txt")
    (model,) = folder.glob("*.tflite")
    text = labels.read_text()
    labels.write_text(text[:1000])
    with pytest.raises(WeightsError, match="expected 6522 distinct labels"):
        BirdNET(str(folder))
    labels.write_text(text)
    model.write_bytes(model.read_bytes()[:10_000])
    with pytest.raises(WeightsError, match="not a usable TensorFlow Lite model"):
        BirdNET(str(folder))
    other = next(resolve("BirdNET_GLOBAL_6K_V2.4").folder.glob("*MData*.tflite"))
    shutil.copy(other, model)
    with pytest.raises(WeightsError, match=r"not BirdNET 2\.4: expected input"):
        BirdNET(str(folder))
    model.unlink()
    with pytest.raises(WeightsError, match="no such file"):
        BirdNET(str(folder))
