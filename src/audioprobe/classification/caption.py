"""Classify clips by their captions: a language model writes, a scorer compares with labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.sampling import SAMPLING, draw_samples
from audioprobe.errors import AudioProbeError, ContractError, InvalidInputError, RemoteError
from audioprobe.progress import ProgressOption
from audioprobe.progress_bars import shown_progress
from audioprobe.protocols import LanguageModel, Scorer
from audioprobe.registry import check_name, load
from audioprobe.results import Caption, ClassificationResult, LabelScores, Provenance
from audioprobe.results.provenance import now, versions
from audioprobe.results.scores import MATCH, NOT_SCORED, groups_of, truth_of
from audioprobe.spending import with_spending
from audioprobe.texts import TextLimit, checked_labels
from audioprobe.types import Decoding, Example, FloatArray, Option, Prompt, Response
from audioprobe.window_inference import (
    InferenceResult,
    UnusableResponseError,
    WindowModel,
    run_inference,
)

CAPTION_QUESTION = "Close-ended question: Write an audio caption describing the sound."
"""Prompt that LTU uses for classification (`inference_batch.py`), unchanged ("Close" included)."""


class EmptyCaptionError(UnusableResponseError):
    """Error for an empty response of the model."""


class CaptionClassifier:
    """Classifier that scores labels by the captions of a language model.

    The model captions each window of a clip, the scorer compares each caption with every label, and
    the scores of a clip's windows are pooled. With several samples, a window is captioned several
    times with different seeds, and its score is the mean over the samples: it estimates the
    expected similarity of the model's captions, and is less noisy than that of a single one. A clip
    that cannot be read, captioned or scored is listed as a failure with its cause.

    Args:
        model: a language model with audio input, or its name: "ltu:mini".
        scorer: a scorer, or its name; the default is the cosine similarity of all-MiniLM-L6-v2
            embeddings.
        question: prompt for every window.
        examples: in-context examples that precede every question.
        windowing: how recordings are cut into mono windows.
        decoding: decoding settings; None uses the default of the model, which is greedy, or
            `SAMPLING` if there are several samples.
        samples: number of captions per window, with the seeds `seed`, `seed` + 1, ... of
            `decoding`.

    Raises:
        InvalidInputError: if `samples` is below 1, or several samples are to be drawn with
            temperature 0, at which they are all equal.

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
        windowing: Windowing | None = None,
        decoding: Decoding | None = None,
        samples: int = 1,
    ) -> None:
        if samples < 1 or (samples > 1 and decoding is not None and not decoding.temperature):
            wanted = "a temperature above 0 for several samples" if samples > 1 else "samples >= 1"
            raise InvalidInputError(f"Expected {wanted}, got {samples} samples and {decoding}.")
        if isinstance(model, str):
            check_name("language_model", model)
        if isinstance(scorer, str):
            check_name("scorer", scorer)
        self._model_spec = model
        self._scorer_spec = scorer
        self._question = question
        self._examples = tuple(examples)
        self._windowing = windowing or Windowing()
        self._decoding = SAMPLING if decoding is None and samples > 1 else decoding
        self._samples = samples

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._model_spec!r}, {self._scorer_spec!r})"

    @cached_property
    def model(self) -> LanguageModel:
        """The language model, loaded at first use, after audio paths and labels are checked."""
        return load("language_model", self._model_spec)

    @cached_property
    def _scorer(self) -> Scorer:
        return load("scorer", self._scorer_spec)

    def __call__(
        self,
        sources: Source | Iterable[Source],
        labels: Iterable[str],
        *,
        progress: ProgressOption = True,
    ) -> ClassificationResult:
        """Return the scores of the labels for each recording.

        Args:
            sources: files, folders, clips, waveforms, or (samples, sample rate) pairs.
            labels: class names in natural language.
            progress: True shows progress, False does not; a function is called after every
                window.

        Raises:
            InvalidInputError: if there are no recordings, or the scorer rejects the labels.
            AudioProbeError: for an error that affects all clips, such as missing weights.
        """
        clips = clips_of(sources)
        # Report wrong labels, a wrong API key or missing weights before hours of captioning.
        names = self._checked_labels(labels)
        model: WindowModel[Prompt, tuple[Response, ...], tuple[Caption, ...]] = WindowModel(
            name="language model",
            item="prompt",
            stage="caption",
            infer=lambda prompts: draw_samples(self.model, prompts, self._decoding, self._samples),
            make_input=lambda waveform: Prompt(self._question, waveform, self._examples),
            make_output=_captions,
        )
        with shown_progress(progress) as show:
            report = with_spending(show, self.model, self._scorer)
            inference = run_inference(model, clips, self._windowing, report)
        provenance = Provenance.record(
            {"model": self.model.info},
            {**self._options(), **self._windowing.options},
            seed=self._decoding.seed if self._decoding else 0,
            data=inference.digest,
            training_clips=training_clips(clips, self.model),
        )
        without_scores = ClassificationResult(
            label_scores=LabelScores((), names, np.empty((0, len(names)))),
            captions=(),
            failures=(),
            provenance=provenance,
            truth=truth_of(clips),
            groups=groups_of(clips),
        )
        return self._with_scores(without_scores, names, inference)

    def rescore(
        self, result: ClassificationResult, labels: Iterable[str] | None = None
    ) -> ClassificationResult:
        """Return a copy of a result with new scores for its captions, without running the model.

        Args:
            result: the earlier result. Captions whose scoring failed are scored again.
            labels: new labels; None uses the labels of the result.
        """
        names = self._checked_labels(result.labels if labels is None else labels)
        inference: InferenceResult[tuple[Caption, ...]] = InferenceResult()
        inference.failures = {f.clip_id: f for f in result.failures if f.stage != "score"}
        for caption in result.captions:
            inference.outputs.setdefault(caption.clip_id, []).append((caption,))
        provenance = replace(result.provenance, versions=versions(), created=now())
        return self._with_scores(replace(result, provenance=provenance), names, inference)

    def _checked_labels(self, labels: Iterable[str]) -> tuple[str, ...]:
        names = checked_labels(labels)
        self._scorer.score((), names)
        return names

    def _with_scores(
        self,
        result: ClassificationResult,
        labels: tuple[str, ...],
        inference: InferenceResult[tuple[Caption, ...]],
    ) -> ClassificationResult:
        """Return a copy of `result` with the captions in `inference` and new scores for them.

        Clips whose captions cannot be scored are added to the failures of `inference`.
        """
        samples = chain.from_iterable(chain.from_iterable(inference.outputs.values()))
        captions = self._with_excess(list(samples))
        scores = self._score(captions, labels, inference)
        rows: dict[str, dict[float, list[FloatArray]]] = {}
        for caption in captions:
            if caption.clip_id not in inference.failures:
                starts = rows.setdefault(caption.clip_id, {})
                starts.setdefault(caption.start, []).append(scores[caption])
        windows = {
            clip_id: [np.mean(samples, axis=0) for samples in starts.values()]
            for clip_id, starts in rows.items()
        }
        provenance = replace(
            result.provenance,
            components={**result.provenance.components, "scorer": self._scorer.info},
            options={**result.provenance.options, "pooling": self._windowing.pooling},
        )
        return replace(
            result,
            label_scores=LabelScores.pooled(windows, labels, self._windowing.pooling),
            captions=captions,
            failures=tuple(inference.failures.values()),
            provenance=provenance,
            measure=MATCH,
            alternatives={},
        )

    def _with_excess(self, captions: Sequence[Caption]) -> tuple[Caption, ...]:
        """Return the captions with the number of tokens that the scorer cuts off in `details`.

        Captions that are short enough for the scorer have no such entry.
        """
        excess = None
        if captions and isinstance(self._scorer, TextLimit):
            excess = self._scorer.excess_tokens([caption.text for caption in captions])
        counted = []
        for caption, n in zip(captions, excess or [0] * len(captions), strict=True):
            details = {k: v for k, v in caption.details.items() if k != NOT_SCORED}
            counted.append(replace(caption, details=details | ({NOT_SCORED: n} if n else {})))
        return tuple(counted)

    def _score(
        self,
        captions: Sequence[Caption],
        labels: tuple[str, ...],
        inference: InferenceResult[tuple[Caption, ...]],
    ) -> dict[Caption, FloatArray]:
        """Return the scores by caption; a caption that cannot be scored is added as a failure.

        An error of the scorer does not end the run: `rescore` can score the captions later.
        """
        try:
            return dict(zip(captions, self._score_batch(captions, labels), strict=True))
        except AudioProbeError as error:
            if isinstance(error, RemoteError) or len(captions) == 1:
                for caption in captions:
                    inference.fail(caption.clip_id, "score", error)
                return {}
        rows: dict[Caption, FloatArray] = {}
        for caption in captions:  # one caption at a time, to find the cause of the error
            rows |= self._score([caption], labels, inference)
        return rows

    def _score_batch(self, captions: Sequence[Caption], labels: tuple[str, ...]) -> FloatArray:
        rows = np.asarray(self._scorer.score([caption.text for caption in captions], labels))
        if rows.shape != (len(captions), len(labels)) or not np.isfinite(rows).all():
            raise ContractError(
                f"Expected finite scores of shape ({len(captions)}, {len(labels)}) from the scorer "
                f"{self._scorer.info.name!r}, got shape {rows.shape} or numbers that are not "
                "finite. `audioprobe.testing.check_scorer` checks for this."
            )
        return rows

    def _options(self) -> dict[str, Option]:
        """Return the settings to record in the provenance: question, examples and decoding.

        An example is recorded as its texts and the SHA-256 of its audio.
        """
        options: dict[str, Option] = {"question": self._question}
        if self._examples:
            digests = ("no sound" if e.audio is None else e.audio.digest() for e in self._examples)
            texts = (f"{e.question} -> {e.answer}" for e in self._examples)
            options["examples"] = tuple(map(" | ".join, zip(texts, digests, strict=True)))
        decoding = self._decoding.options if self._decoding else {}
        if self._samples > 1:
            options["samples"] = self._samples
        return {**options, **{f"decoding.{name}": value for name, value in decoding.items()}}


def _captions(
    clip_id: str, window: AudioWindow, responses: Sequence[Response]
) -> tuple[Caption, ...]:
    if not all(response.text.strip() for response in responses):
        raise EmptyCaptionError("The model answered with an empty text.")
    return tuple(
        Caption(
            clip_id=clip_id,
            start=window.start,
            sample=sample,
            text=response.text,
            abstained=response.abstained,
            finish=response.finish,
            details=response.details,
        )
        for sample, response in enumerate(responses)
    )
