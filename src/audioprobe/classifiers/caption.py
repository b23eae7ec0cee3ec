"""The study's classifier: a model says what it hears, a scorer compares that with the labels."""

import hashlib
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from audioprobe.audio.reading import Reading
from audioprobe.audio.sources import Source, clips_of
from audioprobe.classifiers.captioning import Captions, caption_clips
from audioprobe.errors import AudioProbeError, ContractError, InvalidInputError, RemoteError
from audioprobe.protocols import LanguageModel, Scorer
from audioprobe.registry import load
from audioprobe.results import Caption, ClassificationResult, LabelScores, Provenance
from audioprobe.types import Clip, Decoding, Float64Array, FloatArray, Option

CAPTION_QUESTION = "Close-ended question: Write an audio caption describing the sound."
"""LTU's own wording for classification (`inference_batch.py`), "Close" included."""

_LIBRARIES = (
    "ai-edge-litert",
    "audioprobe",
    "numpy",
    "openai",
    "scipy",
    "sentence-transformers",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
)


class CaptionClassifier:
    """Clips to label scores by way of captions.

    Each window of a clip is captioned; each caption is scored against every label; a clip's scores
    pool those of its windows. A clip that cannot be read, captioned or scored is listed with its
    cause and has no row of scores.

    Args:
        model: a language model that takes sound, or its name: "tag-captioner:birdnet".
        scorer: compares captions with labels, or its name; by default cosine similarity of
            all-MiniLM-L6-v2 embeddings.
        question: asked of every window.
        reading: how recordings become windows of one channel.
        decoding: None means the model's default, which is greedy.

    Example:
        ```python
        classifier = CaptionClassifier("tag-captioner:birdnet")
        result = classifier("recordings/", labels=["crow", "drum", "bell"])
        ```
    """

    def __init__(
        self,
        model: LanguageModel | str,
        scorer: Scorer | str = "embedding",
        *,
        question: str = CAPTION_QUESTION,
        reading: Reading | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        self._model: LanguageModel = (
            load("language_model", model) if isinstance(model, str) else model
        )
        self._scorer: Scorer = load("scorer", scorer) if isinstance(scorer, str) else scorer
        self._question = question
        self._reading = reading or Reading()
        self._decoding = decoding

    def __call__(
        self,
        sounds: Source | Iterable[Source],
        labels: Sequence[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> ClassificationResult:
        """Classify sounds.

        Args:
            sounds: files, folders, clips, waveforms, or (samples, sample rate) pairs.
            labels: class names, as a listener would say them.
            progress: called with the number of clips done and in all.

        Raises:
            InvalidInputError: for no sounds, or for labels that the scorer refuses.
            AudioProbeError: for what no single clip is the cause of, such as missing weights.
        """
        clips = clips_of(sounds)
        # Wrong labels, a wrong key or missing weights come to light before hours of captioning.
        self._check_labels(labels)
        record = Captions()
        for record in caption_clips(
            self._model, clips, self._question, self._reading, self._decoding
        ):
            if progress is not None:
                progress(len(record.captions) + len(record.failures), len(clips))
        return self._result(clips, record, tuple(labels))

    def rescore(
        self, result: ClassificationResult, labels: Sequence[str] | None = None
    ) -> ClassificationResult:
        """Score the captions of a result again, with this scorer; no model is asked.

        Args:
            result: its captions, failures and truth are kept; failures in scoring are tried again.
            labels: other labels; None keeps those of the result.
        """
        chosen = result.labels if labels is None else labels
        self._check_labels(chosen)
        record = Captions()
        record.failures = {f.clip_id: f for f in result.failures if f.stage != "score"}
        for caption in result.captions:
            record.captions.setdefault(caption.clip_id, []).append(caption)
        provenance = replace(result.provenance, versions=_versions(), created=_now())
        return self._scored(record, tuple(chosen), provenance, result.truth)

    def _check_labels(self, labels: Sequence[str]) -> None:
        if isinstance(labels, str):
            raise InvalidInputError(f"labels must be a list of texts, got the text {labels!r:.60}.")
        self._scorer.score((), tuple(labels))

    def _result(
        self, clips: Sequence[Clip], record: Captions, labels: tuple[str, ...]
    ) -> ClassificationResult:
        in_order = Captions(
            captions={c.id: record.captions[c.id] for c in clips if c.id in record.captions},
            failures={c.id: record.failures[c.id] for c in clips if c.id in record.failures},
        )
        data = hashlib.sha256()
        for clip in clips:
            # Only of scored clips: how far a failed one was read depends on the batch.
            digest = record.digests[clip.id] if clip.id in record.captions else "failed"
            data.update(f"{clip.id}\t{digest}\n".encode("utf-8", "surrogatepass"))
        provenance = Provenance(
            components={"model": self._model.info},
            options=self._options(),
            seed=self._decoding.seed if self._decoding else 0,
            data=data.hexdigest(),
            versions=_versions(),
            created=_now(),
        )
        truth = {clip.id: clip.labels for clip in clips if clip.labels is not None}
        return self._scored(in_order, labels, provenance, truth)

    def _scored(
        self,
        record: Captions,
        labels: tuple[str, ...],
        provenance: Provenance,
        truth: Mapping[str, tuple[str, ...]],
    ) -> ClassificationResult:
        captions = tuple(c for clip_captions in record.captions.values() for c in clip_captions)
        provenance = replace(
            provenance,
            components={**provenance.components, "scorer": self._scorer.info},
            options={**provenance.options, "pooling": self._reading.pooling},
        )
        by_window = self._scores_of(captions, labels, record)
        clip_ids, values = self._pooled(
            [c for c in captions if c.clip_id not in record.failures], by_window, len(labels)
        )
        return ClassificationResult(
            LabelScores(clip_ids, labels, values),
            captions,
            tuple(record.failures.values()),
            provenance,
            truth,
        )

    def _scores_of(
        self, captions: Sequence[Caption], labels: tuple[str, ...], record: Captions
    ) -> dict[Caption, FloatArray]:
        """A row per caption; a clip whose caption cannot be scored fails.

        The captions may have cost hours: they are kept, and `rescore` takes it from there.
        """
        try:
            return dict(zip(captions, self._checked(captions, labels), strict=True))
        except AudioProbeError as error:
            if isinstance(error, RemoteError) or len(captions) == 1:
                for caption in captions:
                    record.fail(caption.clip_id, "score", error)
                return {}
        rows: dict[Caption, FloatArray] = {}
        for caption in captions:  # one of them is the cause, and need not fail the others
            rows |= self._scores_of([caption], labels, record)
        return rows

    def _checked(self, captions: Sequence[Caption], labels: tuple[str, ...]) -> FloatArray:
        rows = np.asarray(self._scorer.score([caption.text for caption in captions], labels))
        if rows.shape != (len(captions), len(labels)) or not np.isfinite(rows).all():
            raise ContractError(
                f"The scorer {self._scorer.info.name!r} was to give finite scores of shape "
                f"({len(captions)}, {len(labels)}), and gave {rows.shape} or numbers that are not "
                "finite. `audioprobe.testing.check_scorer` checks for this."
            )
        return rows

    def _pooled(
        self, captions: Sequence[Caption], by_window: Mapping[Caption, FloatArray], n_labels: int
    ) -> tuple[tuple[str, ...], Float64Array]:
        """Scores of windows to scores of clips; the windows of a clip stand together."""
        pool = np.max if self._reading.pooling == "max" else np.mean
        rows: dict[str, list[FloatArray]] = {}
        for caption in captions:
            rows.setdefault(caption.clip_id, []).append(by_window[caption])
        values = [pool(windows, axis=0) for windows in rows.values()]
        return tuple(rows), np.array(values, dtype=np.float64).reshape(len(rows), n_labels)

    def _options(self) -> dict[str, Option]:
        decoding = asdict(self._decoding) if self._decoding else {}
        return {
            "question": self._question,
            **asdict(self._reading),
            **{f"decoding.{name}": value for name, value in decoding.items()},
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
