"""Likelihoods of many prompts and continuations equal separate full passes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltu import spectrograms, tiny_net
from torch import Tensor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.ltu import branches, likelihood
from audioprobe.models.ltu.generation import TokenPrompt
from audioprobe.models.ltu.likelihood import log_likelihoods
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import LogLikelihood

token_lists = st.lists(st.integers(3, 40), min_size=1, max_size=6)
clips = st.sampled_from([None, 0, 1])


def audio_tokens(net: LTUNetwork) -> dict[int | None, Tensor | None]:
    with torch.inference_mode():
        tokens = net.prefix(spectrograms()[:2])
    return {None: None, 0: tokens[0], 1: tokens[1]}


def full_pass(net: LTUNetwork, prompt: TokenPrompt, continuation: list[int]) -> float:
    """Return the log-likelihood from the logits of prompt and continuation alone."""
    whole = torch.tensor([[*prompt.input_ids.tolist(), *continuation]])
    audio = None if prompt.audio_tokens is None else prompt.audio_tokens[None]
    with torch.inference_mode():
        scores = net(whole, audio)[0, :-1].log_softmax(-1)
    return float(scores.gather(-1, whole[0, 1:, None])[-len(continuation) :].sum())


@settings(max_examples=12, deadline=None)
@given(
    questions=st.lists(st.tuples(clips, token_lists), min_size=1, max_size=8),
    continuations=st.lists(token_lists, min_size=1, max_size=8),
    limit=st.sampled_from([1, 60, branches.PASS_TOKENS]),
)
def test_likelihoods_equal_full_passes(
    questions: list[tuple[int | None, list[int]]], continuations: list[list[int]], limit: int
) -> None:
    """With a low limit, sequences about a clip are computed in parts, with a cache."""
    net = tiny_net()
    tokens = audio_tokens(net)
    prompts = [TokenPrompt(torch.tensor([1, *ids]), tokens[which]) for which, ids in questions]
    with pytest.MonkeyPatch.context() as patch:
        for module in (branches, likelihood):
            patch.setattr(module, "PASS_TOKENS", limit)
        actual = log_likelihoods(net, prompts, continuations)
    assert len(actual) == len(prompts)
    for prompt, row in zip(prompts, actual, strict=True):
        assert [value.n_tokens for value in row] == [len(ids) for ids in continuations]
        for continuation, value in zip(continuations, row, strict=True):
            assert value.total == pytest.approx(full_pass(net, prompt, continuation), abs=1e-4)


@contextmanager
def recorded(net: LTUNetwork, sizes: list[tuple[int, ...]]) -> Iterator[None]:
    """Context manager that records rows and positions of each forward pass of the LLaMA."""

    def record(_: object, __: object, kwargs: dict[str, Tensor]) -> None:
        sizes.append(tuple(kwargs["inputs_embeds"].shape[:2]))

    hook = net.llama.model.register_forward_pre_hook(record, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def test_prompts_about_one_clip_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audio and common words are computed once for 20 questions."""
    net = tiny_net()
    sizes: list[tuple[int, ...]] = []
    audio = audio_tokens(net)[0]
    assert audio is not None
    prompts = [TokenPrompt(torch.tensor([1, 5, 6, 7, n]), audio) for n in range(10, 30)]
    with recorded(net, sizes):
        expected = log_likelihoods(net, prompts, [[8], [9]])
        assert sizes == [(1, len(audio) + 4 + 20)]
        for module in (branches, likelihood):
            monkeypatch.setattr(module, "PASS_TOKENS", 10)
        in_parts = log_likelihoods(net, prompts, [[8], [9]])
    assert sizes[1:] == [(1, len(audio) + 4), (1, 10), (1, 10)]
    assert totals(in_parts) == pytest.approx(totals(expected), abs=1e-4)


def test_prompts_share_a_clip_in_any_order_and_rows_of_similar_length_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two clips with two questions each and two with twelve; two short rows fit into a pass."""
    net = tiny_net()
    sizes: list[tuple[int, ...]] = []
    audio = audio_tokens(net)[0]
    assert audio is not None
    n_audio, clips = len(audio), [audio + n / 100 for n in range(4)]
    order = [0, 1, 2, 3, *[n for _ in range(11) for n in (1, 3)], 0, 2]
    prompts = [
        TokenPrompt(torch.tensor([1, 5, 6, 10 + n]), clips[which]) for n, which in enumerate(order)
    ]
    expected = [
        total for prompt in prompts for total in totals(log_likelihoods(net, [prompt], [[8], [9]]))
    ]
    for module in (branches, likelihood):
        monkeypatch.setattr(module, "PASS_TOKENS", 2 * (n_audio + 3 + 2))
    with recorded(net, sizes):
        actual = log_likelihoods(net, prompts, [[8], [9]])
    assert totals(actual) == pytest.approx(expected, abs=1e-4)
    assert sizes == [(2, n_audio + 3 + 2), (1, n_audio + 3 + 12), (1, n_audio + 3 + 12)]


def test_rows_of_different_length_share_a_pass_only_if_padding_costs_less() -> None:
    """A pass costs as much as 16 positions: the third row adds 16 positions of padding, not 18."""
    net = tiny_net()
    for third, sizes in ((18, [3]), (19, [2, 1])):
        rows = [branches.Branches(None, range(n)) for n in (third, 10, 10)]
        assert [len(batch) for batch in branches.pass_batches(net, rows)] == sizes


def totals(rows: list[list[LogLikelihood]]) -> list[float]:
    return [value.total for row in rows for value in row]


def test_invalid_continuations_and_long_prompts_raise() -> None:
    net = tiny_net()
    prompt = TokenPrompt(torch.tensor([1, 5]), audio_tokens(net)[0])
    with pytest.raises(UnsupportedInputError, match="context"):
        log_likelihoods(net, [prompt], [[5] * 2040])
    with pytest.raises(InvalidInputError, match="at least one token"):
        log_likelihoods(net, [prompt], [[5], []])
    assert log_likelihoods(net, [prompt], []) == [[]]
    assert log_likelihoods(net, [], [[5]]) == []
