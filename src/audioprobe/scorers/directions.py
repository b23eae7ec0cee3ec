"""Texts as directions in an embedding space."""

from collections.abc import Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import TextEmbedder
from audioprobe.types import FloatArray


def directions(embedder: TextEmbedder, texts: Sequence[str]) -> FloatArray:
    """Unit vectors, float64, one per text; equal texts are embedded once.

    Raises:
        InvalidInputError: if the embedder answers with another shape, or a vector has no direction.
    """
    unique = list(dict.fromkeys(texts))
    position = {text: n for n, text in enumerate(unique)}
    vectors = np.asarray(embedder.embed(unique), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(unique):
        raise InvalidInputError(
            f"The embedder {embedder.info.name!r} was given {len(unique)} texts and "
            f"answered with an array of shape {vectors.shape}: expected one row per text."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        bad = unique[int(np.argmin(np.isfinite(lengths) & (lengths > 0)))]
        raise InvalidInputError(f"The text {bad!r:.80} has no direction in embedding space.")
    found: FloatArray = vectors / lengths
    return found[[position[text] for text in texts]]
