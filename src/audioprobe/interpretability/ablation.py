"""Ablation of parts of a prompt by resampling: which positions does an answer depend on?

Conventions:
    The states of a span at a site are replaced by those of the same span in another prompt (the
    donor), never by zeros, which no layer was trained with. Positions are aligned from the start
    of the span, and a donor has at least as many. Donors are drawn from the prompts with another
    concept and other audio; the same questions about different clips are good donors, because then
    only the audio differs. A change is averaged over `n_resamples` donors.

    Controls: "same concept" replaces the span by that of a prompt with the same concept and other
    audio: what changes here as well is not the concept. "other positions" replaces as many random
    positions outside the span by those of the donor with another concept: other audio if there is
    enough, otherwise any position before the last one. Values are NaN where there is no such
    donor, or not enough other positions, as for "audio" in a prompt with little text.

    The rest of the model was trained without such mixtures, and later layers can compensate for
    what is missing, so effects of spans do not add up.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product

import numpy as np
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import ForwardOptions, ResidualStart
from audioprobe.interpretability.answer_effects import (
    MEASURES,
    AnswerEffects,
    AnswerPrompts,
    PromptEffects,
    answer_changes,
    answer_values,
    answer_values_and_starts,
    check_concepts,
    layer_before,
)
from audioprobe.interpretability.answer_logits import AnswerReader
from audioprobe.interpretability.batches import BatchResults, Item, in_batches
from audioprobe.interpretability.curve_bands import column_means
from audioprobe.interpretability.donors import Donors, Pairs
from audioprobe.interpretability.patched_runs import patchable_sites
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.span_transfer import Replacement
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, span_range
from audioprobe.types import Float64Array

CONTROLS = ("same concept", "other positions")


def time_spans(duration: float, step: float) -> tuple[str, ...]:
    """Return consecutive time ranges of the audio, such as "audio[0s:2s]", "audio[2s:4s]".

    Args:
        duration: duration of the audio in seconds; the last range may be shorter.
        step: duration of a range in seconds.

    Raises:
        InvalidInputError: if a duration is not positive.
    """
    if not (duration > 0 and step > 0):
        raise InvalidInputError(
            f"Expected positive durations in seconds, got {duration} and step {step}."
        )
    limits = [*np.arange(0, duration - 1e-6, step).tolist(), duration]
    names = [f"{limit:.3f}".rstrip("0").rstrip(".") for limit in limits]
    return tuple(f"audio[{a}s:{b}s]" for a, b in pairwise(names))


def ablate(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    spans: Sequence[str] = ("audio",),
    sites: Sequence[str] = ("lm.resid.*",),
    n_resamples: int = 4,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> AnswerEffects:
    """Measure how answers change if spans are replaced by those of other prompts.

    The spans of `time_spans` at the site "lm.embed" give a time profile: which seconds an answer
    depends on. "audio" at "lm.resid.*" shows up to which layer the audio positions are needed.
    Each prompt needs up to 3 * n_resamples passes per site and span, which start at the layer of
    the site. The states of all sites are in memory for one batch and its donors.

    Args:
        model: the model.
        prompts: prompts with options, the first of which is correct.
        concepts: concept of each prompt, such as the class of its audio; the unit of intervals.
        spans: spans to replace, usually "audio" or time ranges of it.
        sites: sites where states are replaced; "*" stands for any text. A change at "lm.embed"
            removes everything that the language model receives at these positions.
        n_resamples: number of donors per prompt; fewer if there are not as many.
        batch_size: prompts per forward pass. The audio of all prompts is in memory, since any of
            them can be a donor.
        seed: seed of the choice of donors and of other positions.
        progress: called after every batch.

    Raises:
        InvalidInputError: if there are no prompts, or a site, span or number is impossible.
    """
    check_concepts(prompts, concepts)
    _check(spans, n_resamples)
    reader, chosen = AnswerReader(model), patchable_sites(sites, model.sites)
    plain = in_batches(
        model,
        AnswerPrompts(reader, prompts),
        lambda batch: list(answer_values(reader, [prompt for prompt, _ in batch])),
        batch_size=batch_size,
        stage="plain answers",
        keep_audio=True,  # of donors
        progress=progress,
    )
    items = {n: plain.items[n] for n in sorted(plain.values)}
    donors = Donors(items, concepts, chosen, n_resamples, seed)
    changed = in_batches(
        model,
        [prompt for prompt, _ in items.values()],
        _Ablation(reader, donors, chosen, tuple(spans)).effects,
        batch_size=batch_size,
        stage="ablation",
        progress=progress,
    )
    results = _merged(plain, changed, list(items))
    places = [Place(site, span) for site in chosen for span in spans]
    return AnswerEffects.of(results, concepts, places, CONTROLS)


def _check(spans: Sequence[str], n_resamples: int) -> None:
    """Raise `InvalidInputError` unless there are known spans, and at least one donor."""
    if n_resamples < 1 or not spans:
        raise InvalidInputError(
            f"Expected at least one span and n_resamples >= 1, got {spans} and {n_resamples}."
        )
    for span in spans:
        span_range(span)


def _merged(
    plain: BatchResults[Float64Array],
    changed: BatchResults[PromptEffects],
    numbers: Sequence[int],
) -> BatchResults[PromptEffects]:
    """Return the results of all prompts.

    Args:
        plain: results without ablation.
        changed: results of the prompts that did not fail without ablation.
        numbers: index of each of these prompts among all.
    """
    return BatchResults(
        {numbers[k]: effects for k, effects in changed.values.items()},
        plain.failures | {numbers[k]: cause for k, cause in changed.failures.items()},
        plain.items,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ablation:
    """Replacement of spans by those of donors, and the controls."""

    reader: AnswerReader
    donors: Donors
    sites: tuple[str, ...]
    spans: tuple[str, ...]

    def effects(self, batch: Sequence[Item]) -> list[PromptEffects]:
        """Return the effects at all sites and spans on each prompt of a batch."""
        prompts = [prompt for prompt, _ in batch]
        layers = {layer for layer in map(layer_before, self.sites) if layer >= 0}
        before, starts = answer_values_and_starts(self.reader, prompts, layers)
        samples = [
            answer_changes(before[:, None, None, None], self._sample(prompts, starts, k))
            for k in range(self.donors.n_donors)
        ]
        means = column_means(np.stack(samples).reshape(len(samples), -1))
        return [
            PromptEffects(float(value[0]), rows.reshape(3, -1, len(MEASURES)))
            for value, rows in zip(before, means.reshape(samples[0].shape), strict=True)
        ]

    def _sample(
        self, prompts: Sequence[InspectedPrompt], starts: Mapping[int, ResidualStart], k: int
    ) -> Float64Array:
        """Return the values of the answers with the donors of index `k`.

        The shape is (n_prompts, 3, n_sites, n_spans, 2): another concept, the same concept, and
        other positions.
        """
        shape = (len(prompts), 3, len(self.sites), len(self.spans), len(MEASURES))
        values = np.full(shape, np.nan)
        numbers = [self.donors.number(prompt) for prompt in prompts]
        for same_concept, variants in ((False, (0, 2)), (True, (1,))):
            states: dict[tuple[int | None, ...], Mapping[str, Mapping[int, Tensor]]] = {}
            for s, span in enumerate(self.spans):
                drawn = [self.donors.draw(n, span, same_concept=same_concept) for n in numbers]
                chosen = tuple(each[k] if k < len(each) else None for each in drawn)
                if chosen not in states:
                    states[chosen] = self._states(chosen)
                for (place, site), variant in product(enumerate(self.sites), variants):
                    find = self.donors.others if variant == 2 else self.donors.pairs
                    pairs = [find(n, d, site, span) for n, d in zip(numbers, chosen, strict=True)]
                    if any(pairs):
                        hook = partial(_replace, pairs, chosen, states[chosen][site])
                        options = ForwardOptions(start=starts.get(layer_before(site)))
                        after = answer_values(self.reader, prompts, {site: hook}, options)
                        after[[pair is None for pair in pairs]] = np.nan
                        values[:, variant, place, s] = after
        return values

    def _states(self, chosen: Sequence[int | None]) -> Mapping[str, Mapping[int, Tensor]]:
        """Return the states of donors at each site, keyed by the index of the donor."""
        numbers = sorted({n for n in chosen if n is not None})
        states: dict[str, dict[int, Tensor]] = {site: {} for site in self.sites}

        def store(site: str, number: int, values: Tensor) -> None:
            states[site][numbers[number]] = values.clone()

        if numbers:
            hooks = {site: partial(store, site) for site in self.sites}
            self.reader.model.run_with_hooks([self.donors.items[n][0] for n in numbers], hooks)
        return states


def _replace(
    pairs: Sequence[Pairs | None],
    donors: Sequence[int | None],
    states: Mapping[int, Tensor],
    number: int,
    current: Tensor,
) -> Tensor | None:
    """Return the states of a prompt, with some positions replaced by those of its donor."""
    pair, donor = pairs[number], donors[number]
    if pair is None or donor is None:
        return None
    replaced, replacing = pair
    return Replacement(tuple(replaced), states[donor][replacing]).applied(current)
