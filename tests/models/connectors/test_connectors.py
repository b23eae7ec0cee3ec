"""LTUs with every kind of connector: contracts, laws, references, files."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.connectors.tiny_connectors import CONNECTORS, checkpoint_of
from tests.tiny_ltu import write_base
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.models.connectors.config import (
    CodesConfig,
    CrossAttentionConfig,
    KeysValuesConfig,
    MLPConfig,
    RandomConfig,
    RegisteredConfig,
    ResamplerConfig,
)
from audioprobe.models.connectors.keys_values import extended_mask
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.discrete import DiscreteAudioLM
from audioprobe.models.ltu.generation import TokenPrompt, generate
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.models.tokenizers.codes import nearest_code
from audioprobe.sites import InspectedPrompt
from audioprobe.testing import (
    check_audio_tokenizer,
    check_inspectable,
    check_likelihood_model,
)
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import QARecord, encode_record
from audioprobe.training.trainable import set_trainable
from audioprobe.types import Decoding, Prompt, Waveform

LAYERS = ("cross-attention", "keys and values")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def language_model(checkpoint: LTUCheckpoint) -> LTU:
    return LTU(checkpoint.net.eval(), checkpoint.tokenizer, checkpoint.info({}), batch_size=3)


def noise(seed: int, seconds: float = 3.0) -> Waveform:
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return Waveform(samples.astype(np.float32), 16_000)


def totals(model: LTU, prompts: list[Prompt]) -> Tensor:
    answers = model.log_likelihood(prompts, ["yes", "no", "a crow"])
    return torch.tensor([[answer.total for answer in row] for row in answers])


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == LAYERS[0] else pytest.mark.slow) for n in CONNECTORS],
)
def test_models_follow_the_protocols(base: Path, name: str) -> None:
    model = language_model(checkpoint_of(base, CONNECTORS[name]))
    check_likelihood_model(model)
    check_inspectable(model)


@pytest.mark.parametrize("name", CONNECTORS)
def test_saved_models_answer_alike(base: Path, name: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(base, CONNECTORS[name])
    with torch.no_grad():  # files have float16
        for key, parameter in checkpoint.net.named_parameters():
            if key.startswith("prefix") or "lora_" in key:
                parameter.copy_(parameter.half().float())
    save_adapter(checkpoint, tmp_path / "saved", name="tiny")
    loaded = LTU.from_pretrained(tmp_path / "saved", base=base)
    prompts = [Prompt("what", noise(1)), Prompt("what", noise(2)), Prompt("what")]
    torch.testing.assert_close(
        totals(loaded, prompts), totals(language_model(checkpoint), prompts), rtol=1e-4, atol=1e-4
    )
    config = checkpoint.net.config
    assert from_json(LTUConfig, to_json(config)) == config


@pytest.mark.parametrize("name", CONNECTORS)
def test_text_alone_does_not_depend_on_the_connector(base: Path, name: str) -> None:
    text = [Prompt("Is a crow a bird?")]
    mlp = language_model(checkpoint_of(base, CONNECTORS["linear"]))
    net = language_model(checkpoint_of(base, CONNECTORS[name]))._net
    for key, parameter in net.named_parameters():
        if "lora_" in key:
            parameter.data = mlp._net.get_parameter(key).data
    other = LTU(net, mlp._tokenizer, mlp.info)
    assert torch.equal(totals(other, text), totals(mlp, text))


def test_closed_gates_leave_the_language_model_as_it_is(base: Path) -> None:
    model = language_model(checkpoint_of(base, CONNECTORS["cross-attention"], gates=0.0))
    assert torch.equal(totals(model, [Prompt("what", noise(1))]), totals(model, [Prompt("what")]))
    untrained = LTUNetwork(checkpoint_of(base, CONNECTORS["cross-attention"]).net.config)
    gates = [p for name, p in untrained.named_parameters() if name.endswith(".gate")]
    assert gates
    assert not any(gate.detach().any() for gate in gates)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_read_only_within_a_call(base: Path, name: str) -> None:
    model = language_model(checkpoint_of(base, CONNECTORS[name]))
    silent, with_audio = totals(model, [Prompt("what")]), totals(model, [Prompt("what", noise(1))])
    assert not torch.allclose(silent, with_audio)
    assert torch.equal(totals(model, [Prompt("what")]), silent)
    other = totals(model, [Prompt("what", noise(2))])
    assert not torch.allclose(other, with_audio)


@pytest.mark.parametrize("name", ["linear", *LAYERS])
def test_questions_about_one_clip_share_it_without_changing_answers(base: Path, name: str) -> None:
    net = checkpoint_of(base, CONNECTORS[name]).net.eval().double()
    with torch.inference_mode():
        clips = [net.prefix(torch.randn(1, 21, 1024))[0] for _ in range(2)]
    prompts = [
        TokenPrompt(torch.tensor([1, 5, 6, 7, *ids]), clip)
        for clip in (*clips, None)
        for ids in ([8], [9, 10], [11, 12, 13])
    ]
    decoding = Decoding(max_new_tokens=8)
    together = generate(net, prompts, decoding, eos_token_id=2)
    assert together == [generate(net, [p], decoding, eos_token_id=2)[0] for p in prompts]
    assert len({tokens.ids for tokens in together}) > 3


@pytest.mark.parametrize("name", LAYERS)
def test_copies_read_their_own_tokens(base: Path, name: str) -> None:
    model = language_model(checkpoint_of(base, CONNECTORS[name]))
    prompts = [Prompt("what", noise(1))]
    expected = totals(model, prompts)
    copied = LTU(copy.deepcopy(model._net), model._tokenizer, model.info)
    assert torch.equal(totals(copied, prompts), expected)
    with torch.no_grad():
        for parameter in model._net.prefix.projection.parameters():
            parameter.zero_()
    assert torch.equal(totals(copied, prompts), expected)


def test_codes_equal_words_of_an_extended_vocabulary(base: Path) -> None:
    """The reference is transformers' model with additional rows, whose logits are masked."""
    checkpoint = checkpoint_of(base, CONNECTORS["codes"])
    net, config = checkpoint.net.eval(), checkpoint.net.llama.config
    features = torch.randn(1, 21, 1024)
    ids = torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        expected = net(ids, net.prefix(features))
        extended = copy.deepcopy(net.llama)
        n_words = config.vocab_size
        extended.resize_token_embeddings(n_words + 7)
        extended.get_input_embeddings().weight[n_words:] = net.prefix.projection.rows[0]
        codes = n_words + net.prefix.projection.codes(features)[..., 0]
        logits = extended(torch.cat([codes, ids], dim=1)).logits[:, 21:, :n_words]
    assert isinstance(extended, LlamaForCausalLM)
    torch.testing.assert_close(expected, logits, rtol=1e-5, atol=1e-5)


