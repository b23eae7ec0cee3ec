"""AST agrees with transformers' own extractor and classes, on a small model made here."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny_ast import LABELS, save_tiny_ast
from transformers import ASTFeatureExtractor, ASTForAudioClassification, ASTModel

from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.encoders.ast import AST
from audioprobe.testing import check_encoder, check_tagger
from audioprobe.types import Waveform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ast")
    save_tiny_ast(path)
    return path


@pytest.fixture(scope="module")
def ast(folder: Path) -> AST:
    return AST(str(folder))


def noise(seconds: float, rate: int = 16_000, seed: int = 0) -> Waveform:
    random = np.random.default_rng(seed)
    return Waveform(random.uniform(-0.3, 0.3, int(seconds * rate)).astype(np.float32), rate)


@pytest.mark.parametrize("seconds", [0.5, 5.0, 10.24, 12.0])
def test_tags_agree_with_transformers(ast: AST, folder: Path, seconds: float) -> None:
    extractor = ASTFeatureExtractor.from_pretrained(folder)
    reference = ASTForAudioClassification.from_pretrained(folder).eval()
    waveform = noise(seconds)
    inputs = extractor(waveform.samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        expected = torch.sigmoid(reference(**inputs).logits)[0].numpy()
    (actual,) = ast.tag([waveform])
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert expected.std() > 0.01  # the scores differ between labels


def test_features_agree_with_transformers(ast: AST, folder: Path) -> None:
    extractor = ASTFeatureExtractor.from_pretrained(folder)
    reference = ASTModel.from_pretrained(folder).eval()
    waveform = noise(10.24)
    inputs = extractor(waveform.samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        tokens = reference(**inputs).last_hidden_state[0, 2:].numpy()
    (actual,) = ast.encode([waveform])
    assert actual.shape == (101, 32)
    assert ast.hop == pytest.approx(0.1)
    np.testing.assert_allclose(actual, tokens.reshape(12, 101, 32).mean(axis=0), atol=1e-3)


def test_contracts_of_both_protocols(ast: AST) -> None:
    check_encoder(ast)
    check_tagger(ast)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_batch_size_does_not_change_outputs(ast: AST, folder: Path, batch_size: int) -> None:
    sounds = [noise(1.0 + n, seed=n) for n in range(5)]
    other = AST(str(folder), batch_size=batch_size)
    for expected, actual in zip(ast.tag(sounds), other.tag(sounds), strict=True):
        np.testing.assert_allclose(expected, actual, atol=1e-5)
    assert ast.info == other.info


def test_audio_beyond_the_input_is_cropped(ast: AST) -> None:
    long = noise(30.0)
    head = Waveform(long.samples[: 16_000 * 11], 16_000)
    whole, cropped = ast.tag([long, head])
    np.testing.assert_array_equal(whole, cropped)


def test_labels_and_phrases_come_from_the_config(ast: AST) -> None:
    assert ast.labels == tuple(LABELS.values())
    assert ast.phrases[1] == "rain on surface"


def test_too_short_audio_raises(ast: AST) -> None:
    with pytest.raises(UnsupportedInputError, match="160 samples at 16000 Hz is shorter than one"):
        list(ast.tag([noise(0.01)]))


def test_bfloat16_is_close_to_float32(ast: AST, folder: Path) -> None:
    half = AST(str(folder), dtype="bfloat16")
    (expected,), (actual,) = ast.encode([noise(5.0)]), half.encode([noise(5.0)])
    cosine = (expected * actual).sum() / np.linalg.norm(expected) / np.linalg.norm(actual)
    assert cosine > 0.999
    assert half.info != ast.info
    with pytest.raises(InvalidInputError, match="dtype"):
        AST(str(folder), dtype="int8")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def hear(folder: Path) -> None:
    list(AST(str(folder)).tag([noise(1.0)]))


def test_truncated_weights_raise(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="missing or incomplete"):
        hear(copy)


def test_missing_weights_raise(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="could not be read"):
        hear(copy)


def test_missing_or_unexpected_parameter_raises(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    left_out = weights.pop("classifier.dense.bias")
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 missing \(classifier\.dense\.bias\)"):
        hear(copy)
    extra = weights | {"classifier.dense.bias": left_out, "classifier.spare": torch.ones(1)}
    save_file(extra, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 unexpected \(classifier\.spare\)"):
        hear(copy)


def test_weights_of_another_size_raise(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["hidden_size"] = 64
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError):
        hear(copy)


def test_config_of_another_model_raises(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="expected an Audio Spectrogram Transformer"):
        hear(copy)


def test_folder_without_config_raises(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json"):
        AST(str(tmp_path))


def test_preprocessor_of_another_length_raises(copy: Path) -> None:
    file = copy / "preprocessor_config.json"
    file.write_text(file.read_text().replace("1024", "512"))
    with pytest.raises(WeightsError, match="disagree"):
        hear(copy)
