"""Positions at which a tuned lens is trained: states of layers, and the output of the model."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.answer_logits import log_probabilities
from audioprobe.interpretability.batches import BatchResults, Item, in_batches
from audioprobe.interpretability.lens_places import read_places, spans_of
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.tuned_lens import Translator, translated
from audioprobe.progress import ProgressCallback
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import BoolArray

FINAL = "lm.norm"
"""Site of the states from which the output is computed; they are smaller than logits."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LensPositions:
    """States at the positions of prompts.

    Attributes:
        sites: sites of the lens.
        span_names: spans whose positions are used.
        states: states by site, shape (n_positions, width) each, with those of `FINAL`.
        prompts: index of the prompt of each position.
        spans: index of the span of each position.
        is_validation: whether each position belongs to a prompt of a held-out concept.
    """

    sites: tuple[str, ...]
    span_names: tuple[str, ...]
    states: Mapping[str, Tensor]
    prompts: Tensor
    spans: Tensor
    is_validation: Tensor

    @classmethod
    def of(
        cls,
        states: Mapping[int, Mapping[Place, States]],
        concepts: Sequence[Hashable],
        *,
        sites: tuple[str, ...],
        spans: tuple[str, ...],
        validation_share: float,
        seed: int,
    ) -> "LensPositions":
        """Return the positions of prompts.

        Args:
            states: states of each prompt, keyed by its index, from `record_positions`.
            concepts: concept of each prompt, or another group.
            sites: names of sites.
            spans: names of spans.
            validation_share: share of the concepts whose prompts are held out, in (0, 1).
            seed: random seed of the held-out concepts.

        Raises:
            InvalidInputError: if there are fewer than two concepts with states.
        """
        present = [
            (n, number)
            for n in sorted(states)
            for number, span in enumerate(spans)
            if Place(FINAL, span) in states[n]
        ]
        is_held_out = _held_out({n for n, _ in present}, concepts, validation_share, seed)
        counts = [len(states[n][Place(FINAL, spans[number])]) for n, number in present]
        prompts = np.repeat([n for n, _ in present], counts)
        arrays = {
            site: np.concatenate([states[n][Place(site, spans[number])] for n, number in present])
            for site in (*sites, FINAL)
        }
        return cls(
            sites=sites,
            span_names=spans,
            states={site: torch.from_numpy(array) for site, array in arrays.items()},
            prompts=torch.from_numpy(prompts),
            spans=torch.from_numpy(np.repeat([number for _, number in present], counts)),
            is_validation=torch.from_numpy(is_held_out[prompts]),
        )


def _held_out(
    present: set[int], concepts: Sequence[Hashable], validation_share: float, seed: int
) -> BoolArray:
    """Return whether each prompt is of a held-out concept, shape (n_prompts,)."""
    names = list(dict.fromkeys(concepts[n] for n in sorted(present)))
    if len(names) < 2:
        raise InvalidInputError(
            f"Expected states of prompts of at least two concepts, got {len(names)}. Add prompts, "
            "or choose spans that the prompts have."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    n_held_out = min(max(1, round(validation_share * len(names))), len(names) - 1)
    held_out = {names[n] for n in order[:n_held_out]}
    return np.array([concept in held_out for concept in concepts], dtype=np.bool_)


def record_positions(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    places: Sequence[Place],
    *,
    max_positions: int,
    batch_size: int,
    progress: ProgressCallback,
) -> BatchResults[dict[Place, States]]:
    """Return the states of each prompt at places and at the spans of `FINAL`.

    Args:
        model: the model.
        prompts: the prompts.
        places: sites of the lens, with spans.
        max_positions: maximum number of positions per prompt and span, evenly spaced.
        batch_size: prompts per forward pass.
        progress: called after every batch.
    """
    with_final = (*places, *(Place(FINAL, span) for span in spans_of(places)))

    def compute(batch: Sequence[Item]) -> list[dict[Place, States]]:
        return [
            {place: _spaced(values, max_positions) for place, values in states.items()}
            for states in read_places(model, batch, with_final)
        ]

    return in_batches(
        model, prompts, compute, batch_size=batch_size, stage="states", progress=progress
    )


def _spaced(values: States, most: int) -> States:
    """Return at most `most` rows, evenly spaced."""
    n_chosen = min(most, len(values))
    return values[np.linspace(0, len(values) - 1, n_chosen).round().astype(np.int64)]


def divergence(
    model: Inspectable, data: LensPositions, site: str, positions: Tensor, translator: Translator
) -> Tensor:
    """Return KL(final || lens) in nats at some positions, shape (n_positions,).

    Args:
        model: the model.
        data: states.
        site: site that the lens reads.
        positions: indices of the positions.
        translator: translator of the site, to which gradients flow.
    """
    with torch.no_grad():
        final = log_probabilities(
            model.vocabulary_logits(data.states[FINAL][positions], normalized=True)
        )
    states = translated(data.states[site][positions], *translator)
    lens = model.vocabulary_logits(states).log_softmax(dim=-1)
    return (final.exp() * (final - lens)).sum(dim=-1)