def test_new_words_start_at_the_mean_of_the_old_ones(base: Path) -> None:
    projection = checkpoint_of(base, CodesConfig(n_codes=400)).net.prefix.projection
    words = torch.randn(1000, projection.rows.shape[2]) + 3.0
    projection.start_from(words, seed=0)
    torch.testing.assert_close(projection.rows.mean(dim=(0, 1)), words.mean(0), atol=0.1, rtol=0)
    deviation = projection.rows.std(dim=1).mean() / words.std(dim=0).mean()
    assert 0.4 < float(deviation) < 0.6
    first = projection.rows.clone()
    projection.start_from(words, seed=0)
    assert torch.equal(first, projection.rows)


def test_a_second_codebook_quantises_the_rest(base: Path) -> None:
    book = checkpoint_of(base, CONNECTORS["two codebooks"]).net.prefix.projection.codebook
    features = functional.normalize(torch.randn(50, 1024), dim=1)
    codes, total = book(features)
    assert torch.equal(codes[:, 0], nearest_code(features, book.centroids[0]))
    rest = features - book.centroids[0][codes[:, 0]]
    assert torch.equal(codes[:, 1], torch.cdist(rest, book.centroids[1]).argmin(dim=1))
    torch.testing.assert_close(total, sum(book.centroids[n][codes[:, n]] for n in (0, 1)))


