"""Whisper blocks, TLTR, audio tokens, logits and generated ids of LTU-AS equal the original."""

import json

import pytest
import torch
from tests.golden_ltu import FOLDER as LTU_FOLDER
from tests.golden_ltu import close
from tests.golden_ltuas import (
    SOUNDS,
    golden,
    tiny_net,
    tiny_prefix,
    whisper_golden,
    whisper_model,
    whisper_weights,
)
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.assembly import map_names
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.generation import TokenPrompt, generate
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.whisper_frontend import WhisperFeatures, log_mel
from audioprobe.types import Decoding, Waveform


@pytest.fixture(autouse=True)
def _without_gradients() -> object:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def features() -> WhisperFeatures:
    built = WhisperFeatures(whisper_model().config)
    # The golden encoder has a position for each of the 1,500 that Whisper knows.
    built.encoder.load_state_dict(whisper_weights())
    return built.eval()


def mel(name: str) -> Tensor:
    return log_mel(Waveform(SOUNDS[name].numpy(), 16_000), 1000)[None]


@pytest.mark.parametrize("name", SOUNDS)
def test_pooled_whisper_features_equal_the_original(features: WhisperFeatures, name: str) -> None:
    close(features(mel(name))[0], whisper_golden()[f"{name}.pooled_feat"])


def test_states_of_all_blocks_equal_the_original(features: WhisperFeatures) -> None:
    states = features.states(mel("chirp_1s_16k"))[:, :, ::20]
    close(states.permute(1, 2, 3, 0), whisper_golden()["chirp_1s_16k.all_layers"])


def test_encoder_tokens_and_logits_equal_the_original() -> None:
    features = golden()["in.feat"]
    close(tiny_prefix().encoder(features), golden()["enc.out"])
    tokens = tiny_prefix()(features)
    close(tokens, golden()["audio_tokens"])
    close(tiny_net()(golden()["in.input_ids"], tokens[:1]), golden()["A.logits"])


def test_greedy_ids_equal_the_original() -> None:
    ids = golden()["in.input_ids"][0]
    tokens = tiny_prefix()(golden()["in.feat"][:1])[0]
    expected = golden()["D1.greedy_ids"][0, len(ids) :].tolist()
    greedy = Decoding(max_new_tokens=len(expected))
    (answer,) = generate(tiny_net(), [TokenPrompt(ids, tokens)], greedy, eos_token_id=2)
    assert list(answer.ids) == expected


LLAMA_SIZES = {
    "ltuas_7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32},
    "ltuas_13b": {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40},
}


@pytest.mark.parametrize("size", LLAMA_SIZES)
def test_names_and_shapes_of_published_checkpoints_match(size: str) -> None:
    published = json.loads((LTU_FOLDER / "trainable_keys_real_sizes.json").read_text())[size]
    llama = {**LLAMA_SIZES[size], "num_attention_heads": 32}
    with torch.device("meta"):
        net = LTUNetwork(LTUConfig(audio=TltrConfig(), llama=llama))
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    mapping = map_names(published["keys"])
    assert not mapping.unknown
    assert not mapping.unused
    trained = {mapped: tuple(published["keys"][name]) for name, mapped in mapping.names.items()}
    assert trained == {n: s for n, s in expected.items() if "lora" in n or n.startswith("prefix")}


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(InvalidInputError, match="must divide the width"):
        TltrConfig(width=100)
