"""Connectors with a codebook: quantised features, and discrete tokens of an extended vocabulary."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.config import CodesConfig, ConnectorSizes, QuantizedConfig
from audioprobe.models.connectors.sequence import INITIAL_DEVIATION, mlp, normalized
from audioprobe.models.tokenizers.codes import nearest_code

_EPS = 1e-6


class Codebook(nn.Module):
    """Centroids of one or more codebooks; each codebook quantises what the earlier ones leave over.

    Feature vectors are scaled to length 1 first. The codes of the first codebook are those of
    `KMeansTokenizer` (highest cosine), later ones have the smallest distance.

    Args:
        n_codebooks: number of codebooks.
        n_codes: number of centroids of each.
        width: width of the features.

    Attributes:
        centroids: shape (n_codebooks, n_codes, width); a buffer, which training does not change.
    """

    centroids: Tensor

    def __init__(self, n_codebooks: int, n_codes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("centroids", torch.zeros(n_codebooks, n_codes, width))

    def set(self, centroids: Tensor) -> None:
        """Copy centroids, shape (n_codebooks, n_codes, width), rounded to float16.

        Files store float16, so that a loaded model finds the same codes.

        Raises:
            InvalidInputError: if the shape differs.
        """
        if centroids.shape != self.centroids.shape:
            raise InvalidInputError(
                f"Expected centroids of shape {tuple(self.centroids.shape)}, received "
                f"{tuple(centroids.shape)}. Use the codebook of this encoder and size."
            )
        self.centroids.copy_(centroids.half().float())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes, (..., n_codebooks), and the sum of their centroids, (..., width).

        Args:
            features: shape (..., width).
        """
        rest = functional.normalize(features.float(), dim=-1)
        codes, total = [], torch.zeros_like(rest)
        for number, centroids in enumerate(self.centroids.float()):
            codes.append(nearest_code(rest, centroids) if number == 0 else closest(rest, centroids))
            total, rest = total + centroids[codes[-1]], rest - centroids[codes[-1]]
        return torch.stack(codes, dim=-1), total


def closest(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the centroid with the smallest distance from each vector, shape (...).

    Args:
        vectors: shape (..., width).
        centroids: shape (n_codes, width).
    """
    # |c - x|^2 without |x|^2, which is the same for all centroids
    return (vectors @ centroids.T - centroids.square().sum(dim=1) / 2).argmax(dim=-1)


class QuantizedConnector(nn.Module):
    """Connector that replaces each feature vector by its centroid, followed by an MLP.

    Args:
        config: size of the codebook, and width of the MLP.
        sizes: widths of features and language model.
    """

    def __init__(self, config: QuantizedConfig, sizes: ConnectorSizes) -> None:
        super().__init__()
        self.codebook = Codebook(1, config.n_codes, sizes.width)
        self.layers = mlp(sizes.width, config.width, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, hidden), of features without normalisation."""
        _, centroids = self.codebook(features)
        tokens: Tensor = self.layers(normalized(centroids, _EPS).to(features.dtype))
        return tokens

    def tokens_of_codes(self) -> Tensor:
        """Return the token of each code, shape (n_codes, hidden)."""
        tokens: Tensor = self.layers(normalized(self.codebook.centroids[0].float(), _EPS))
        return tokens


class CodesConnector(nn.Module):
    """Connector of AudioPaLM: the codes of a clip are words of an extended vocabulary.

    As codes are masked at the output, the model equals one whose input and output embeddings have
    additional rows.

    Args:
        config: number and size of the codebooks.
        sizes: widths of features and language model.

    Attributes:
        rows: new rows of the embedding table, shape (n_codebooks, n_codes, hidden).
    """

    def __init__(self, config: CodesConfig, sizes: ConnectorSizes) -> None:
        super().__init__()
        self.codebook = Codebook(config.n_codebooks, config.n_codes, sizes.width)
        shape = (config.n_codebooks, config.n_codes, sizes.hidden)
        self.rows = nn.Parameter(torch.randn(shape) * INITIAL_DEVIATION)

    def start_from(self, embeddings: Tensor, seed: int) -> None:
        """Initialise the new rows: the mean of the old rows, and noise of half their deviation.

        A row near 0 would differ from all words in length; the mean is a safe start (transformers'
        `resize_token_embeddings` uses it, too).

        Args:
            embeddings: rows of the language model, shape (n_vocabulary, hidden).
            seed: seed of the noise.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.rows.shape, generator=generator)
        deviation = embeddings.float().std(dim=0).cpu()
        mean = embeddings.float().mean(dim=0).cpu() / self.rows.shape[0]
        with torch.no_grad():
            self.rows.copy_(mean + noise * deviation / 2)

    def start_from_tokens(self, tokens: Tensor) -> None:
        """Initialise the new rows of the only codebook: one token for each code.

        Args:
            tokens: shape (n_codes, hidden).
        """
        with torch.no_grad():
            self.rows.copy_(tokens[None])

    def codes(self, features: Tensor) -> Tensor:
        """Return the codes of features, shape (n_clips, n_steps, n_codebooks)."""
        codes: Tensor = self.codebook(features)[0]
        return codes

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, hidden), of features without normalisation."""
        codes = self.codes(features)
        tokens = [rows[codes[..., n]] for n, rows in enumerate(self.rows)]
        return torch.stack(tokens).sum(dim=0)
