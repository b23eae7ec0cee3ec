"""Static text embeddings with model2vec: the mean of fixed token vectors, without a network."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from safetensors import SafetensorError

from audioprobe.errors import WeightsError, needs_extra
from audioprobe.texts import check_unicode
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr
from audioprobe.weights import resolve

with needs_extra("static"):
    from model2vec import StaticModel


class Model2VecEmbedder(InfoRepr):
    """A local model2vec model as text embedder; it is loaded at first use.

    A text's vector is the mean of the vectors of its tokens, so that word order has no effect.
    Texts have no maximum length.

    Args:
        model: a local folder or a hub name, such as "minishlab/potion-base-8M".

    Raises:
        WeightsError: if the model is missing or damaged, or is not a model2vec model.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._weights = resolve(model)

    @property
    def info(self) -> ComponentInfo:
        """Model name and hash of the weights."""
        return ComponentInfo(
            "embedder", self._weights.display_name(self._model), self._weights.revision()
        )

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        Unknown words are left out of the mean; the vector of a text without a known word is zero.

        Raises:
            InvalidInputError: if a text contains lone surrogates; the message names its position.
        """
        check_unicode(texts)
        if not texts:
            return np.empty((0, self._loaded.dim), dtype=np.float32)
        # Sequential, because the parallel mode sets an environment variable of the process.
        vectors = self._loaded.encode(list(texts), max_length=None, use_multiprocessing=False)
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _loaded(self) -> Any:  # noqa: ANN401 - model2vec is optional
        folder = self._weights.folder
        try:
            model = StaticModel.from_pretrained(folder, force_download=False)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{folder}: expected a model2vec model (config.json, tokenizer.json, "
                f"model.safetensors), got an error: {error}. Download the files again."
            ) from error
        model.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is ordinary text
        return model
