"""Each stage of the network has the same output as the authors' code."""

import json
from dataclasses import replace

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from tests.golden_ltu import (
    FOLDER,
    close,
    golden,
    new_net,
    next_token_loss,
    recipe_tensor,
    spectrograms,
    tiny_base,
    tiny_config,
    tiny_net,
    tiny_prefix,
    tiny_trainable,
)
from tests.signals import chirp_10s
from torch import Tensor

from audioprobe.audio.filterbank import LTU
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu.assembly import build_from_published, map_names
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder, sincos_positions
from audioprobe.models.ltu.audio_prefix import AudioPrefix
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork, merge_lora
from audioprobe.models.ltu.number_format import merge_float32_lora

EVERY_16TH = slice(None, None, 16)


@pytest.fixture(autouse=True)
def _without_gradients() -> object:
    with torch.inference_mode():
        yield


def as_golden(actual: Tensor, name: str) -> None:
    close(actual, golden()[name])


def test_encoder_stages_equal_the_original() -> None:
    encoder = tiny_prefix().encoder
    tokens = encoder.embed(spectrograms())
    as_golden(tokens[:, EVERY_16TH], "enc.patch_embed")
    tokens = tokens + encoder.positions + encoder.modality
    for position, name in ((0, "enc.blocks_a.0"), (10, "enc.blocks_a.10"), (11, "enc.blocks_u.0")):
        done = tokens
        for block in list(encoder.blocks)[: position + 1]:
            done = block(done)
        as_golden(done[:, EVERY_16TH], name)
    as_golden(encoder(spectrograms())[:, EVERY_16TH], "enc.out")


def test_pooling_scaling_and_projection_equal_the_original() -> None:
    prefix = tiny_prefix()
    pooled = prefix.pool(prefix.encoder(spectrograms()))
    as_golden(pooled, "pool.time_pool")
    as_golden(pooled / 50, "pool.after_div50")
    as_golden(prefix(spectrograms()), "audio_tokens")


def test_norms_have_the_epsilon_of_the_original() -> None:
    """The inputs are so small that a wrong epsilon changes the output."""
    encoder, probe = tiny_prefix().encoder, golden()["E.probe_in"]
    as_golden(encoder.norm(probe), "E.norm_a_out")
    as_golden(encoder.blocks[0](probe), "E.blocks_a.0_out")
    as_golden(encoder.blocks[11](probe), "E.blocks_u.0_out")


def audio(*which: int) -> Tensor:
    tokens: Tensor = tiny_net().prefix(spectrograms()[list(which)])
    return tokens


def test_logits_with_and_without_audio_equal_the_original() -> None:
    net, ids = tiny_net(), golden()["in.input_ids"]
    as_golden(net.embed(ids, audio(0)), "A.inputs_embeds_concat")
    as_golden(net(ids, audio(0)), "A.logits")
    as_golden(net(ids, audio(1)), "A2.logits")
    as_golden(net(ids), "B.logits_text_only")


def test_merged_lora_gives_the_logits_of_the_original() -> None:
    net = new_net()
    before = net.llama.get_parameter("model.layers.0.self_attn.q_proj.base_layer.weight").clone()
    merge_lora(net.llama)
    weight = net.llama.get_parameter("model.layers.0.self_attn.q_proj.base_layer.weight")
    assert not torch.equal(weight, before)
    as_golden(net(golden()["in.input_ids"], audio(0)), "A.logits")


@pytest.mark.parametrize(("dtype", "merged"), [(torch.float32, True), (torch.bfloat16, False)])
def test_lora_is_merged_only_into_float32(dtype: torch.dtype, merged: bool) -> None:
    net = new_net().to(dtype)
    layers = [layer for layer in net.llama.modules() if isinstance(layer, LoraLayer)]
    merge_float32_lora(net)
    assert {layer.merged for layer in layers} == {merged}


@pytest.mark.parametrize("case", ["C", "C2"])
def test_training_loss_equals_the_original(case: str) -> None:
    """Padding is between audio and text; positions count it. The first token is not a target."""
    data = golden()
    logits = tiny_net()(data["C.input_ids"], audio(0, 1), data["C.attention_mask"])
    labels = data[f"{case}.labels"]
    close(next_token_loss(logits, labels), data[f"{case}.loss"].squeeze())
    targets = data["C.labels"] != -100
    close(logits[targets], data["C.logits"][targets])


def test_logits_without_padding_equal_the_original() -> None:
    data = golden()
    row = data["C.input_ids"][:1]
    n_text = data["C3.logits_sample0_unpadded"].shape[1]
    as_golden(tiny_net()(row[:, -n_text:], audio(0)), "C3.logits_sample0_unpadded")


