"""Generated ids equal the original; batches and shared prefixes do not change results."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.golden_ltu import close, golden, spectrograms, tiny_net
from torch import Tensor
from transformers import CompileConfig

from audioprobe.errors import UnsupportedInputError
from audioprobe.models.causal_lm.generation import generation_options
from audioprobe.models.ltu import branches, generation
from audioprobe.models.ltu.generation import (
    TokenPrompt,
    batch_inputs,
    generate,
    use_static_cache,
)
from audioprobe.types import Decoding

END = 2
GREEDY = Decoding(max_new_tokens=24)
PENALISED = Decoding(max_new_tokens=24, repetition_penalty=1.1)
SAMPLED = Decoding(
    max_new_tokens=24, temperature=1.0, top_p=0.95, top_k=150, repetition_penalty=1.1, seed=1234
)


def audio_tokens(which: int) -> Tensor:
    with torch.inference_mode():
        tokens: Tensor = tiny_net().prefix(spectrograms()[which : which + 1])[0]
    return tokens


def prompt(which: int | None, ids: Tensor | None = None) -> TokenPrompt:
    text = golden()["in.input_ids"][0] if ids is None else ids
    return TokenPrompt(text, None if which is None else audio_tokens(which))


def original(name: str) -> list[tuple[int, ...]]:
    """Return the generated ids of each row up to the end-of-sequence token."""
    n_text = golden()["in.input_ids"].shape[1]
    return [tuple(row[n_text:].tolist()) for row in golden()[name]]


@pytest.mark.parametrize(
    ("name", "which", "decoding"),
    [
        ("D1.greedy_ids", 0, GREEDY),
        ("D2.greedy_rep1.1_ids", 0, PENALISED),
        ("D3.greedy_text_only_ids", None, GREEDY),
        ("D4.greedy_audio2_ids", 1, GREEDY),
        ("D8.sampled_ids_seed1234", 0, SAMPLED),
    ],
)
def test_generated_ids_equal_the_original(name: str, which: int | None, decoding: Decoding) -> None:
    (answer,) = generate(tiny_net(), [prompt(which)], decoding, eos_token_id=END)
    assert [answer.ids] == original(name)
    assert not answer.ended


@pytest.mark.parametrize(
    ("name", "decoding"),
    [
        ("D5.batch_cfg_scores_step0", replace(SAMPLED, temperature=0.1)),
        # The demo's: transformers' former default of top_k, and no penalty.
        (
            "D6.gradio_cfg_scores_step0",
            Decoding(max_new_tokens=24, temperature=0.1, top_p=0.95, top_k=50),
        ),
        ("D7.temp1_scores_step0", SAMPLED),
    ],
)
def test_processed_scores_equal_the_original(name: str, decoding: Decoding) -> None:
    """Penalty, temperature, top-k and top-p apply in this order; excluded tokens have -inf."""
    llama: Any = tiny_net().llama
    with torch.inference_mode():
        actual = llama.generate(
            **batch_inputs(tiny_net(), [prompt(0)]),
            output_scores=True,
            return_dict_in_generate=True,
            **generation_options(decoding, (END,)),
        )
    expected = golden()[name]
    assert (expected == -torch.inf).any()
    close(actual.scores[0], expected)


@pytest.mark.parametrize("decoding", [GREEDY, PENALISED, SAMPLED])
def test_a_static_cache_gives_the_same_ids(
    decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of different lengths about two clips and none; the second batch is shorter."""
    fixed = copy.deepcopy(tiny_net())
    use_static_cache(fixed)
    prompts = [prompt(0), prompt(0, torch.tensor([1, 5, 9])), prompt(1), prompt(None)]
    for batch in (prompts, prompts[1:3]):
        expected = generate(tiny_net(), batch, decoding, eos_token_id=END)
        with monkeypatch.context() as patch:
            patch.delattr(generation, "_branches")  # no trees are built in vain
            assert generate(fixed, batch, decoding, eos_token_id=END) == expected
            inputs = batch_inputs(fixed, batch)
        assert inputs.keys() == {"input_ids", "inputs_embeds", "attention_mask"}


@pytest.mark.slow  # the compiler takes a minute
def test_compiled_steps_give_the_same_ids() -> None:
    """As on a GPU, where transformers compiles with a static cache; here, for the CPU."""
    fixed = copy.deepcopy(tiny_net())
    use_static_cache(fixed)
    settings = CompileConfig(mode="default")
    settings._compile_all_devices = True
    fixed.llama.generation_config.compile_config = settings
    prompts = [prompt(0), prompt(1), prompt(None)]
    expected = generate(tiny_net(), prompts, GREEDY, eos_token_id=END)
    torch._dynamo.utils.counters.clear()
    assert generate(fixed, prompts, GREEDY, eos_token_id=END) == expected
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_batch_of_equal_prompts_equals_the_original() -> None:
    both = [prompt(0), prompt(1)]
    answers = generate(tiny_net(), both, GREEDY, eos_token_id=END)
    assert [answer.ids for answer in answers] == original("D9.batch2_same_prompt_ids")
    stopped = generate(tiny_net(), both, GREEDY, eos_token_id=134)
    for answer, row in zip(stopped, original("D10.batch2_eos134_ids"), strict=True):
        assert answer.ended == (134 in row)
        assert answer.ids == (row[: row.index(134)] if answer.ended else row)