def test_keys_and_values_equal_attention_to_unrotated_tokens(base: Path) -> None:
    """The reference computes the attention of one layer by hand."""
    net = checkpoint_of(base, KeysValuesConfig(every=100, width=12)).net.eval()
    layer, hidden = net.llama.model.layers[0], net.llama.config.hidden_size
    states, tokens = torch.randn(1, 6, hidden), torch.randn(4, hidden)
    rotary = net.llama.model.rotary_emb(states, torch.arange(6)[None])
    parts: dict[str, Tensor] = {}
    handle = layer.self_attn.o_proj.register_forward_pre_hook(
        lambda _, args: parts.update(given=args[0])
    )
    with torch.no_grad(), net.reading([tokens]):
        layer.self_attn(
            hidden_states=states, position_embeddings=rotary, attention_mask=None, cache=None
        )
    handle.remove()
    attention = layer.self_attn

    def split(rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:-1], -1, attention.head_dim).transpose(-2, -3)

    with torch.no_grad():
        query, key = split(attention.q_proj(states)), split(attention.k_proj(states))
        cos, sin = (part[:, None] for part in rotary)
        query, key = (x * cos + rotated(x) * sin for x in (query, key))
        normed = layer.input_layernorm(tokens)[None]
        keys = torch.cat([split(attention.k_proj(normed)), key], dim=2)
        values = torch.cat([split(attention.v_proj(x)) for x in (normed, states)], dim=2)
        repeat = query.shape[1] // keys.shape[1]
        keys, values = (x.repeat_interleave(repeat, dim=1) for x in (keys, values))
        scores = query @ keys.transpose(-1, -2) * attention.scaling
        causal = torch.ones(6, 6, dtype=torch.bool).tril()
        scores[..., 4:] = scores[..., 4:].masked_fill(~causal, -torch.inf)
        expected = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(parts["given"], expected, rtol=1e-4, atol=1e-5)


def rotated(rows: Tensor) -> Tensor:
    """The second half of each vector, negated, and the first half."""
    first, second = rows.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def test_masks_of_audio_tokens() -> None:
    states, present = torch.zeros(2, 3, 8), torch.tensor([True, False])
    mask = extended_mask(None, states, 2, present, 4) == 0
    assert mask.shape == (2, 1, 3, 4 + 5)
    assert mask[0, 0, :, :4].all()
    assert not mask[1, 0, :, :4].any()
    assert mask[1, 0, :, 4:].tolist() == [
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]
    visible = torch.tensor([[[[False, True, True]]]]).expand(2, 1, 3, 3)
    assert torch.equal(extended_mask(visible, states, 0, present, 4)[..., 4:] == 0, visible)


