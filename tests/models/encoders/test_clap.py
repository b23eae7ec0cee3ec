"""CLAP agrees with transformers' own extractor, model and pipeline, on small models made here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_clap import save_tiny_clap
from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel, pipeline

from audioprobe import CLAP, Waveform, ZeroShotClassifier
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.encoders.clap_spectrogram import ClapSpectrogram, mask_exactly, middle_starts
from audioprobe.testing import check_encoder, check_joint_encoder

RATE = 48_000
TEXTS = ["rain", "a dog barks twice, far away", "a crow"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would take longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clap")
    save_tiny_clap(path)
    return path


@pytest.fixture(scope="module")
def fused_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clap_fused")
    save_tiny_clap(path, fused=True)
    return path


@pytest.fixture(scope="module")
def clap(folder: Path) -> CLAP:
    return CLAP(str(folder))


@pytest.fixture(scope="module")
def fused(fused_folder: Path) -> CLAP:
    return CLAP(str(fused_folder))


def noise(n_samples: int, rate: int = RATE, seed: int = 0) -> Waveform:
    random = np.random.default_rng(seed)
    return Waveform(random.uniform(-0.3, 0.3, n_samples).astype(np.float32), rate)


def tone(n_samples: int) -> Waveform:
    """All but one mel filter hold only what leaks: the hardest case for narrow numbers."""
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(n_samples) / RATE)
    return Waveform(samples.astype(np.float32), RATE)


class Middle:
    """What numpy's random choice is replaced by in the reference."""

    @staticmethod
    def choice(starts: Any) -> int:
        return int(starts[len(starts) // 2])

    @staticmethod
    def randint(low: int, high: int) -> int:
        return 0


SOUNDS = {
    "noise": noise(480_000),
    "tone": tone(480_000),
    "silence": Waveform(np.zeros(480_000, np.float32), RATE),
    "short": noise(100_001),
    "one sample": noise(1),
    "a hop longer": noise(480_100),
    "a frame longer": noise(480_500),
    "13 s": noise(13 * RATE),
    "25 s": noise(25 * RATE),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
def test_spectrogram_equals_the_extractor(
    name: str, truncation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np.random, "choice", Middle.choice)
    monkeypatch.setattr(np.random, "randint", Middle.randint)
    extractor = ClapFeatureExtractor(truncation=truncation)
    expected = extractor(SOUNDS[name].samples, sampling_rate=RATE, return_tensors="pt")
    actual = ClapSpectrogram(extractor)(SOUNDS[name].samples)
    torch.testing.assert_close(actual, expected["input_features"][0].float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
@pytest.mark.parametrize("n_samples", [100_001, 240_000, 479_999])
def test_short_audio_is_padded_as_by_the_extractor(padding: str, n_samples: int) -> None:
    extractor = ClapFeatureExtractor(truncation="rand_trunc", padding=padding)
    samples = noise(n_samples).samples
    expected = extractor(samples, sampling_rate=RATE, return_tensors="pt")
    actual = ClapSpectrogram(extractor)(samples)
    torch.testing.assert_close(actual, expected["input_features"][0].float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_starts", [1, 2, 3, 300])
def test_parts_of_long_audio_are_possible_choices_of_the_extractor(n_starts: int) -> None:
    thirds = np.array_split(np.arange(n_starts), 3)
    for start, third in zip(middle_starts(n_starts), thirds, strict=True):
        assert start in (third if len(third) else [0])


@pytest.mark.parametrize("which", ["folder", "fused_folder"])
def test_embeddings_agree_with_transformers(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = request.getfixturevalue(which)
    monkeypatch.setattr(np.random, "choice", Middle.choice)
    monkeypatch.setattr(np.random, "randint", Middle.randint)
    extractor = ClapFeatureExtractor.from_pretrained(folder)
    reference = ClapModel.from_pretrained(folder).eval()
    encoder = CLAP(str(folder), batch_size=2)
    sounds = [noise(480_000), tone(480_000), noise(30_000), noise(700_000)]
    actual = np.stack(list(encoder.embed_audio(sounds)))
    with torch.inference_mode():
        expected = torch.cat(
            [  # one by one: in a batch, transformers fuses only one short sound, at random
                reference.get_audio_features(
                    **extractor(sound.samples, sampling_rate=RATE, return_tensors="pt")
                ).pooler_output
                for sound in sounds
            ]
        ).numpy()
        inputs = AutoTokenizer.from_pretrained(folder)(TEXTS, return_tensors="pt", padding=True)
        texts = reference.get_text_features(**inputs).pooler_output.numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), texts, atol=1e-5)
    assert expected.std(axis=0).max() > 0.01  # the embeddings differ between clips
    assert texts.std(axis=0).max() > 1e-3


@pytest.mark.parametrize("which", ["folder", "fused_folder"])
def test_probabilities_equal_the_pipeline_of_transformers(
    which: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    sounds = [noise(480_000), tone(480_000), noise(30_000)]
    peer = pipeline("zero-shot-audio-classification", model=str(folder))
    classifier = ZeroShotClassifier(CLAP(str(folder)), rank_by="probability")
    result = classifier(sounds, TEXTS)
    for sound, row in zip(sounds, result.scores, strict=True):
        answers = {a["label"]: a["score"] for a in peer(sound.samples, candidate_labels=TEXTS)}
        np.testing.assert_allclose(row, [answers[text] for text in TEXTS], atol=1e-5)
    assert result.scores.std(axis=0).max() > 1e-3


def test_exact_masks_do_not_change_outputs(folder: Path) -> None:
    plain, exact = (ClapModel.from_pretrained(folder).eval() for _ in range(2))
    mask_exactly(exact)
    features = torch.randn(2, 1, 1001, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, first, second = (
            model.get_audio_features(features).pooler_output for model in (plain, exact, exact)
        )
    assert torch.equal(expected, first)
    assert torch.equal(first, second)
    masks = [
        m.get_attn_mask(64, 64, dtype=expected.dtype, device=expected.device)
        for m in _layers(exact)
    ]
    assert any(mask is not None and torch.isinf(mask).any() for mask in masks)


def _layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "get_attn_mask")]


@pytest.mark.parametrize("which", ["clap", "fused"])
def test_contracts_of_both_protocols(which: str, request: pytest.FixtureRequest) -> None:
    encoder = request.getfixturevalue(which)
    check_joint_encoder(encoder)
    check_encoder(encoder)


@pytest.mark.parametrize("which", ["folder", "fused_folder"])
def test_batch_size_does_not_change_outputs(which: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(which)
    sounds = [noise(RATE * (n + 7), seed=n) for n in range(5)]
    single, batched = (CLAP(str(folder), batch_size=size) for size in (1, 3))
    for a, b in zip(single.embed_audio(sounds), batched.embed_audio(sounds), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert single.info == batched.info


def test_mean_of_frames_is_projected_to_the_embedding(clap: CLAP, folder: Path) -> None:
    sound = noise(480_000)
    burst = np.array(sound.samples)
    burst[7 * RATE : 8 * RATE] += tone(RATE).samples
    with_burst = Waveform(burst, RATE)
    plain, changed = clap.encode([sound, with_burst])
    assert plain.shape == (32, 64)
    differences = np.abs(changed - plain).mean(axis=1)
    assert 7 * 3.2 - 2 <= np.argmax(differences) <= 8 * 3.2 + 1  # 3.2 frames a second
    features = ClapSpectrogram(ClapFeatureExtractor.from_pretrained(folder))(sound.samples)
    with torch.inference_mode():
        output = ClapModel.from_pretrained(folder).eval().audio_model(features[None])
    np.testing.assert_allclose(plain.mean(axis=0), output.pooler_output[0], atol=1e-5)


def test_audio_is_resampled_and_cropped_to_ten_seconds(clap: CLAP) -> None:
    long = noise(30 * 16_000, rate=16_000)
    head = Waveform(long.samples[: 11 * 16_000], 16_000)
    whole, cropped = clap.embed_audio([long, head])
    np.testing.assert_array_equal(whole, cropped)


def test_logit_scale_is_that_of_the_model(clap: CLAP, folder: Path) -> None:
    assert clap.logit_scale == pytest.approx(1 / 0.07)
    assert clap.info.options == {"dtype": "float32"}


def test_too_long_text_raises(clap: CLAP) -> None:
    with pytest.raises(InvalidInputError, match=r"has \d+ tokens, but .* takes at most 64"):
        clap.embed_texts(["rain", "rain " * 70])


def test_special_tokens_in_a_label_are_text(clap: CLAP) -> None:
    inputs = clap._tokenizer("a</s>", split_special_tokens=True, return_tensors="pt")
    assert inputs["input_ids"].shape[1] > 4
    with torch.inference_mode():
        expected = clap._network.get_text_features(**inputs).pooler_output
    np.testing.assert_allclose(clap.embed_texts(["a</s>"]), expected, atol=1e-6)
    with pytest.raises(InvalidInputError, match="surrogates"):
        clap.embed_texts(["a\ud800"])


def test_audio_too_short_for_resampling_raises(clap: CLAP) -> None:
    with pytest.raises(UnsupportedInputError, match="too short to be resampled"):
        list(clap.embed_audio([noise(1, rate=1_000_000)]))


def test_bfloat16_is_close_to_float32(clap: CLAP, folder: Path) -> None:
    half = CLAP(str(folder), dtype="bfloat16")
    (expected,), (actual,) = clap.embed_audio([noise(480_000)]), half.embed_audio([noise(480_000)])
    assert actual.dtype == np.float32
    assert float(expected @ actual / np.linalg.norm(actual)) > 0.99
    assert half.info != clap.info


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"batch_size": 0}])
def test_invalid_options_raise(folder: Path, options: Any) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        CLAP(str(folder), **options)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_damaged_weights_raise(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="missing or incomplete"):
        list(CLAP(str(copy)).embed_audio([noise(RATE)]))


def test_config_of_another_model_raises(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="expected a CLAP, found 'bert'"):
        CLAP(str(copy))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("truncation", "fusion", "disagree.*fusion True.*fusion False"),
        ("truncation", "middle", "truncation must be one of fusion, rand_trunc"),
        ("padding", "mirror", "padding must be one of"),
        ("max_length_s", 20, "disagree"),
    ],
)
def test_preprocessor_of_another_model_raises(
    copy: Path, name: str, value: Any, words: str
) -> None:
    file = copy / "processor_config.json"
    settings = json.loads(file.read_text())
    settings["feature_extractor"][name] = value
    if name == "max_length_s":
        settings["feature_extractor"]["nb_max_samples"] = value * RATE
    file.write_text(json.dumps(settings))
    with pytest.raises(WeightsError, match=words):
        CLAP(str(copy))


def test_tokenizer_of_another_model_raises(copy: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens([f"crow{n}" for n in range(300)])
    tokenizer.save_pretrained(copy)
    with pytest.raises(WeightsError, match="do not belong together"):
        CLAP(str(copy)).embed_texts(["crow"])


def test_folder_without_preprocessor_or_tokenizer_raises(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match="no readable tokenizer"):
        CLAP(str(copy)).embed_texts(["rain"])
    (copy / "processor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"no readable preprocessor_config\.json"):
        CLAP(str(copy))
