"""Cosines of states and texts, and measures of the concepts of the nearest texts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.text_bank import TextBank
from audioprobe.types import Float64Array

MEASURES = ("share of neighbours", "reciprocal rank", "first")
"""Measures of a concept. More is better."""

_CHUNK = 16  # positions for which all permutations are in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class NearbyTexts:
    """Texts near the states of a span of one prompt at one site.

    Attributes:
        values: shape (2, 2, n_concepts, n_measures): observed and mean over permutations of the
            concepts of the bank; mean and best over the positions; for each concept of the bank.
        texts: indices of the texts with the highest cosine at any position.
        sites: site of the bank at which each of them is nearest.
        cosines: their cosines, from -1 to 1.
    """

    values: Float64Array
    texts: tuple[int, ...]
    sites: tuple[str, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextComparison:
    """Comparison of states with a bank.

    Attributes:
        sites: sites of the bank.
        vectors: normalized states of the texts at each site, shape (n_texts, width) each.
        labels: index of the concept of each text, shape (1 + n_permutations, n_texts): as observed,
            then permuted.
        n_concepts: number of concepts.
        k: number of neighbours.
    """

    sites: tuple[str, ...]
    vectors: tuple[Tensor, ...]
    labels: Tensor
    n_concepts: int
    k: int

    @classmethod
    def of(
        cls, bank: TextBank, *, center: bool, k: int, n_permutations: int, seed: int
    ) -> "TextComparison":
        """Return the comparison with a bank.

        Args:
            bank: states of texts.
            center: whether to subtract the mean over texts at each site.
            k: number of neighbours, less than the number of texts.
            n_permutations: number of permutations of the concepts, at least 1.
            seed: random seed of the permutations.

        Raises:
            InvalidInputError: if a number is out of range, or a state of the bank is 0.
        """
        if not 1 <= k < len(bank) or n_permutations < 1:
            raise InvalidInputError(
                f"Expected 1 <= k < {len(bank)} (number of texts) and n_permutations >= 1, got "
                f"{k} and {n_permutations}."
            )
        rng = np.random.default_rng(seed)
        numbers = {name: number for number, name in enumerate(bank.names)}
        labels = np.array([numbers[concept] for concept in bank.concepts])
        permuted = [rng.permutation(labels) for _ in range(n_permutations)]
        return cls(
            sites=tuple(bank.states),
            vectors=tuple(torch.from_numpy(bank.unit_vectors(s, center)) for s in bank.states),
            labels=torch.from_numpy(np.stack([labels, *permuted])),
            n_concepts=len(bank.names),
            k=k,
        )

    @torch.inference_mode()
    def compare(self, states: States, n_top: int) -> NearbyTexts:
        """Return measures and nearest texts for states of shape (n_positions, width)."""
        if states.shape[-1] != self.vectors[0].shape[-1]:
            raise InvalidInputError(
                f"Expected states of the width of the bank ({self.vectors[0].shape[-1]}), got "
                f"width {states.shape[-1]}. Compare sites of the language model."
            )
        vectors = torch.from_numpy(states).float()
        norms = vectors.norm(dim=-1, keepdim=True)
        shape = (2, 2, self.n_concepts, len(MEASURES))
        if not norms.all():  # a state without direction has no neighbours
            return NearbyTexts(np.full(shape, np.nan), (), (), ())
        vectors = vectors / norms
        cosines = vectors @ self.vectors[0].T
        at = torch.zeros(cosines.shape, dtype=torch.long)
        for number, texts in enumerate(self.vectors[1:], 1):
            others = vectors @ texts.T
            at[others > cosines] = number
            cosines = torch.maximum(cosines, others)
        values = torch.cat([self._measures(chunk) for chunk in torch.split(cosines, _CHUNK)])
        combined = torch.stack([values.mean(dim=0), values.amax(dim=0)], dim=1)
        null = combined[1:].mean(dim=0)
        highest, position = cosines.max(dim=0)
        top = highest.topk(min(n_top, len(highest)))
        return NearbyTexts(
            torch.stack([combined[0], null]).numpy(),
            tuple(top.indices.tolist()),
            tuple(self.sites[at[position[text], text]] for text in top.indices.tolist()),
            tuple(top.values.tolist()),
        )

    def _measures(self, cosines: Tensor) -> Tensor:
        """Return the measures of each concept at each position.

        Args:
            cosines: shape (n_positions, n_texts).

        Returns:
            Shape (n_positions, 1 + n_permutations, n_concepts, n_measures), float64.
        """
        order = cosines.argsort(dim=-1, descending=True, stable=True)
        labels = self.labels[:, order].transpose(0, 1)  # (n_positions, n_labellings, n_texts)
        ranks = torch.arange(1, order.shape[-1] + 1, dtype=torch.float64).expand(labels.shape)
        shape = (*labels.shape[:2], self.n_concepts)
        first = torch.full(shape, torch.inf, dtype=torch.float64)
        first = first.scatter_reduce(-1, labels, ranks, "amin")
        counts = torch.zeros(shape, dtype=torch.float64)
        nearest = labels[..., : self.k]
        counts = counts.scatter_add(-1, nearest, torch.ones(nearest.shape, dtype=torch.float64))
        return torch.stack([counts / self.k, 1 / first, (first == 1).double()], dim=-1)
