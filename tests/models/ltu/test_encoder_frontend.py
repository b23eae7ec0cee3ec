"""An LTU on the features of a separate encoder: any backend of the kind "encoder"."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_ast import save_tiny_ast
from tests.tiny_clap import save_tiny_clap
from tests.tiny_ltu import write_base

from audioprobe import Synthetic
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import BackendNotFoundError, InvalidInputError, WeightsError
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.models.ltu.audio_frontend import EncoderFrontend, feature_config
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.models.ltu.feature_encoder import FeatureConfig
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.saving import save_adapter, save_ltu
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.protocols import AudioEncoder
from audioprobe.registry import load
from audioprobe.testing import check_language_model
from audioprobe.training.feature_cache import FeatureCache
from audioprobe.training.trainable import set_trainable
from audioprobe.types import Prompt, Waveform

RATE = 16_000


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> Waveform:
    random = np.random.default_rng(seed)
    return Waveform(random.uniform(-0.3, 0.3, round(seconds * rate)).astype(np.float32), rate)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name of each encoder; AST and CLAP are small and random."""
    folder = tmp_path_factory.mktemp("encoders")
    save_tiny_ast(folder / "ast")
    save_tiny_clap(folder / "clap")
    return {
        "yamnet": "yamnet",
        "birdnet": "birdnet",
        "ast": f"ast:{folder / 'ast'}",
        "clap": f"clap:{folder / 'clap'}",
    }


def tiny_model(base: Path, audio: FeatureConfig) -> LTUCheckpoint:
    checkpoint = init_ltu(base, {"audio": audio, "lora_rank": 2}, seed=1)
    with torch.no_grad():  # LoRA starts at 0, and the projection with small values
        for name, parameter in checkpoint.net.named_parameters():
            if "lora_B" in name or "projection" in name:
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(3))
    return checkpoint


@pytest.mark.parametrize("name", ["yamnet", "birdnet", "ast", "clap"])
def test_features_of_any_encoder_become_tokens(
    base: Path, encoders: dict[str, str], name: str, tmp_path: Path
) -> None:
    config = feature_config(encoders[name])
    net = tiny_model(base, config).net
    waveform = noise(5.0)
    encoder = load("encoder", encoders[name])
    assert isinstance(encoder, AudioEncoder)
    (expected,) = encoder.encode([waveform])
    features = EncoderFrontend(config)(waveform)
    assert features.shape == (1, config.n_steps, config.width)
    n = min(len(expected), config.n_steps)
    torch.testing.assert_close(features[0, :n], torch.tensor(expected[:n], dtype=torch.float32))
    assert torch.equal(features[0, n:], features[0, : config.n_steps - n]), "repeated"
    tokens = net.prefix(features)
    assert tokens.shape == (1, config.n_steps, net.llama.config.hidden_size)


