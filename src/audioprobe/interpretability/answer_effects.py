"""Effects of interventions on the answers of a model: changes of two measures.

Conventions:
    Both measures are read at the position where the options of a prompt begin to differ. The logit
    difference is that of `AnswerTokens.difference`; its change is the value with the intervention
    minus the value without. The relative change of the probability of the correct answer is
    (p_with - p_without) / p_without, where p is the probability of its first distinguishing token
    in the whole vocabulary (Geva et al. 2023, arXiv 2304.14767); -1 means that it became 0. The
    probability can hide parts that favour the wrong answer, so read the logit difference first.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

import numpy as np
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions, ResidualStart
from audioprobe.interpretability.answer_logits import (
    NO_HOOKS,
    AnswerReader,
    AnswerTokens,
    log_probabilities,
)
from audioprobe.interpretability.batches import BatchResults
from audioprobe.interpretability.patched_runs import layer_of
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.text_table import Displayed, Table
from audioprobe.sites import InspectedPrompt, SiteHook
from audioprobe.types import Float64Array

MEASURES = ("change of the logit difference", "relative change of the probability")
"""Names of the measures, in the order of the last dimension of arrays of this module."""


class AnswerPrompts(Sequence[InspectedPrompt]):
    """Prompts up to the position where their options begin to differ, made when they are used.

    Args:
        reader: reader of the answers.
        prompts: the prompts; those without options are not changed.
    """

    def __init__(self, reader: AnswerReader, prompts: Sequence[InspectedPrompt]) -> None:
        self._reader, self._prompts = reader, prompts

    def __len__(self) -> int:
        return len(self._prompts)

    @overload
    def __getitem__(self, index: int) -> InspectedPrompt: ...
    @overload
    def __getitem__(self, index: slice) -> list[InspectedPrompt]: ...
    def __getitem__(self, index: int | slice) -> InspectedPrompt | list[InspectedPrompt]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        prompt = self._prompts[index]
        return self._reader.prompt(prompt) if prompt.options else prompt


@dataclass(frozen=True, slots=True, eq=False)
class PromptEffects:
    """Effects of interventions on one prompt.

    Attributes:
        baseline: logit difference without intervention.
        changes: shape (1 + n_controls, n_places, 2): the intervention, then its controls; the last
            dimension has the measures. NaN where an intervention is impossible.
    """

    baseline: float
    changes: Float64Array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class AnswerEffects(Displayed):
    """Effects of interventions at many places on the answers to prompts.

    Attributes:
        logit_difference: change of the logit difference.
        probability: relative change of the probability of the correct answer.
        baseline: logit difference of each prompt without intervention, shape (n_items,); NaN for
            prompts that failed. `effects.logit_difference.only(effects.baseline > 0)` is the curve
            of the prompts with right answers.
        failures: cause of the failure of each prompt that failed, keyed by its index.
    """

    logit_difference: SiteCurve
    probability: SiteCurve
    baseline: Float64Array
    failures: Mapping[int, str]

    @classmethod
    def of(
        cls,
        results: BatchResults[PromptEffects],
        concepts: Sequence[Hashable],
        places: Sequence[Place],
        controls: Sequence[str],
    ) -> "AnswerEffects":
        """Return the effects of all prompts.

        Args:
            results: effects of each prompt that did not fail.
            concepts: concept of each prompt.
            places: the places of the interventions.
            controls: names of the controls.
        """
        n = len(concepts)
        baseline = np.full(n, np.nan)
        changes = np.full((n, 1 + len(controls), len(places), len(MEASURES)), np.nan)
        for number, effects in results.values.items():
            baseline[number], changes[number] = effects.baseline, effects.changes
        curves = [
            SiteCurve(
                measure=measure,
                places=tuple(places),
                concepts=tuple(concepts),
                values=changes[:, 0, :, k],
                controls={name: changes[:, 1 + c, :, k] for c, name in enumerate(controls)},
                items=item_names(results, n),
            )
            for k, measure in enumerate(MEASURES)
        ]
        return cls(
            logit_difference=curves[0],
            probability=curves[1],
            baseline=baseline,
            failures=results.failures,
        )

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables of both measures, and the number of failures with the first cause."""
        tables, sentences = self.logit_difference.displayed()
        more_tables, _ = self.probability.displayed()
        return tables + more_tables, sentences + failure_sentence(self.failures)


def answer_values(
    reader: AnswerReader,
    prompts: Sequence[InspectedPrompt],
    hooks: Mapping[str, SiteHook] = NO_HOOKS,
    options: ForwardOptions = NO_OPTIONS,
) -> Float64Array:
    """Return logit difference and log-probability of the correct answer, shape (n_prompts, 2).

    Args:
        reader: reader of the answers.
        prompts: a batch of prompts from `AnswerPrompts`.
        hooks: hooks of the forward pass.
        options: options of the forward pass.

    Raises:
        InvalidInputError: if a prompt has fewer than two options.
        NonFiniteError: if a logit is NaN or infinite.
    """
    tokens = [AnswerTokens.of(reader.model, prompt) for prompt in prompts]
    values = [
        (float(answer.difference(logits)), float(log_probabilities(logits)[answer.ids[0]]))
        for answer, logits in zip(tokens, reader.logits(prompts, hooks, options), strict=True)
    ]
    return np.array(values, dtype=np.float64).reshape(len(prompts), 2)


def answer_values_and_starts(
    reader: AnswerReader, prompts: Sequence[InspectedPrompt], layers: Iterable[int]
) -> tuple[Float64Array, dict[int, ResidualStart]]:
    """Return `answer_values` of a plain pass, and the states after some layers to continue from.

    Args:
        reader: reader of the answers.
        prompts: a batch of prompts from `AnswerPrompts`.
        layers: layers, counted from 0.
    """
    streams: dict[int, dict[int, Tensor]] = {layer: {} for layer in layers}

    def store(layer: int, number: int, states: Tensor) -> None:
        streams[layer][number] = states.clone()

    hooks = {f"lm.resid.{layer}": partial(store, layer) for layer in streams}
    values = answer_values(reader, prompts, hooks)
    return values, {
        layer: ResidualStart(layer, [states[n] for n in range(len(prompts))])
        for layer, states in streams.items()
    }


def layer_before(site: str) -> int:
    """Return the last layer that is computed before a site; -1 if there is none."""
    return (layer_of(site) or 0) - 1


def answer_changes(before: Float64Array, after: Float64Array) -> Float64Array:
    """Return the measures of a change, shape (..., 2), from the values of `answer_values`."""
    difference = after - before
    return np.stack([difference[..., 0], np.expm1(difference[..., 1])], axis=-1)


def check_concepts(prompts: Sequence[object], concepts: Sequence[Hashable]) -> None:
    """Raise `InvalidInputError` unless there is at least one prompt, and a concept for each."""
    if not prompts or len(prompts) != len(concepts):
        raise InvalidInputError(
            f"Expected at least one prompt and one concept per prompt, got {len(prompts)} prompts "
            f"and {len(concepts)} concepts."
        )


def item_names(results: BatchResults[Any], n: int) -> tuple[str, ...]:
    """Return the id of each of `n` prompts, or its index if it has none or could not be read."""
    ids = {number: prompt.id for number, (prompt, _) in results.items.items()}
    return tuple(ids.get(number) or str(number) for number in range(n))


def failure_sentence(failures: Mapping[int, str]) -> tuple[str, ...]:
    """Return a sentence about the prompts that failed, or ()."""
    if not failures:
        return ()
    first = min(failures)
    return (f"{len(failures)} prompts failed; the first one, {first}: {failures[first]}",)
