"""The study's classifier: a model says what it hears, a scorer compares that with the labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.pooling import pooled
from audioprobe.classification.provenance import groups_of, provenance_of, truth_of
from audioprobe.errors import AudioProbeError, ContractError, RemoteError
from audioprobe.inference.clips import (
    InferenceResult,
    UnusableResponseError,
    WindowModel,
    run_inference,
)
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel, Scorer, TextLimit
from audioprobe.registry import check_name, load
from audioprobe.results import Caption, ClassificationResult, Provenance
from audioprobe.results.provenance import now, versions
from audioprobe.results.scores import NOT_SCORED
from audioprobe.text_validation import checked_labels
from audioprobe.types import Decoding, Example, FloatArray, Option, Prompt, Response

CAPTION_QUESTION = "Close-ended question: Write an audio caption describing the sound."
"""LTU's own wording for classification (`inference_batch.py`), "Close" included."""


class EmptyCaptionError(UnusableResponseError):
    """The model's answer held no text."""


class CaptionClassifier:
    """Clips to label scores by way of captions.

    Each window of a clip is captioned; each caption is scored against every label; a clip's scores
    pool those of its windows. A clip that cannot be read, captioned or scored is listed with its
    cause and has no row of scores.

    Args:
        model: a language model that takes sound, or its name: "ltu:mini".
        scorer: compares captions with labels, or its name; by default cosine similarity of
            all-MiniLM-L6-v2 embeddings.
        question: asked of every window.
        examples: shown before every question.
        reading: how recordings become windows of one channel.
        decoding: None means the model's default, which is greedy.

    Example:
        ```python
        classifier = CaptionClassifier("ltu:mini")
        result = classifier("recordings/", labels=["crow", "drum", "bell"])
        ```
    """

    def __init__(
        self,
        model: LanguageModel | str,
        scorer: Scorer | str = "embedding",
        *,
        question: str = CAPTION_QUESTION,
        examples: Sequence[Example] = (),
        reading: Windowing | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        if isinstance(model, str):
            check_name("language_model", model)
        if isinstance(scorer, str):
            check_name("scorer", scorer)
        self._given_model = model
        self._given_scorer = scorer
        self._question = question
        self._examples = tuple(examples)
        self._reading = reading or Windowing()
        self._decoding = decoding

    @cached_property
    def _model(self) -> LanguageModel:
        """Loaded at the first use, so that a wrong path or label is found before weights load."""
        return load("language_model", self._given_model)

    @cached_property
    def _scorer(self) -> Scorer:
        return load("scorer", self._given_scorer)

    @property
    def model(self) -> LanguageModel:
        """The model that captions, built where it was given by its name."""
        return self._model

    def __call__(
        self,
        sounds: Source | Iterable[Source],
        labels: Iterable[str],
        *,
        progress: ProgressCallback = ignore_progress,
    ) -> ClassificationResult:
        """Classify sounds.

        Args:
            sounds: files, folders, clips, waveforms, or (samples, sample rate) pairs.
            labels: class names, as a listener would say them.
            progress: called after every clip or batch.

        Raises:
            InvalidInputError: for no sounds, or for labels that the scorer refuses.
            AudioProbeError: for what no single clip is the cause of, such as missing weights.
        """
        clips = clips_of(sounds)
        # Wrong labels, a wrong key or missing weights come to light before hours of captioning.
        names = self._checked_labels(labels)
        record = run_inference(self._listener(), clips, self._reading, progress)
        provenance = provenance_of(
            {"model": self._model.info},
            self._options(),
            self._reading,
            clips,
            record,
            heard_by=self._model,
            seed=self._decoding.seed if self._decoding else 0,
        )
        known = truth_of(clips), groups_of(clips)
        return self._scored(record, names, provenance, *known)

    def rescore(
        self, result: ClassificationResult, labels: Iterable[str] | None = None
    ) -> ClassificationResult:
        """Score the captions of a result again, with this scorer; no model is asked.

        Args:
            result: its captions, failures, truth and groups are kept; failures in scoring are
                tried again.
            labels: other labels; None keeps those of the result.
        """
        chosen = self._checked_labels(result.labels if labels is None else labels)
        record: InferenceResult[Caption] = InferenceResult()
        record.failures = {f.clip_id: f for f in result.failures if f.stage != "score"}
        for caption in result.captions:
            record.outputs.setdefault(caption.clip_id, []).append(caption)
        provenance = replace(result.provenance, versions=versions(), created=now())
        return self._scored(record, chosen, provenance, result.truth, result.groups)

    def _checked_labels(self, labels: Iterable[str]) -> tuple[str, ...]:
        names = checked_labels(labels)
        self._scorer.score((), names)
        return names

    def _listener(self) -> WindowModel[Prompt, Response, Caption]:
        return WindowModel(
            name="language model",
            item="prompt",
            stage="caption",
            infer=lambda prompts: self._model.generate(prompts, self._decoding),
            make_input=lambda waveform: Prompt(self._question, waveform, self._examples),
            make_output=_caption,
        )

    def _scored(
        self,
        record: InferenceResult[Caption],
        labels: tuple[str, ...],
        provenance: Provenance,
        truth: Mapping[str, tuple[str, ...]],
        groups: Mapping[str, str],
    ) -> ClassificationResult:
        captions = self._with_excess(
            [c for clip_captions in record.outputs.values() for c in clip_captions]
        )
        provenance = replace(
            provenance,
            components={**provenance.components, "scorer": self._scorer.info},
            options={**provenance.options, "pooling": self._reading.pooling},
        )
        by_window = self._scores_of(captions, labels, record)
        rows: dict[str, list[FloatArray]] = {}
        for caption in captions:
            if caption.clip_id not in record.failures:
                rows.setdefault(caption.clip_id, []).append(by_window[caption])
        return ClassificationResult(
            label_scores=pooled(rows, labels, self._reading),
            captions=captions,
            failures=tuple(record.failures.values()),
            provenance=provenance,
            truth=truth,
            groups=groups,
        )

    def _with_excess(self, captions: Sequence[Caption]) -> tuple[Caption, ...]:
        """The captions, each with the number of its tokens that the scorer does not read."""
        excess = None
        if captions and isinstance(self._scorer, TextLimit):
            excess = self._scorer.excess_tokens([caption.text for caption in captions])
        found = []
        for caption, n in zip(captions, excess or [0] * len(captions), strict=True):
            details = {k: v for k, v in caption.details.items() if k != NOT_SCORED}
            found.append(replace(caption, details=details | ({NOT_SCORED: n} if n else {})))
        return tuple(found)

    def _scores_of(
        self, captions: Sequence[Caption], labels: tuple[str, ...], record: InferenceResult[Caption]
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

    def _options(self) -> dict[str, Option]:
        decoding = asdict(self._decoding) if self._decoding else {}
        return {
            "question": self._question,
            **self._shown(),
            **{f"decoding.{name}": value for name, value in decoding.items()},
        }

    def _shown(self) -> dict[str, Option]:
        """The examples, by their texts and the hashes of their sounds."""
        if not self._examples:
            return {}
        told = ("no sound" if e.audio is None else e.audio.digest() for e in self._examples)
        texts = (f"{e.question} -> {e.answer}" for e in self._examples)
        return {"examples": tuple(map(" | ".join, zip(texts, told, strict=True)))}


def _caption(clip_id: str, window: AudioWindow, response: Response) -> Caption:
    if not response.text.strip():  # it says nothing: a failure, not a score of no words
        raise EmptyCaptionError("The model answered with no text.")
    return Caption(
        clip_id=clip_id,
        start=window.start,
        text=response.text,
        abstained=response.abstained,
        finish=response.finish,
        details=response.details,
    )
