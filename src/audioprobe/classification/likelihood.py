"""Classify clips by the likelihood of each label as the answer of a language model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.measured_windows import result_of_windows
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.progress import ProgressOption
from audioprobe.progress_bars import shown_progress
from audioprobe.prompts.label_texts import LabelTexts
from audioprobe.protocols import LikelihoodModel
from audioprobe.registry import check_name, load
from audioprobe.results import ClassificationResult, Failure
from audioprobe.spending import with_spending
from audioprobe.texts import checked_labels
from audioprobe.types import Clip, Float64Array, FloatArray, LogLikelihood, Option, Prompt, Waveform
from audioprobe.window_inference import InferenceResult, WindowModel, run_inference

LABEL_QUESTION = "What is the sound in this recording? Answer with its name."
"""Default question; the default template answers it with the label alone."""

LikelihoodMeasure: TypeAlias = Literal["total", "per_token"]
Prior: TypeAlias = Literal["text", "silence"]
_MEASURES: tuple[LikelihoodMeasure, ...] = get_args(LikelihoodMeasure)


@dataclass(frozen=True, slots=True, eq=False)
class _WindowLikelihoods:
    """Log-likelihoods of the labels for one window, and the length of the window."""

    values: Float64Array  # in nats, shape (2, n_labels): totals, then means per token
    n_samples: int
    sample_rate: int  # in Hz

    @property
    def length(self) -> str:
        """Length and sample rate as text, such as "160000 samples at 16000 Hz".

        The scores of silence are computed once for each such text.
        """
        return f"{self.n_samples} samples at {self.sample_rate} Hz"


class LikelihoodClassifier:
    """Classifier that scores labels by their log-likelihood as the model's answer.

    No text is generated or parsed, so labels that the model would never generate are ranked, too.
    The result has two measures (kinds of scores): "total", the log-probability of the whole label,
    which decreases with every token, and "per_token", its mean over the tokens, which favours long
    labels with predictable endings. Subtracting a prior corrects for labels that are likely for any
    audio. The scores of a clip's windows are pooled. A clip with a failed window is listed as a
    failure.

    Args:
        model: a language model with audio input and likelihoods, or its name.
        question: prompt for every window.
        template: the answer whose likelihood is computed, or several answers; "{}" stands for the
            label.
        synonyms: other names or descriptions, keyed by label. With several texts for a label,
            "total" is the logarithm of the sum of their probabilities, and "per_token" that of the
            text with the highest mean.
        prior: "text" subtracts the log-likelihood of the same answer to the question without audio;
            "silence" subtracts its log-likelihood for silence of the same length; None subtracts
            nothing.
        rank_by: measure whose scores become `scores`; the other measure is in `alternatives`.
        windowing: how recordings are cut into mono windows.

    Raises:
        InvalidInputError: if the model has no likelihoods, the question is empty, a template has
            no "{}", or the prior or measure is unknown.

    Example:
        ```python
        classifier = LikelihoodClassifier(LTU.from_pretrained(...), prior="silence")
        result = classifier("recordings/", labels=["crow", "drum", "bell"])
        ```
    """

    def __init__(
        self,
        model: LikelihoodModel | str,
        *,
        question: str = LABEL_QUESTION,
        template: str | Sequence[str] = "{}",
        synonyms: Mapping[str, Sequence[str]] | None = None,
        prior: Prior | None = None,
        rank_by: LikelihoodMeasure = "total",
        windowing: Windowing | None = None,
    ) -> None:
        self._model_spec = model
        if isinstance(model, str):
            check_name("language_model", model)
        else:
            _checked_model(model)
        if not question.strip():
            raise InvalidInputError("question must not be empty. Pass the prompt for every window.")
        if prior not in (None, *get_args(Prior)):
            raise InvalidInputError(f'prior must be None, "text" or "silence", got {prior!r}.')
        if rank_by not in _MEASURES:
            raise InvalidInputError(f'rank_by must be "total" or "per_token", got {rank_by!r}.')
        self._label_texts = LabelTexts.checked(template, synonyms)
        self._question = question
        self._prior: Prior | None = prior
        self._rank_by = rank_by
        self._windowing = windowing or Windowing()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._model_spec!r})"

    @cached_property
    def _model(self) -> LikelihoodModel:
        """The language model, loaded at first use, after audio paths and labels are checked."""
        return _checked_model(load("language_model", self._model_spec))

    def __call__(
        self,
        sources: Source | Iterable[Source],
        labels: Iterable[str],
        *,
        progress: ProgressOption = True,
    ) -> ClassificationResult:
        """Return the scores of the labels for each recording.

        Scores are log-likelihoods in nats, minus the prior if there is one.

        Args:
            sources: files, folders, clips, waveforms, or (samples, sample rate) pairs.
            labels: class names, as the model would write them.
            progress: True shows progress, False does not; a function is called after every
                window.

        Raises:
            InvalidInputError: if there are no recordings or no labels, or if a label is empty or
                repeated.
            AudioProbeError: for an error that affects all clips, such as missing weights, or a
                model that rejects prompts without audio if the prior is "text".
        """
        clips = clips_of(sources)
        names = checked_labels(labels)
        # Computed first, so that a model that rejects text fails before hours of inference.
        text_prior = self._text_prior(names) if self._prior == "text" else None
        model = self._window_model(names, text_prior)
        with shown_progress(progress) as show:
            report = with_spending(show, self._model)
            inference = run_inference(model, clips, self._windowing, report)
        if self._prior == "silence":
            self._subtract_silence(inference, names)
        scores: dict[str, dict[str, list[FloatArray]]] = {
            measure: {k: [w.values[n] for w in ws] for k, ws in inference.outputs.items()}
            for n, measure in enumerate(_MEASURES)
        }
        return result_of_windows(
            clips,
            inference,
            scores,
            labels=names,
            rank_by=self._rank_by,
            windowing=self._windowing,
            component=("model", self._model),
            options=self._options(),
        )

    def _options(self) -> dict[str, Option]:
        return {
            "question": self._question,
            **self._label_texts.options,
            "prior": self._prior,
            "rank_by": self._rank_by,
        }

    def _window_model(
        self, labels: tuple[str, ...], prior: Float64Array | None = None
    ) -> WindowModel[Prompt, Sequence[LogLikelihood], _WindowLikelihoods]:
        variants = [self._label_texts.of(label) for label in labels]
        answers = [text for group in variants for text in group]

        def infer(prompts: Iterable[Prompt]) -> Iterator[Sequence[LogLikelihood]]:
            return self._model.log_likelihood(prompts, answers)

        def make_output(
            _: str, window: AudioWindow, likelihoods: Sequence[LogLikelihood]
        ) -> _WindowLikelihoods:
            values, waveform = _as_array(likelihoods, variants), window.waveform
            if prior is not None:
                values = values - prior
            return _WindowLikelihoods(values, waveform.samples.size, waveform.sample_rate)

        return WindowModel(
            name="language model",
            item="prompt",
            stage="score",
            infer=infer,
            make_input=lambda waveform: Prompt(self._question, audio=waveform),
            make_output=make_output,
        )

    def _text_prior(self, labels: tuple[str, ...]) -> Float64Array:
        rows = list(self._window_model(labels).infer(iter([Prompt(self._question)])))
        if len(rows) != 1:
            raise ContractError(
                f"The language model answered one prompt with {len(rows)} responses."
            )
        return _as_array(rows[0], [self._label_texts.of(label) for label in labels])

    def _subtract_silence(
        self, inference: InferenceResult[_WindowLikelihoods], labels: tuple[str, ...]
    ) -> None:
        """Subtract the log-likelihoods for silence from those for each window, in place.

        The silence is as long as the window. If the model fails on it, the clip becomes a failure.
        """
        by_length = {w.length: w for windows in inference.outputs.values() for w in windows}
        # A generator saves memory: each recording may have a different length.
        silences = (
            Clip(id=length, waveform=Waveform(np.zeros(w.n_samples, np.float32), w.sample_rate))
            for length, w in by_length.items()
        )
        silent = run_inference(self._window_model(labels), silences, Windowing(length="whole"))
        for clip_id, windows in list(inference.outputs.items()):
            failed = [silent.failures[w.length] for w in windows if w.length in silent.failures]
            if failed:
                cause = f"No prior from silence of {failed[0].clip_id}: {failed[0].message}"
                # The digest of the audio stays: the clip was read.
                inference.failures[clip_id] = Failure(clip_id, "score", failed[0].error, cause)
                del inference.outputs[clip_id]
            else:
                inference.outputs[clip_id] = [
                    replace(w, values=w.values - silent.outputs[w.length][0].values)
                    for w in windows
                ]


def _checked_model(model: object) -> LikelihoodModel:
    if not isinstance(model, LikelihoodModel):
        raise InvalidInputError(
            f"Expected a model with the method `log_likelihood`, got {type(model).__name__}. Use "
            "a CaptionClassifier for a model without likelihoods."
        )
    return model


def _as_array(
    likelihoods: Sequence[LogLikelihood], variants: Sequence[Sequence[str]]
) -> Float64Array:
    """Return total and mean per token of each label in nats, shape (2, n_labels).

    `variants` contains the texts of each label, in the order of the log-likelihoods.
    """
    counts = [len(texts) for texts in variants]
    is_complete = len(likelihoods) == sum(counts)
    if not is_complete or not all(isinstance(value, LogLikelihood) for value in likelihoods):
        types = ", ".join(sorted({type(value).__name__ for value in likelihoods}))
        raise ContractError(
            f"Expected {sum(counts)} LogLikelihood objects from the language model, got "
            f"{len(likelihoods)} objects ({types}). "
            "`audioprobe.testing.check_likelihood_model` checks for this."
        )
    starts = np.cumsum([0, *counts[:-1]])
    totals = np.array([value.total for value in likelihoods])
    per_token = np.array([value.per_token for value in likelihoods])
    return np.stack([np.logaddexp.reduceat(totals, starts), np.maximum.reduceat(per_token, starts)])