token_lists = st.lists(st.integers(3, 199), min_size=1, max_size=20)
mixed_prompts = st.lists(
    st.tuples(token_lists, st.sampled_from([None, 0, 1])), min_size=2, max_size=4
)


@settings(max_examples=8, deadline=None)
@example(given_prompts=[([3], None), ([3], 0)], decoding=PENALISED)
@given(given_prompts=mixed_prompts, decoding=st.sampled_from([GREEDY, PENALISED, SAMPLED]))
def test_batch_does_not_change_responses(
    given_prompts: list[tuple[list[int], int | None]], decoding: Decoding
) -> None:
    """Prompts have different lengths, with and without audio; the original code fails here."""
    prompts = [prompt(which, torch.tensor([1, *ids])) for ids, which in given_prompts]
    # In double precision, for a random model has near ties that float32's rounding would decide.
    net = copy.deepcopy(tiny_net()).double()
    together = generate(net, prompts, decoding, eos_token_id=END)
    alone = [generate(net, [item], decoding, eos_token_id=END)[0] for item in prompts]
    assert together == alone


def test_sampling_depends_on_the_seed_and_keeps_the_global_generator() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    draw = [
        generate(
            tiny_net(),
            [prompt(0)],
            Decoding(max_new_tokens=24, temperature=1.0, seed=seed),
            eos_token_id=END,
        )
        for seed in (1, 1, 2)
    ]
    assert draw[0] == draw[1] != draw[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_prompts_beyond_the_context_raise() -> None:
    net = tiny_net()
    with pytest.raises(UnsupportedInputError, match="context of 2048 tokens"):
        generate(net, [prompt(0)], Decoding(max_new_tokens=2000), eos_token_id=END)


shared_prompts = st.lists(
    st.tuples(st.lists(st.integers(3, 6), min_size=0, max_size=12), st.sampled_from([None, 0, 1])),
    min_size=2,
    max_size=6,
)


@settings(max_examples=12, deadline=None)
@example(given_prompts=[([3], 0), ([3], 0)], decoding=PENALISED, limit=branches.PASS_TOKENS)
@example(given_prompts=[([], None), ([], 0)], decoding=GREEDY, limit=1)  # an empty row
@example(
    given_prompts=[([], None), ([], None), ([3, 4, 5], 0), ([3, 4], 0)],
    decoding=GREEDY,
    limit=branches.PASS_TOKENS,
)
@given(
    given_prompts=shared_prompts,
    decoding=st.sampled_from([GREEDY, PENALISED, SAMPLED]),
    limit=st.sampled_from([1, 8, branches.PASS_TOKENS]),
)
def test_shared_audio_does_not_change_responses(
    given_prompts: list[tuple[list[int], int | None]], decoding: Decoding, limit: int
) -> None:
    """With a low limit, prompts about a clip are in several rows and passes."""
    net = copy.deepcopy(tiny_net()).double()
    clips = {None: None, 0: audio_tokens(0), 1: audio_tokens(1)}
    prompts = [TokenPrompt(torch.tensor([1, *ids]), clips[which]) for ids, which in given_prompts]
    with pytest.MonkeyPatch.context() as patch:
        for module in (branches, generation):
            patch.setattr(module, "PASS_TOKENS", limit)
        patch.setattr(generation, "PASS_COST", 0)
        together = generate(net, prompts, decoding, eos_token_id=END)
    alone = [generate(net, [item], decoding, eos_token_id=END)[0] for item in prompts]
    assert together == alone


def test_audio_of_several_questions_is_computed_once() -> None:
    """The first pass has a row per clip, the second one the last word of each question."""
    net = tiny_net()
    sizes: list[tuple[int, ...]] = []

    def record(_: object, __: object, kwargs: dict[str, Tensor | None]) -> None:
        given = kwargs.get("inputs_embeds")
        if given is not None:
            sizes.append(tuple(given.shape[:2]))

    clips = [audio_tokens(0), audio_tokens(1)]
    prompts = [
        TokenPrompt(torch.tensor([1, 5, 6, 7, n, 8]), clip) for n in range(10, 18) for clip in clips
    ]
    with net.llama.model.register_forward_pre_hook(record, with_kwargs=True):
        generate(net, prompts, Decoding(max_new_tokens=2), eos_token_id=END)
        assert sizes == [(2, len(clips[0]) + 4 + 8), (16, 1)]
        sizes.clear()
        generate(net, prompts[:2], Decoding(max_new_tokens=2), eos_token_id=END)
        assert sizes == [(2, len(clips[0]) + 6)]