@pytest.mark.parametrize("name", CONNECTORS)
def test_training_reaches_all_parameters_and_equals_inference(base: Path, name: str) -> None:
    checkpoint = checkpoint_of(base, CONNECTORS[name])
    model, prompts = TrainableLTU(checkpoint.net), LTUPrompts(checkpoint.tokenizer)
    for module in checkpoint.net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    set_trainable(model, "projector+lora")
    records = [
        QARecord(instruction="what is it", output="a crow", audio_id="1"),
        QARecord(instruction="how many", output="two", audio_id="1"),
        QARecord(instruction="what is it", output="rain", audio_id="2"),
        QARecord(instruction="is it", output="no"),
    ]
    examples = [encode_record(record, prompts, max_tokens=300) for record in records]
    audio = {n: torch.randn(21, 1024) for n in "12"}
    batch = collate(examples, audio, targets="answer", pad_id=prompts.eos_token_id)
    loss = AnswerLoss(model)(batch)
    loss.backward()
    without = [
        key
        for key, parameter in checkpoint.net.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not [key for key in without if not key.endswith(("bias", "queries"))], without
    with torch.no_grad():
        rows = []
        for record, example in zip(records, examples, strict=True):
            ids = torch.tensor([example.ids])
            tokens = (
                checkpoint.net.prefix(audio[record.audio_id][None]) if record.audio_id else None
            )
            logits = checkpoint.net(ids, tokens)[0, example.n_prompt - 1 : -1]
            rows.append(
                functional.cross_entropy(logits, ids[0, example.n_prompt :], reduction="none")
            )
    torch.testing.assert_close(loss.detach(), torch.cat(rows).mean(), rtol=1e-4, atol=1e-5)


def test_random_vectors_identify_a_clip_and_nothing_else(base: Path) -> None:
    prefix = checkpoint_of(base, RandomConfig()).net.prefix
    features = torch.randn(2, 21, 1024)
    tokens = prefix(features)
    assert torch.equal(prefix(features.flip(0)), tokens.flip(0))
    similar = features + 0.01
    assert not torch.allclose(prefix(similar), tokens, atol=0.1)


def test_window_queries_depend_on_their_window_alone(base: Path) -> None:
    prefix = checkpoint_of(base, CONNECTORS["window resampler"]).net.prefix
    features = torch.randn(1, 21, 1024)
    changed = features.clone()
    changed[:, 4:6] *= torch.linspace(-1, 1, 1024)  # a constant would be normalised away
    differences = (prefix(features) - prefix(changed)).abs().amax(dim=2)[0]
    assert differences.shape == (11,)
    assert (differences > 1e-3).nonzero().tolist() == [[2]]


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: MLPConfig(0), "width"),
        (lambda: ResamplerConfig(width=10, n_heads=4), "multiple"),
        (lambda: ResamplerConfig(window=-1), "window"),
        (lambda: CrossAttentionConfig(every=0), "every"),
    ],
)
def test_invalid_sizes_are_refused(make: object, part: str) -> None:
    assert callable(make)
    with pytest.raises(InvalidInputError, match=part):
        make()


def test_a_window_longer_than_the_clip_is_refused(base: Path) -> None:
    with pytest.raises(InvalidInputError, match="21"):
        checkpoint_of(base, ResamplerConfig(n_queries=1, width=8, n_heads=2, window=40))


def test_a_codebook_of_another_encoder_is_refused(base: Path) -> None:
    projection = checkpoint_of(base, CONNECTORS["codes"]).net.prefix.projection
    with pytest.raises(InvalidInputError, match="1024"):
        projection.codebook.set(torch.zeros(1, 7, 512))


def test_attention_to_keys_and_values_of_audio_cannot_be_read(base: Path) -> None:
    model = language_model(checkpoint_of(base, CONNECTORS["keys and values"]))
    with pytest.raises(UnsupportedInputError, match="keys and values"):
        model.run_with_hooks(
            [InspectedPrompt(Prompt("what", noise(1)))],
            {},
            ForwardOptions(attention={0: lambda _, __: None}),
        )


def test_connectors_of_other_distributions_are_found_by_name(base: Path) -> None:
    with pytest.raises(LookupError, match="no-such-connector"):
        checkpoint_of(base, RegisteredConfig(name="no-such-connector"))


def test_a_model_with_codes_has_their_tokenizer(base: Path, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(base, CONNECTORS["two codebooks"])
    save_adapter(checkpoint, tmp_path / "saved", name="tiny")
    model = DiscreteAudioLM.from_pretrained(tmp_path / "saved", base=base)
    assert isinstance(model, DiscreteAudioLM)
    check_audio_tokenizer(model.tokenizer)
    clips = [noise(1), noise(2)]
    (codes, _), features = model.tokenizer.tokenize_all(clips), YAMNet().encode(clips[:1])
    repeated = torch.tensor(next(features))[torch.arange(21) % 6]
    expected, _ = checkpoint.net.prefix.projection.codebook(repeated)
    assert codes.tolist() == expected.tolist()
    (first, _) = model.tokenizer.tokenize(clips)
    assert first.tolist() == codes[:, 0].tolist()
    assert totals(model, [Prompt("what", clips[0])]).isfinite().all()


def test_a_model_without_codes_is_refused(base: Path, tmp_path: Path) -> None:
    save_adapter(checkpoint_of(base, CONNECTORS["mlp"]), tmp_path / "saved", name="tiny")
    with pytest.raises(InvalidInputError, match="'mlp'"):
        DiscreteAudioLM.from_pretrained(tmp_path / "saved", base=base)