def test_encoder_of_published_size_equals_the_original() -> None:
    expected = load_file(FOLDER / "encoder768_io.safetensors")
    with torch.device("meta"):
        prefix = AudioPrefix(CavMaeConfig(), 4096)
    published = json.loads((FOLDER / "trainable_keys_real_sizes.json").read_text())
    keys = {
        name: tuple(shape) for name, shape in published["ltu_7b"]["keys"].items() if "audio" in name
    }
    mapping = map_names(keys)
    weights = {
        mapped.removeprefix("prefix."): recipe_tensor(
            name.removeprefix("base_model.model.model."), keys[name]
        )
        for name, mapped in mapping.names.items()
    }
    prefix.load_state_dict(weights, assign=True)
    tokens = prefix.encoder(LTU(chirp_10s())[None])
    actual = {"enc_out": tokens[:, ::32], "pooled": prefix.pool(tokens)}
    actual["audio_tokens4096"] = prefix.project(actual["pooled"])[:, ::4, ::8]
    for name, value in actual.items():
        close(value, expected[f"chirp_10s_16k.{name}"])
    positions = sincos_positions(CavMaeConfig())[:, ::32]
    close(positions, expected["sincos_pos_embed_default_init"])


LLAMA_SIZES = {
    "ltu_7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32},
    "ltu_13b": {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40},
}


@pytest.mark.parametrize("size", LLAMA_SIZES)
def test_names_and_shapes_of_published_checkpoints_match(size: str) -> None:
    published = json.loads((FOLDER / "trainable_keys_real_sizes.json").read_text())[size]
    with torch.device("meta"):
        net = LTUNetwork(LTUConfig(llama={**LLAMA_SIZES[size], "num_attention_heads": 32}))
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    mapping = map_names(published["keys"])
    assert not mapping.unknown
    assert len(mapping.names) + len(mapping.unused) == published["n_tensors"]
    trained = {mapped: tuple(published["keys"][name]) for name, mapped in mapping.names.items()}
    assert trained == {n: s for n, s in expected.items() if "lora" in n or n.startswith("prefix")}


def test_unused_parameters_are_accepted_and_unknown_ones_raise() -> None:
    config, base, trained = tiny_config(), tiny_base(), tiny_trainable()
    tensor = torch.zeros(1)
    leftovers = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": tensor,
        "model.audio_encoder.blocks_v.3.attn.qkv.weight": tensor,
        "model.audio_encoder.patch_embed_v.proj.bias": tensor,
        "model.audio_encoder.pos_embed_v": tensor,
        "model.audio_encoder.norm.weight": tensor,
        "model.audio_encoder.mlp_head.1.bias": tensor,
        "model.audio_encoder.blocks_a.0.norm1_v.weight": tensor,
    }
    build_from_published(config, base | leftovers, trained, source="with leftovers")
    with pytest.raises(WeightsError, match=r"1 unexpected \(model\.video\)"):
        build_from_published(config, base | {"model.video": tensor}, trained, source="x")


@pytest.mark.parametrize(
    "lost",
    [
        "base_model.model.model.audio_encoder.blocks_u.0.norm1_a.weight",
        "base_model.model.model.audio_encoder.blocks_a.7.mlp.fc2.bias",
        "base_model.model.model.layers.1.self_attn.v_proj.lora_B.default.weight",
        "base_model.model.model.audio_proj.1.bias",
    ],
)
def test_missing_parameter_raises(lost: str) -> None:
    trained = tiny_trainable()
    del trained[lost]
    with pytest.raises(WeightsError, match="1 missing"):
        build_from_published(tiny_config(), tiny_base(), trained, source="x")


def test_names_without_the_prefix_of_peft_load() -> None:
    bare = {k.removeprefix("base_model.model."): v for k, v in tiny_trainable().items()}
    net = build_from_published(tiny_config(), tiny_base(), bare, source="bare")
    for expected, actual in zip(
        net.state_dict().values(), tiny_net().state_dict().values(), strict=True
    ):
        assert torch.equal(expected, actual)


def test_base_of_another_width_raises_with_both_widths() -> None:
    trained = tiny_trainable()
    for name in list(trained):
        if "audio_proj" in name:
            trained[name] = torch.zeros(80, *trained[name].shape[1:])
    with pytest.raises(WeightsError, match=r"base of width 80, but .* has width 64"):
        build_from_published(tiny_config(), tiny_base(), trained, source="x")


def test_impossible_sizes_raise() -> None:
    with pytest.raises(InvalidInputError, match="n_heads must be at least 1, got 0"):
        CavMaeConfig(n_heads=0)
    with pytest.raises(InvalidInputError, match="n_heads must divide"):
        CavMaeConfig(width=100, n_heads=12)
    with pytest.raises(InvalidInputError, match="patch must divide"):
        CavMaeConfig(n_frames=1000)
    encoder = CavMaeEncoder(CavMaeConfig(width=12, n_heads=1, n_blocks=1, mlp_width=12))
    with pytest.raises(InvalidInputError, match=r"\(n_clips, 1024, 128\)"):
        encoder(torch.zeros(1, 128, 1024))


def test_tied_embeddings_stay_tied() -> None:
    config = tiny_config()
    tied = replace(config, llama={**config.llama, "tie_word_embeddings": True})
    base = {name: tensor for name, tensor in tiny_base().items() if name != "lm_head.weight"}
    net = build_from_published(tied, base, tiny_trainable(), source="tied")
    assert net.llama.lm_head.weight is net.llama.model.embed_tokens.weight
    with pytest.raises(WeightsError, match=r"missing .*lm_head"):
        build_from_published(config, base, tiny_trainable(), source="untied")
