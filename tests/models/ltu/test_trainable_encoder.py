"""YAMNet as a part of an LTU whose weights are trained and saved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_ltu import write_base

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_frontend import feature_config, load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import set_trainable
from audioprobe.types import Prompt, Waveform

RATE = 16_000
TONE = Waveform(np.sin(np.arange(RATE * 3) * 0.3).astype(np.float32) * 0.3, RATE)
LORA = {"lora_rank": 2, "lora_alpha": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def model_on_yamnet(base: Path, *, trainable: bool) -> LTUCheckpoint:
    config = feature_config("yamnet", trainable=trainable)
    return init_ltu(base, {"audio": config, **LORA}, seed=0)


def test_untrained_network_gives_the_tokens_of_the_frozen_encoder(base: Path) -> None:
    frozen, trainable = (model_on_yamnet(base, trainable=value).net for value in (False, True))
    trainable.prefix.projection.load_state_dict(frozen.prefix.projection.state_dict())
    expected, tokens = (
        net.prefix(load_frontend(net.config.audio)(TONE)) for net in (frozen, trainable)
    )
    assert expected.shape == (1, 21, 64)
    torch.testing.assert_close(tokens, expected, atol=1e-4, rtol=1e-4)


def test_encoder_is_trained_and_saved_with_the_model(base: Path, tmp_path: Path) -> None:
    checkpoint = model_on_yamnet(base, trainable=True)
    model = TrainableLTU(checkpoint.net)
    parameters = set_trainable(model, "encoder")
    assert round(sum(p.numel() for p in parameters) / 1e6, 1) == 3.2  # million, without classes
    features = load_frontend(checkpoint.net.config.audio)(TONE)
    before = model.encode_audio(features).detach()
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward((model.encode_audio(features) ** 2).mean())
        optimizer.step()
    trained = model.encode_audio(features).detach()
    assert float((trained**2).mean()) < float((before**2).mean())
    folder = save_adapter(checkpoint, tmp_path / "trained", name="trained")
    loaded = LTU.from_pretrained(folder, base=base)
    whole = LTU(checkpoint.net, checkpoint.tokenizer, checkpoint.info({}))
    (stored,), (original,) = (
        m.log_likelihood([Prompt("what", audio=TONE)], ["abc"]) for m in (loaded, whole)
    )
    assert stored[0].total == pytest.approx(original[0].total, abs=0.02)  # float16 in the file


def test_encoder_without_a_network_of_patches_is_refused(base: Path) -> None:
    config = feature_config("birdnet", trainable=True)
    with pytest.raises(InvalidInputError, match="can only be used frozen"):
        init_ltu(base, {"audio": config}, seed=0)
