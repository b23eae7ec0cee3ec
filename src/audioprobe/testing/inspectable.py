"""Checks of models whose activations can be read and replaced; see `audioprobe.testing`."""

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Inspectable
from audioprobe.sites import TEXT_SPANS, InspectedPrompt, SiteHook
from audioprobe.testing.forward_passes import (
    check_attention,
    check_blocking,
    check_randomized,
    check_start,
    check_vocabulary,
)
from audioprobe.testing.rules import check_refusal, example_sounds, require
from audioprobe.testing.site_states import SiteStates, close_states, equal_states, read_states
from audioprobe.types import Decoding, Prompt

if TYPE_CHECKING:
    from torch import Tensor

_LAYER_SITE = re.compile(r"(encoder\.block|lm\.xattn|lm\.attn|lm\.mlp|lm\.resid)\.(\d+)")
_RANKS = {
    "encoder.input": 0,
    "encoder.block": 1,
    "encoder.out": 2,
    "encoder.pooled": 3,
    "connector.out": 4,
    "lm.embed": 5,
    "lm.xattn": 6,
    "lm.attn": 6,
    "lm.mlp": 6,
    "lm.resid": 6,
    "lm.norm": 7,
    "lm.logits": 8,
}
"""Order of the kinds of sites; the sites of a layer follow each other."""

_BRIEF = Decoding(max_new_tokens=8)


class _HookTestError(Exception):
    """Error that a hook raises to check that hooks are removed afterwards."""


def check_inspectable(model: Inspectable, *, with_sound: bool = True) -> None:
    """Check sites, layouts, hooks and options of forward passes of a model.

    Hooks that only read must not change anything, a prompt must not depend on others in its batch,
    and no hook may remain after an error. `check_language_model` checks the answers.

    Args:
        model: a model in float32; rounding of other data types exceeds the tolerances.
        with_sound: whether the model accepts audio.
    """
    prompts = _example_prompts(with_sound)
    answers = [response.text for response in model.generate([p.prompt for p in prompts], _BRIEF)]
    _check_sites(model.sites)
    whole = read_states(model, prompts, model.sites)
    _check_layouts(model, prompts, whole)
    _check_reading(model, prompts, whole)
    _check_batches(model, prompts, whole)
    _check_replacing(model, prompts, whole)
    _check_errors(model, prompts, whole)
    check_start(model, prompts, whole)
    check_blocking(model, prompts, whole)
    check_attention(model, prompts)
    check_vocabulary(model, whole)
    check_randomized(model, prompts, whole)
    again = [response.text for response in model.generate([p.prompt for p in prompts], _BRIEF)]
    require(again == answers, "generate: the same answers before and after all hooks")


def _example_prompts(with_sound: bool) -> list[InspectedPrompt]:
    sounds = example_sounds() if with_sound else (None, None)
    return [
        InspectedPrompt(Prompt("Is a crow a bird?", sounds[0]), "Yes", concept="crow"),
        InspectedPrompt(Prompt("Which animal makes this sound?", sounds[1])),
        InspectedPrompt(Prompt("Why?")),
    ]


def _check_sites(sites: Sequence[str]) -> None:
    """Check that sites have the names of `audioprobe.sites`, in the order of the forward pass."""
    order = []
    for site in sites:
        match = _LAYER_SITE.fullmatch(site)
        kind, layer = (match[1], int(match[2])) if match else (site, 0)
        require(kind in _RANKS, f"sites: known names, got {site!r}")
        order.append((_RANKS[kind], layer, list(_RANKS).index(kind)))
    require(len(set(sites)) == len(sites), "sites: all different")
    require(order == sorted(order), "sites: in the order of the forward pass")
    n = sum(site.startswith("lm.resid.") for site in sites)
    required = {"lm.embed", *(f"lm.resid.{k}" for k in range(n)), "lm.norm", "lm.logits"}
    require(n > 0 and required <= set(sites), "sites: lm.embed, all layers, lm.norm and lm.logits")


