"""Cosines of states and texts, and measures of the concepts of the nearest texts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.text_bank import TextBank, directions
from audioprobe.types import Float64Array

MEASURES = ("share of neighbours", "reciprocal rank", "first")
"""Measures of a concept. More is better."""


@dataclass(frozen=True, slots=True, eq=False)
class NearbyTexts:
    """Texts near the states of a span of one prompt at one site.

    Attributes:
        values: shape (2, n_concepts, n_measures): mean and best over the positions, for each
            concept of the bank and each of `MEASURES`.
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
        labels: index of the concept of each text, shape (n_texts,).
        n_concepts: number of concepts.
        k: number of neighbours.
    """

    sites: tuple[str, ...]
    vectors: tuple[Tensor, ...]
    labels: Tensor
    n_concepts: int
    k: int

    @classmethod
    def of(cls, bank: TextBank, *, center: bool, k: int) -> "TextComparison":
        """Return the comparison with a bank.

        Args:
            bank: states of texts.
            center: whether to subtract the mean over texts at each site.
            k: number of neighbours, less than the number of texts.

        Raises:
            InvalidInputError: if `k` is out of range, or a state of the bank is 0.
        """
        if not 1 <= k < len(bank):
            raise InvalidInputError(f"Expected 1 <= k < {len(bank)} (number of texts), got {k}.")
        numbers = {name: number for number, name in enumerate(bank.names)}
        return cls(
            sites=tuple(bank.states),
            vectors=tuple(torch.from_numpy(bank.unit_vectors(s, center)) for s in bank.states),
            labels=torch.tensor([numbers[concept] for concept in bank.concepts]),
            n_concepts=len(numbers),
            k=k,
        )

    @torch.inference_mode()
    def compare(self, states: States, mean: States | None, n_top: int) -> NearbyTexts:
        """Return measures and nearest texts of states.

        Args:
            states: shape (n_positions, width).
            mean: vector that is subtracted first; None for no centring.
            n_top: number of nearest texts.

        Returns:
            The nearest texts; all values are NaN if a state has no direction.

        Raises:
            InvalidInputError: if the width is not that of the bank.
        """
        if states.shape[-1] != self.vectors[0].shape[-1]:
            raise InvalidInputError(
                f"Expected states of the width of the bank ({self.vectors[0].shape[-1]}), got "
                f"width {states.shape[-1]}. Compare sites of the language model."
            )
        vectors = torch.from_numpy(directions(states, mean))
        if vectors.isnan().any():
            undefined = np.full((2, self.n_concepts, len(MEASURES)), np.nan)
            return NearbyTexts(undefined, (), (), ())
        cosines = vectors @ self.vectors[0].T
        at = torch.zeros(cosines.shape, dtype=torch.long)
        for number, texts in enumerate(self.vectors[1:], 1):
            others = vectors @ texts.T
            at[others > cosines] = number
            cosines = torch.maximum(cosines, others)
        values = self._measures(cosines)
        combined = torch.stack([values.mean(dim=0), values.amax(dim=0)])
        highest, position = cosines.max(dim=0)
        top = highest.topk(min(n_top, len(highest)))
        return NearbyTexts(
            combined.numpy(),
            tuple(top.indices.tolist()),
            tuple(self.sites[at[position[text], text]] for text in top.indices.tolist()),
            tuple(top.values.tolist()),
        )

    def _measures(self, cosines: Tensor) -> Tensor:
        """Return the measures of each concept at each position.

        Args:
            cosines: shape (n_positions, n_texts).

        Returns:
            Shape (n_positions, n_concepts, n_measures), float64.
        """
        labels = self.labels[cosines.argsort(dim=-1, descending=True, stable=True)]
        ranks = torch.arange(1, labels.shape[-1] + 1, dtype=torch.float64).expand(labels.shape)
        empty = torch.zeros(len(labels), self.n_concepts, dtype=torch.float64)
        first = (empty + torch.inf).scatter_reduce(-1, labels, ranks, "amin")
        nearest = labels[:, : self.k]
        counts = empty.scatter_add(-1, nearest, torch.ones_like(nearest, dtype=torch.float64))
        return torch.stack([counts / self.k, 1 / first, (first == 1).double()], dim=-1)
