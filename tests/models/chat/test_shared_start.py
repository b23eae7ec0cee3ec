"""Prompts with one clip share its computation in generated text, which does not change."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny_chat_models import KINDS, saved

from audioprobe.models.causal_lm.batch_inputs import shared_start_inputs, stack_inputs
from audioprobe.models.causal_lm.prompt_cache import PromptCache, common_start, n_common
from audioprobe.models.chat.model import TransformersLM
from audioprobe.types import Decoding, Prompt, Waveform

GREEDY = Decoding(max_new_tokens=6)
PENALISED = Decoding(max_new_tokens=6, repetition_penalty=1.5)
TEXT_ONLY = ("llama", "gemma3n-text", "mamba", "rwkv")
SHARING = ("qwen2-audio", "audio-flamingo", "phi4", "voxtral", "llama")
WORDS = ("Is it a crow?", "Is it a crow or a jay?", "Is it?", "Why?", "Is it a crow?")


def noise(seed: int, seconds: float = 6.0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


def questions(kind: str) -> list[Prompt]:
    """Return questions about two clips of different lengths in turn, and without a clip."""
    clips = [None] if kind in TEXT_ONLY else [noise(0), noise(2, 4.0), None]
    return [Prompt(text, clip) for text in WORDS for clip in clips]


@cache
def model(kind: str) -> TransformersLM:
    return TransformersLM(saved(kind), batch_size=15)


@pytest.mark.parametrize("decoding", [GREEDY, PENALISED], ids=["greedy", "penalised"])
@pytest.mark.parametrize("kind", KINDS)
def test_shared_beginnings_do_not_change_responses(kind: str, decoding: Decoding) -> None:
    """With fewer positions to compute than in separate passes, for models that can share them."""
    lm = model(kind)
    n_read: list[int] = []

    def count(_: object, __: object, values: dict[str, Any]) -> None:
        n_read.append(values["input_ids"].numel())

    prompts = questions(kind)
    alone = [answer for p in prompts for answer in lm.generate([p], decoding)]
    with lm._net.register_forward_pre_hook(count, with_kwargs=True):
        together = list(lm.generate(prompts, decoding))
    assert together == alone
    lengths = [lm._encode(prompt, 6).length for prompt in prompts]
    if kind in SHARING:
        assert max(n_read) < len(prompts) * max(lengths)
        if kind not in TEXT_ONLY:
            assert sum(n_read) < 0.6 * sum(lengths) + len(prompts) * decoding.max_new_tokens


def test_the_next_batch_uses_the_beginning_of_the_last() -> None:
    lm = model("qwen2-audio")
    clip = noise(0)
    batches = [[Prompt(f"{text} {n}", clip) for text in WORDS] for n in range(2)]
    rows = [[lm._on_device(lm._encode(p, 6).inputs) for p in batch] for batch in batches]
    starts = PromptCache(lm._net, lm._encoder.placeholders)
    sizes: list[int] = []

    def count(_: object, __: object, values: dict[str, Any]) -> None:
        sizes.append(values["input_ids"].numel())

    with lm._net.register_forward_pre_hook(count, with_kwargs=True), torch.inference_mode():
        assert all(shared_start_inputs(lm._net, batch, starts) for batch in rows)
    assert len(sizes) == 1
    assert sizes[0] > 100


@torch.inference_mode()
def test_nothing_is_shared_where_it_saves_nothing() -> None:
    lm = model("qwen2-audio")

    def inputs(*prompts: Prompt) -> dict[str, Any] | None:
        rows = [lm._on_device(lm._encode(prompt, 6).inputs) for prompt in prompts]
        starts = PromptCache(lm._net, lm._encoder.placeholders)
        return shared_start_inputs(lm._net, rows, starts)

    assert inputs(Prompt("Why?", noise(0))) is None
    assert inputs(Prompt("Why?", noise(0)), Prompt("Why?", noise(1))) is None
    shared = inputs(Prompt("Why?", noise(0)), Prompt("Why?", noise(0)))
    assert shared is not None
    assert not any("feature" in name for name in shared)


@torch.inference_mode()
def test_padding_is_between_beginning_and_rest() -> None:
    lm = model("llama")
    prompts = [Prompt("A long start of both questions. " + text) for text in ("Why?", "Is it?")]
    rows = [lm._on_device(lm._encode(prompt, 6).inputs) for prompt in prompts]
    inputs = shared_start_inputs(lm._net, rows, PromptCache(lm._net))
    assert inputs is not None
    for row, ids, mask in zip(rows, inputs["input_ids"], inputs["attention_mask"], strict=True):
        assert ids[mask.bool()].tolist() == row["input_ids"][0].tolist()
        assert set(ids[~mask.bool()].tolist()) <= {int(ids[-1])}
    assert stack_inputs(rows)["input_ids"].shape == inputs["input_ids"].shape


token_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=4)


@given(token_lists, st.sets(st.integers(0, 2), max_size=1))
def test_common_start_is_the_longest_that_leaves_a_token(
    rows: list[list[int]], placeholders: set[int]
) -> None:
    start = common_start(rows)
    assert all(row[: len(start)] == start and len(row) > len(start) for row in rows)
    following = {row[len(start)] for row in rows}
    assert len(following) > 1 or min(map(len, rows)) == len(start) + 1
    rest = {token for row in rows for token in row[len(start) :]}
    assert n_common(rows, placeholders) == (0 if rest & placeholders else len(start))
