"""Hooks leave no trace: answers are the same bit for bit, and no hook or state remains."""

import gc
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tests.interpretability.tiny_answers import model, new_ltu, noise
from torch import Tensor

from audioprobe.forward_options import AttentionStates, ForwardOptions, ResidualStart
from audioprobe.models.activation_hooks import active_hooks, decoder_points
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.chat.module_paths import paths_of
from audioprobe.models.ltu.model import LTU
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Decoding, Prompt

SLOW = ("qwen2-audio", "qwen3-omni")
KINDS = ["ltu", "llama", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)]
BRIEF = Decoding(max_new_tokens=12)


def prompts(kind: str) -> list[Prompt]:
    sounds = (noise(2.0, 0), noise(1.0, 1)) if kind != "llama" else (None, None)
    return [Prompt("Is a crow a bird?", sounds[0]), Prompt("Which?", sounds[1]), Prompt("Why?")]


def network(lm: LTU | TransformersLM) -> tuple[Any, Any]:
    """Return the decoder with `layers`, and the module that computes logits."""
    if isinstance(lm, LTU):
        return lm._net.llama.model, lm._net.llama.lm_head
    paths = paths_of(lm._net)
    return lm._net.get_submodule(paths.decoder), lm._net.get_submodule(paths.head)


def answers(lm: LTU | TransformersLM, kind: str) -> tuple[object, ...]:
    likelihoods = [
        tuple(row) for row in lm.log_likelihood(prompts(kind), ["Yes.", "No, it is not."])
    ]
    return list(lm.generate(prompts(kind), BRIEF)), likelihoods


def rows(states: Tensor) -> Mapping[int, Tensor]:
    return dict(enumerate(states))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_while_hooks_read_are_identical(kind: str) -> None:
    lm = model(kind)
    decoder, head = network(lm)
    plain = answers(lm, kind)
    widths: list[int] = []

    def read(_: int, states: Tensor) -> None:
        widths.append(states.shape[-1])

    points = decoder_points(decoder.layers, decoder.norm, head)
    with active_hooks(points, dict.fromkeys(points, read), rows):
        assert answers(lm, kind) == plain  # texts, and likelihoods without a tolerance
    assert len(widths) > 100  # the hooks were called while answers were generated
    n_calls = len(widths)
    with active_hooks(points, {"lm.resid.0": lambda _, states: states.flip(-1)}, rows):
        assert answers(lm, kind) != plain
    assert answers(lm, kind) == plain
    assert len(widths) == n_calls


@pytest.mark.parametrize("kind", KINDS)
def test_generated_answers_are_identical_before_and_after_reading(kind: str) -> None:
    lm = model(kind)
    plain = answers(lm, kind)
    lm.run_with_hooks(
        [InspectedPrompt(prompt) for prompt in prompts(kind)],
        {site: lambda _, __: None for site in lm.sites},
        ForwardOptions(attention={0: lambda _, __: None}, gradients=True),
    )
    assert answers(lm, kind) == plain


class HookError(Exception):
    """An error that a hook raises."""


def traces(lm: LTU | TransformersLM) -> dict[str, object]:
    """Return everything that hooks and options change in a network."""
    decoder, _ = network(lm)
    registered = {
        name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
        for name, m in lm._net.named_modules()
    }
    replaced = [name for name, m in lm._net.named_modules() if "forward" in m.__dict__]
    return {
        "hooks": registered,
        "replaced": replaced,
        "attention": decoder.config._attn_implementation,
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
    }


def raise_error(*_: object) -> None:
    raise HookError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", ["plain", "start", "blocked", "attention", "gradients"])
def test_nothing_remains_in_the_network_after_an_error(kind: str, option: str) -> None:
    lm = model(kind)
    items = [InspectedPrompt(prompt) for prompt in prompts(kind)]
    states: dict[int, Tensor] = {}
    lm.run_with_hooks(items, {"lm.resid.0": lambda n, x: states.__setitem__(n, x.clone())})
    lengths = [len(states[n]) for n in range(len(items))]
    options = {
        "plain": ForwardOptions(),
        "start": ForwardOptions(start=ResidualStart(0, [states[n] for n in range(len(items))])),
        "blocked": ForwardOptions(
            blocked={1: [torch.zeros(n, n, dtype=torch.bool) for n in lengths]}
        ),
        "attention": ForwardOptions(attention={1: raise_error}),
        "gradients": ForwardOptions(gradients=True),
    }[option]
    before = traces(lm)
    hooks = {} if option == "attention" else {"lm.mlp.1": raise_error}
    with pytest.raises(HookError):
        lm.run_with_hooks(items, hooks, options)
    assert traces(lm) == before


def _attention_hook(store: Callable[[Tensor], None]) -> Callable[[int, AttentionStates], None]:
    def read(_: int, states: AttentionStates) -> None:
        store(states.values)
        raise HookError

    return read


@pytest.mark.parametrize("by", ["site", "attention"])
def test_states_are_freed_after_an_error(by: str) -> None:
    lm = new_ltu()
    references: list[weakref.ref[Tensor]] = []

    def store(states: Tensor) -> None:
        references.append(weakref.ref(states))

    def read(_: int, states: Tensor) -> None:
        store(states)
        raise HookError

    options = ForwardOptions(attention={1: _attention_hook(store)} if by == "attention" else {})
    hooks = {"lm.resid.1": read} if by == "site" else {}
    for _ in range(3):
        with pytest.raises(HookError):
            lm.run_with_hooks([InspectedPrompt(Prompt("Why?"))], hooks, options)
    gc.collect()
    assert len(references) == 3
    assert all(reference() is None for reference in references)