@pytest.fixture(scope="module")
def saved(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tiny_model(base, feature_config("yamnet", {"hop": 0.32}))
    return save_adapter(checkpoint, tmp_path_factory.mktemp("model") / "tiny", name="tiny")


@pytest.fixture(scope="module")
def model(saved: Path, base: Path) -> LTU:
    return LTU.from_pretrained(saved, base=base)


def test_number_of_tokens_is_that_of_the_hop() -> None:
    fine, coarse = feature_config("yamnet", {"hop": 0.32}), feature_config("yamnet")
    assert (fine.n_steps, coarse.n_steps) == (30, 21)
    assert fine.options == {"hop": 0.32}
    assert fine.revision == YAMNet().info.revision


def test_saved_model_loads_its_encoder(model: LTU, base: Path) -> None:
    direct = tiny_model(base, feature_config("yamnet", {"hop": 0.32}))
    frontend = EncoderFrontend(feature_config("yamnet", {"hop": 0.32}))
    whole = LTU(direct.net, direct.tokenizer, direct.info({}), frontend=frontend)
    prompts = [Prompt("what", audio=noise(2.0, seed)) for seed in range(2)]
    stored, original = (
        [[x.total for x in answers] for answers in m.log_likelihood(prompts, ["a", "bc"])]
        for m in (model, whole)
    )
    np.testing.assert_allclose(stored, original, atol=0.05)  # weights are stored in float16
    assert model.info.options["encoder"] == "YAMNet"
    assert model.info.options["encoder_revision"] == YAMNet().info.revision


def test_whole_model_is_saved_and_loaded(base: Path, tmp_path: Path) -> None:
    checkpoint = tiny_model(base, feature_config("yamnet"))
    folder = save_ltu(checkpoint, tmp_path / "whole", name="whole")
    (answer,) = LTU.from_pretrained(folder).log_likelihood([Prompt("x", audio=noise(1.0))], ["a"])
    frontend = EncoderFrontend(feature_config("yamnet"))
    original = LTU(checkpoint.net, checkpoint.tokenizer, checkpoint.info({}), frontend=frontend)
    (expected,) = original.log_likelihood([Prompt("x", audio=noise(1.0))], ["a"])
    assert answer[0].total == pytest.approx(expected[0].total, abs=1e-4)


@pytest.mark.slow
def test_contract_of_language_models(model: LTU) -> None:
    check_language_model(model)


def test_answers_depend_on_the_audio(model: LTU) -> None:
    tone = Waveform(np.sin(np.arange(RATE * 3) * 0.3).astype(np.float32) * 0.3, RATE)
    prompts = [Prompt("what", audio=audio) for audio in (noise(3.0), tone)]
    first, second = model.log_likelihood(prompts, ["abc"])
    assert abs(first[0].total - second[0].total) > 1e-3


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_only_audio_beyond_the_input_length_is_ignored(model: LTU, rate: int) -> None:
    long = noise(12.0, rate=rate)
    same = Waveform(long.samples[: round(10.24 * rate)], rate)
    shorter = Waveform(long.samples[: 9 * rate], rate)
    prompts = [Prompt("what", audio=audio) for audio in (long, same, shorter)]
    with pytest.warns(UserWarning, match="truncated"):
        totals = [answers[0].total for answers in model.log_likelihood(prompts, ["abc"])]
    assert totals[0] == totals[1] != totals[2]
    (response,) = model.generate(prompts[:1])
    assert response.details["truncated audio (s)"] == pytest.approx(1.76)


def test_projection_is_trained_and_the_encoder_is_not(base: Path) -> None:
    checkpoint = tiny_model(base, feature_config("yamnet"))
    model = TrainableLTU(checkpoint.net)
    assert len(set_trainable(model, "projector")) == 2
    with pytest.raises(InvalidInputError, match="no encoder to train"):
        set_trainable(model, "encoder")


def test_other_weights_of_the_encoder_cause_a_warning() -> None:
    config = feature_config("yamnet")
    changed = FeatureConfig(
        encoder="yamnet", revision="0" * 16, width=config.width, n_steps=config.n_steps
    )
    with pytest.warns(UserWarning, match="has the revision"):
        EncoderFrontend(changed)


def refuse_width(config: FeatureConfig) -> None:
    wrong = FeatureConfig(encoder=config.encoder, width=512, n_steps=config.n_steps)
    EncoderFrontend(wrong)(noise(1.0))


def refuse_name(config: FeatureConfig) -> None:
    EncoderFrontend(FeatureConfig(encoder="yamnett", width=config.width, n_steps=1))


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (refuse_width, WeightsError, "width 512"),
        (refuse_name, BackendNotFoundError, "Did you mean 'yamnet'"),
    ],
)
def test_encoder_that_does_not_fit_raises(
    attempt: Callable[[FeatureConfig], None], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        attempt(feature_config("yamnet"))


@pytest.mark.slow
def test_features_are_cached_once_and_by_encoder(tmp_path: Path) -> None:
    """The features of a worker process, which loads the encoder itself, equal those made here."""
    clips = Synthetic(n_clips=3, max_sources=1, palette=("owl", "bell"), seconds=1.5).clips()
    frontend = EncoderFrontend(feature_config("yamnet"))

    def cached(name: str, hop: float = 0.48, workers: int = 1) -> FeatureCache:
        extractor = EncoderFrontend(feature_config("yamnet", {"hop": hop}))
        labels = ("owl", "bell")
        source = {"data": "three scenes"}
        return FeatureCache(
            clips, labels, tmp_path / name, extractor, source=source, workers=workers
        )

    rows = torch.arange(3)
    alone = cached("alone").features(rows)
    by_workers = cached("workers", workers=2).features(rows)
    assert torch.equal(alone, by_workers)
    expected = torch.cat([frontend(read_waveform(clip)) for clip in clips])
    assert torch.equal(alone, expected.half().float())
    with pytest.raises(InvalidInputError, match="another audio encoder"):
        cached("alone", hop=0.96)
