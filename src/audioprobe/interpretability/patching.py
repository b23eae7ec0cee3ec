"""Activation patching: which states, copied from one prompt into another, change the answer.

The states of a span at a site are replaced, in the forward pass of a base prompt, by those of a
source prompt, such as "Is a crow a bird?" in text for "Is this a bird?" with the sound of a crow.
If the answer then resembles that of the source, these states are sufficient for it. The main
measure is the logit difference (Zhang and Nanda, "Towards best practices of activation patching in
language models: metrics and methods", ICLR 2024).

Controls, computed at each place:
    - "base into itself": the states of the base itself; no effect except for rounding. With
      `same_concept`, the control is "same concept" instead: the states of these prompts.
    - "noise": at each position, the change has the same norm and a random direction.
    - "other concept": states of a source of another concept with the same options, chosen at
      random; its correct answer is that of the base.
    - "bos": the states of the source at the first token, where both prompts have one.

    A control is NaN where its prompt does not exist, failed, or has a span of another length that
    the rule refuses.

Layers before the replaced states are not computed again: passes continue from stored states of
the base.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_logits import AnswerTokens
from audioprobe.interpretability.batches import Item
from audioprobe.interpretability.patch_result import MEASURES, PatchResult, measures_of
from audioprobe.interpretability.patched_runs import PatchedRuns, read_base
from audioprobe.interpretability.prompt_pairs import SOURCE
from audioprobe.interpretability.span_transfer import LengthRule
from audioprobe.interpretability.transfer_plan import (
    PairValues,
    PlannedChange,
    PlanResults,
    SourceStates,
    TransferPlan,
)
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Float64Array


def patch(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    sources: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    sites: Sequence[str] | str = "lm.resid.*",
    spans: Sequence[str] | str = ("last",),
    lengths: LengthRule = "equal",
    window: int = 1,
    same_concept: Sequence[InspectedPrompt] | None = None,
    least_difference: float = 0.1,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> PatchResult:
    """Return the effect of replacing states of each prompt by those of its source, at each place.

    The controls are described at the top of this module.

    Args:
        model: the model.
        prompts: base prompts; their first option is correct.
        sources: source of each base prompt, with the same options in the same order.
        concepts: concept of each pair, the unit of intervals and tests.
        sites: names of sites; "*" stands for any text.
        spans: spans, such as "last". "concept -> audio" copies the span "concept" of the source to
            the span "audio" of the base.
        lengths: rule for spans with different numbers of positions: "equal" refuses them, "mean"
            puts the mean of the source at every position, "last" aligns them at the end.
        window: number of layers that are patched together: the one of the site and those that
            follow. Windows at the end have fewer layers.
        same_concept: for each pair, a prompt like the base with another clip of the concept.
        least_difference: logits by which source and base must differ for a recovered share.
        batch_size: passes of a pair that are computed together, at least 1.
        seed: seed of the noise and of the choice of other concepts.
        progress: called after every pair.

    Raises:
        InvalidInputError: if the numbers of prompts, sources and concepts differ, a site or span is
            unknown, the options of a pair differ, spans have different lengths and the rule is
            "equal", or a number is out of range.
        UnsupportedInputError: if the sites of the model are unknown.
    """
    if not least_difference > 0:
        raise InvalidInputError(f"Expected least_difference > 0, got {least_difference}.")
    plan = TransferPlan(
        model,
        prompts,
        sources,
        concepts,
        sites=sites,
        spans=spans,
        lengths=lengths,
        window=window,
        same_concept=same_concept,
        seed=seed,
    )
    sweep = _Sweep(plan, PatchedRuns(plan.reader, batch_size), least_difference)
    results = plan.run(sweep.values, stage="patch", progress=progress)
    return _result(plan, results, least_difference, window)


@dataclass(frozen=True, slots=True, eq=False)
class _Sweep:
    """Passes of each pair at all places."""

    plan: TransferPlan
    runs: PatchedRuns
    least_difference: float

    def values(self, pair: int, item: Item, sources: SourceStates) -> PairValues:
        """Return the measures of a pair at all places."""
        plan = self.plan
        starts = [start for site in plan.sites if (start := self.runs.start_site(site))]
        base = read_base(plan.reader, item, tuple(dict.fromkeys([*plan.used_sites, *starts])))
        tokens = AnswerTokens.of(plan.reader.model, item[0])
        source = sources[SOURCE].logits
        rows: list[tuple[PlannedChange, Float64Array]] = []
        for site in plan.sites:
            changes = plan.changes(pair, item[1], base.states, sources, site)
            logits = self.runs.logits(base, [planned.change for planned in changes])
            measured = measures_of(tokens, base.logits, source, logits, self.least_difference)
            rows += zip(changes, measured, strict=True)
        values = plan.values(rows, len(MEASURES))
        difference = tokens.difference
        return PairValues(float(difference(base.logits)), float(difference(source)), values)


def _result(
    plan: TransferPlan, results: PlanResults, least_difference: float, window: int
) -> PatchResult:
    """Return the curves of all pairs."""
    suffix = f" (windows of {window} layers)" if window > 1 else ""
    curves = plan.curves(results, [measure + suffix for measure in MEASURES])
    difference, recovered, divergence, changed = curves
    base, source = results.logit_differences()
    return PatchResult(
        difference=difference,
        recovered=recovered,
        divergence=divergence,
        changed=changed,
        base=base,
        source=source,
        least_difference=least_difference,
        failures=results.failures,
        control_failures=results.control_failures,
    )