def _check_layouts(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that positions lie within the states, and that text and audio do not overlap."""
    for number, prompt in enumerate(prompts):
        layout = model.layout(prompt)
        for site in model.sites:
            if site.startswith("lm.") and (number, site) not in whole:
                is_adapter = site.startswith("lm.xattn.") and prompt.prompt.audio is None
                require(is_adapter, f"run_with_hooks: a call of the hook at {site}")
                continue
            if site.startswith("lm."):
                n = len(whole[number, site])
                require(n == layout.n_tokens, f"layout: n_tokens positions at {site}, got {n}")
            for span in (*TEXT_SPANS, "audio", "audio[0s:0.5s]"):
                positions = layout.positions(site, span)
                n = len(whole[number, site]) if (number, site) in whole else 0
                is_inside = all(0 <= position < n for position in positions)
                require(is_inside, f"layout: {span!r} within the {n} positions of {site}")
        has_audio = any(layout.positions(site, "audio") for site in model.sites)
        require(has_audio == (prompt.prompt.audio is not None), 'layout: "audio" if there is any')
        require(len(layout.positions("lm.embed", "last")) == 1, 'layout: one position is "last"')
        require(
            layout.positions("lm.embed", "all") == tuple(range(layout.n_tokens)),
            'layout: "all" has all positions of the language model',
        )
        spans = [span for span in TEXT_SPANS if span != "all"]
        text = {p for span in spans for p in layout.positions("lm.embed", span)}
        overlap = text & set(layout.positions("lm.embed", "audio"))
        require(not overlap, "layout: no position is both text and audio")


def _check_reading(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that reading hooks do not change logits by a single bit."""
    logits = read_states(model, prompts, ["lm.logits"])
    for key, values in logits.items():
        require(
            equal_states(values, whole[key]),
            "run_with_hooks: equal logits with and without reading",
        )


def _check_batches(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that the states of a prompt are the same alone and in a batch."""
    for number, prompt in enumerate(prompts):
        for (_, site), values in read_states(model, [prompt], model.sites).items():
            is_same = (number, site) in whole and close_states(values, whole[number, site])
            require(is_same, f"run_with_hooks: the same states at {site} alone and in a batch")


def _check_replacing(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that returned states replace the original ones, in one prompt alone."""
    logits: dict[int, Tensor] = {}
    sites = [site for site in ("connector.out", "lm.embed", "lm.resid.0") if (0, site) in whole]
    for site in sites:
        for factor, rule in ((1, "equal states change nothing"), (0, "other states have effects")):

            def replace(number: int, states: "Tensor", factor: int = factor) -> "Tensor | None":
                return states * factor if number == 0 else None

            hooks: dict[str, SiteHook] = {site: replace, "lm.logits": logits.__setitem__}
            model.run_with_hooks(prompts, hooks)
            is_same = close_states(logits[0], whole[0, "lm.logits"])
            require(is_same == (factor == 1), f"run_with_hooks: {rule} at {site}")
            others = all(close_states(logits[n], whole[n, "lm.logits"]) for n in (1, 2))
            require(others, f"run_with_hooks: a change at {site} has no effect on other prompts")


def _check_errors(
    model: Inspectable, prompts: Sequence[InspectedPrompt], whole: SiteStates
) -> None:
    """Check that errors of hooks are raised, and that no hook remains afterwards."""
    calls: list[str] = []

    def stop(site: str, number: int, states: "Tensor") -> None:
        del number, states
        calls.append(site)
        if calls.count(site) == 1:  # a hook that remains is counted, and raises nothing
            raise _HookTestError

    first = next(site for site in model.sites if (0, site) in whole)
    for site in (first, "lm.resid.0", "lm.logits"):
        check_refusal(
            partial(model.run_with_hooks, prompts, {site: partial(stop, site)}),
            _HookTestError,
            f"run_with_hooks: raises the error of a hook at {site}",
        )
        n_calls = len(calls)
        after = read_states(model, prompts, ["lm.logits"])
        require(len(calls) == n_calls, "run_with_hooks: hooks are removed after an error")
        is_same = all(equal_states(values, whole[key]) for key, values in after.items())
        require(is_same, "run_with_hooks: the same logits after an error")
    wrong: dict[str, tuple[str, SiteHook]] = {
        "an unknown site": ("lm.no_such_site", lambda _, __: None),
        "a replacement of another shape": ("lm.resid.0", lambda _, states: states[:-1]),
    }
    for rule, (site, hook) in wrong.items():
        check_refusal(
            partial(model.run_with_hooks, prompts, {site: hook}),
            InvalidInputError,
            f"run_with_hooks: refuses {rule} with InvalidInputError",
        )
