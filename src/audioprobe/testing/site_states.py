"""States of all sites of a model, for the checks of `audioprobe.testing`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.testing.rules import require

if TYPE_CHECKING:
    from torch import Tensor

SiteStates: TypeAlias = "Mapping[tuple[int, str], Tensor]"
"""States by the index of a prompt and the site."""

_TOLERANCE = 1e-3  # of the largest magnitude: above the float32 rounding of deep models


def read_states(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    sites: Sequence[str],
    options: ForwardOptions = NO_OPTIONS,
) -> SiteStates:
    """Return the states at some sites; each hook must be called once per prompt, in order."""
    states: dict[tuple[int, str], Tensor] = {}

    def store(site: str, number: int, values: "Tensor") -> None:
        require((number, site) not in states, f"run_with_hooks: one call of a hook at {site}")
        states[number, site] = values.clone()

    model.run_with_hooks(prompts, {site: partial(store, site) for site in sites}, options)
    for number in range(len(prompts)):
        called = [site for n, site in states if n == number]
        expected = [site for site in sites if site in called]
        require(called == expected, "run_with_hooks: hooks are called in the order of `sites`")
    return states


def n_layers(model: Inspectable) -> int:
    """Return the number of layers of the language model."""
    return sum(site.startswith("lm.resid.") for site in model.sites)


def equal_states(a: "Tensor", b: "Tensor") -> bool:
    """Return whether two tensors are equal, bit for bit."""
    return a.shape == b.shape and bool((a == b).all())


def close_states(a: "Tensor", b: "Tensor") -> bool:
    """Return whether two tensors are equal up to rounding."""
    if a.shape != b.shape:
        return False
    if not a.numel():
        return True
    limit = _TOLERANCE * float(b.float().abs().max())
    return bool(((a.float() - b.float()).abs() <= limit).all())
