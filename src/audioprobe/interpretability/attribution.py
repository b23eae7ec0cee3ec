"""Attribution patching: a first-order estimate of the effect of patching, for all sites at once.

The estimate is the sum over positions of (source state - base state) times the gradient of the
logit difference with respect to the base state. It needs one forward pass of the source, and one
forward and one backward pass of the base, and is exact only if the logits are linear in the
replaced states. Use it to rank sites, and confirm the best ones with `patching.patch`.
"""

from collections.abc import Hashable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.interpretability.answer_logits import AnswerTokens, log_probabilities
from audioprobe.interpretability.batches import Item
from audioprobe.interpretability.patch_result import AttributionResult
from audioprobe.interpretability.patched_runs import Change
from audioprobe.interpretability.prompt_pairs import SOURCE
from audioprobe.interpretability.span_transfer import LengthRule
from audioprobe.interpretability.transfer_plan import PairValues, SourceStates, TransferPlan
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt


def attribution_patch(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    sources: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    sites: Sequence[str] | str = "lm.resid.*",
    spans: Sequence[str] | str = ("last",),
    lengths: LengthRule = "equal",
    same_concept: Sequence[InspectedPrompt] | None = None,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> AttributionResult:
    """Return the estimated change of the logit difference by patching, at each place.

    It estimates `PatchResult.effect`, in logits, with the same controls.

    Args:
        model: the model.
        prompts: base prompts; see `patching.patch` for the other arguments, too.
        sources: source of each base prompt.
        concepts: concept of each pair.
        sites: sites of the language model: there are no gradients in the audio encoder.
        spans: spans, or transfers such as "concept -> audio".
        lengths: rule for spans with different numbers of positions.
        same_concept: for each pair, a prompt like the base with another clip of the concept.
        seed: seed of the noise and of the choice of other concepts.
        progress: called after every pair.

    Raises:
        InvalidInputError: if a site is not in the language model, and in the cases of `patch`.
        UnsupportedInputError: if the sites of the model are unknown.
    """
    plan = TransferPlan(
        model,
        prompts,
        sources,
        concepts,
        sites=sites,
        spans=spans,
        lengths=lengths,
        same_concept=same_concept,
        seed=seed,
    )
    if outside := [site for site in plan.sites if not site.startswith("lm.")]:
        raise InvalidInputError(
            f"Expected sites of the language model, got {', '.join(outside)}, where there are no "
            "gradients. Use `patch` there."
        )
    results = plan.run(partial(_attributed_pair, plan), stage="attribution", progress=progress)
    (curve,) = plan.curves(results, ["attributed change of the logit difference"])
    base, source = results.logit_differences()
    return AttributionResult(
        effect=curve,
        base=base,
        source=source,
        failures=results.failures,
        control_failures=results.control_failures,
    )


def _attributed_pair(
    plan: TransferPlan, pair: int, item: Item, sources: SourceStates
) -> PairValues:
    """Return the estimates of a pair at all places."""
    states: dict[str, Tensor] = {}

    def follow(site: str, _: int, values: Tensor) -> Tensor:
        states[site] = values if values.requires_grad else values.detach().requires_grad_()
        return states[site]

    hooks = {site: partial(follow, site) for site in plan.used_sites}
    tokens = AnswerTokens.of(plan.reader.model, item[0])
    (logits,) = plan.reader.logits([item[0]], hooks, ForwardOptions(gradients=True))
    log_probabilities(logits.detach())  # raises if a logit is not finite
    value = tokens.difference(logits)
    by_site = torch.autograd.grad(value, list(states.values()), allow_unused=True)
    base = {site: values.detach() for site, values in states.items()}
    gradients = {
        site: torch.zeros_like(base[site]) if gradient is None else gradient
        for site, gradient in zip(states, by_site, strict=True)
    }
    rows = [
        (planned, np.array([_estimate(planned.change, base, gradients)]))
        for site in plan.sites
        for planned in plan.changes(pair, item[1], base, sources, site)
    ]
    source = float(tokens.difference(sources[SOURCE].logits))
    return PairValues(float(value.detach()), source, plan.values(rows, 1))


def _estimate(change: Change, base: dict[str, Tensor], gradients: dict[str, Tensor]) -> float:
    """Return the sum over positions of the change of the state times the gradient."""
    total = 0.0
    for site, new in change.items():
        positions = list(new.positions)
        step = new.states.to(base[site].device).double() - base[site][positions].double()
        total += float((step * gradients[site][positions].double()).sum())
    return total
