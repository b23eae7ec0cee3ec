"""Batches and shared prefixes give the results of full passes, tested on networks alone."""

import math
from typing import Any

import pytest
import torch
import transformers as tf
from tests.tiny_chat_models import END, IDS, N_TOKENS, granite_speech
from torch import Tensor

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.models.causal_lm import likelihood, prompt_cache
from audioprobe.models.causal_lm.batch_inputs import stack_inputs
from audioprobe.models.causal_lm.generation import continue_batch
from audioprobe.types import Decoding

N_SOUND = 6  # tokens of two blocks of 15 encoder frames


def granite_prompt(seed: int, n_text: int, *, sound: bool = True) -> dict[str, Tensor]:
    """Inputs as from Granite Speech's processor for 0.6 s of audio, with random features."""
    random = torch.Generator().manual_seed(seed)
    text = torch.randint(0, 200, (1, n_text), generator=random)
    marks = torch.full((1, N_SOUND if sound else 0), IDS["audio_token"])
    ids = torch.cat([text[:, :2], marks, text[:, 2:]], 1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if sound:
        inputs["input_features"] = torch.randn(1, 30, 16, generator=random)
        inputs["input_features_mask"] = torch.ones(1, N_SOUND, dtype=torch.bool)
    return inputs


@pytest.mark.parametrize("sound", [True, False])
def test_granite_speech_responses_do_not_depend_on_the_batch(sound: bool) -> None:
    net = granite_speech()
    prompts = [granite_prompt(n, n_text, sound=sound) for n, n_text in enumerate((5, 12, 30))]
    for decoding in (
        Decoding(max_new_tokens=8),
        Decoding(max_new_tokens=8, repetition_penalty=1.4),
    ):
        together = continue_batch(net, stack_inputs(prompts), decoding, [END])
        assert together == [continue_batch(net, p, decoding, [END])[0] for p in prompts]
        assert len({answer.ids for answer in together}) == 3


@pytest.mark.parametrize("sound", [True, False])
def test_granite_speech_likelihoods_equal_full_passes(sound: bool) -> None:
    net, prompt = granite_speech(), granite_prompt(7, 9, sound=sound)
    random = torch.Generator().manual_seed(1)
    lengths = [1, 4, 9] * 15  # more than one chunk
    continuations = [torch.randint(0, N_TOKENS - 20, (n,), generator=random) for n in lengths]
    actual = likelihood.log_likelihood(net, prompt, [c.tolist() for c in continuations])
    for new, scored in zip(continuations, actual, strict=True):
        ids = torch.cat([prompt["input_ids"], new[None]], 1)
        whole = prompt | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.inference_mode():
            logits = net(**whole, use_cache=False).logits[0, :-1].log_softmax(-1)
        expected = logits.gather(-1, ids[0, 1:, None])[-len(new) :].sum()
        assert scored.total == pytest.approx(float(expected), abs=1e-4)
        assert scored.n_tokens == len(new)


def test_shared_prefix_and_full_pass_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, prompt = granite_speech(), granite_prompt(3, 6)
    continuations = [[5, 6, 7], [8]]
    shared = likelihood.log_likelihood(net, prompt, continuations)
    monkeypatch.setattr(prompt_cache, "_can_be_shared", lambda _: False)
    whole = likelihood.log_likelihood(net, prompt, continuations)
    for shared_prefix, complete in zip(shared, whole, strict=True):
        assert shared_prefix.total == pytest.approx(complete.total, abs=1e-4)
        assert shared_prefix.n_tokens == complete.n_tokens


def test_continuation_without_tokens_raises() -> None:
    with pytest.raises(InvalidInputError, match="at least one token"):
        likelihood.log_likelihood(granite_speech(), granite_prompt(0, 4), [[1], []])
    assert likelihood.log_likelihood(granite_speech(), granite_prompt(0, 4), []) == []


def tiny_llama(**broken: float) -> Any:
    """LLaMA with nine tokens; one row of the embedding or of the head is not finite."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    net: Any = tf.LlamaForCausalLM(tf.LlamaConfig(vocab_size=9, **sizes, **heads)).eval()
    if "embedding" in broken:
        net.model.embed_tokens.weight.data[7] = broken["embedding"]
    if "head" in broken:
        net.lm_head.weight.data[:] = broken["head"]
    return net


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_non_finite_likelihood_raises(
    number: float, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, prompt = tiny_llama(embedding=number), {"input_ids": torch.tensor([[1, 2]])}
    if not shared:
        monkeypatch.setattr(prompt_cache, "_can_be_shared", lambda _: False)
    (good,) = likelihood.log_likelihood(net, prompt, [[3, 4]])
    assert math.isfinite(good.total)
    with pytest.raises(NonFiniteError):
        likelihood.log_likelihood(net, prompt, [[3, 4], [7, 4]])
    with pytest.raises(NonFiniteError):
        likelihood.log_likelihood(net, {"input_ids": torch.tensor([[7, 2]])}, [[3]])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    "broken", [{"embedding": math.nan}, {"head": math.nan}, {"head": math.inf}]
)
def test_non_finite_scores_raise_in_generation(
    broken: dict[str, float], temperature: float
) -> None:
    prompt = torch.tensor([[1, 7 if "embedding" in broken else 2]])
    inputs = {"input_ids": prompt, "attention_mask": torch.ones_like(prompt)}
    with pytest.raises(NonFiniteError):
        continue_batch(
            tiny_llama(**broken), inputs, Decoding(max_new_tokens=4, temperature=temperature), [8]
        )


def test_non_finite_scores_after_the_end_are_ignored() -> None:
    """A row that has ended is padded with the end token, whose scores are not finite here."""
    prompts = torch.tensor([[1, 2], [4, 1]])
    inputs = {"input_ids": prompts, "attention_mask": torch.ones_like(prompts)}
    net = tiny_llama()
    free = continue_batch(net, inputs, Decoding(max_new_tokens=6), [])
    end = free[1].ids[1]
    assert end not in (*free[0].ids, *prompts.flatten().tolist())
    net.model.embed_tokens.weight.data[end] = math.nan
    actual = continue_batch(net, inputs, Decoding(max_new_tokens=6), [end])
    assert [(answer.ids, answer.ended) for answer in actual] == [
        (free[0].ids, False),
        (free[1].ids[:1], True),
    ]
