"""Base of connectors whose tokens are read by layers of the language model.

Such tokens have no positions in the input of the language model. The layers receive them
through hooks, only within the context manager `reading`; outside of it, and for prompts without
audio, the language model computes as if it had no connector.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class LayerConnector(nn.Module, ABC):
    """Connector that gives audio tokens to layers of a language model.

    Args:
        every: the layers 0, `every`, 2 * `every`, ... read the tokens.
        n_layers: number of layers of the language model.

    Attributes:
        layer_numbers: the layers that read the tokens.
    """

    def __init__(self, every: int, n_layers: int) -> None:
        super().__init__()
        self.layer_numbers = tuple(range(0, n_layers, every))
        self._tokens: Tensor | None = None
        self._present: Tensor | None = None

    @abstractmethod
    def attach(self, layers: Any) -> None:  # noqa: ANN401 - layers of transformers have no type
        """Register the hooks by which the layers of a language model read the tokens."""

    @abstractmethod
    def written(self, tokens: Tensor) -> Tensor:
        """Return what layers add to the residual stream if they attend to one token alone.

        The alignment with words compares these vectors with word embeddings.

        Args:
            tokens: shape (n_clips, n_tokens, token width).

        Returns:
            Shape (n_clips, n_tokens, hidden).
        """

    @contextmanager
    def reading(self, tokens: Sequence[Tensor | None]) -> Iterator[None]:
        """Context manager in which the layers read the tokens of each prompt of a batch.

        Args:
            tokens: tokens of each prompt, shape (n_tokens, token width); None for a prompt without
                audio. A single prompt stands for all rows of a batch.
        """
        known = [row for row in tokens if row is not None]
        if not known:
            yield
            return
        rows = [torch.zeros_like(known[0]) if row is None else row for row in tokens]
        present = [row is not None for row in tokens]
        self._tokens = torch.stack(rows)
        self._present = torch.tensor(present, device=self._tokens.device)
        try:
            yield
        finally:
            self._tokens = self._present = None
