"""Labels by their probability: how likely is the model to say this, having heard that?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.pooling import pooled
from audioprobe.classification.provenance import groups_of, provenance_of, truth_of
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.inference.clips import (
    InferenceResult,
    WindowModel,
    run_inference,
)
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LikelihoodModel
from audioprobe.registry import check_name, load
from audioprobe.results import ClassificationResult, Failure, LabelScores
from audioprobe.text_validation import check_template, checked_labels
from audioprobe.types import Clip, Float64Array, LogLikelihood, Option, Prompt, Waveform

LABEL_QUESTION = "What is the sound in this recording? Answer with its name."
"""Asks for what the default template continues with: a bare label."""

Measure: TypeAlias = Literal["total", "per_token"]
Prior: TypeAlias = Literal["text", "silence"]
_MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True, eq=False)
class _WindowLikelihoods:
    """What one window says of the labels.

    Attributes:
        values: nats, shape (2, n_labels): totals, then per token.
        n_samples: length of the window.
        sample_rate: Hz.
    """

    values: Float64Array
    n_samples: int
    sample_rate: int

    @property
    def length(self) -> str:
        """Windows of equal length share one silence."""
        return f"{self.n_samples} samples at {self.sample_rate} Hz"


class LikelihoodClassifier:
    """Clips to label scores by the log-likelihood of each label as the model's answer.

    Nothing is generated, so nothing has to be parsed, and labels that the model would never say by
    itself are ranked too. Two measures are taken, and the result has both: "total" is the
    log-probability of the whole label, which shrinks with every token; "per_token" is its mean over
    the tokens, which favours long labels whose ends follow from their beginnings. Some labels are
    likely whatever is heard: a prior, subtracted, takes that out. A clip's scores pool those of its
    windows; a clip of which a window fails is listed with its cause and has no scores.

    Args:
        model: a language model that takes sound and gives likelihoods, or its name.
        question: asked of every window.
        template: what is judged as the answer; "{}" stands for the label, which is only inserted.
        prior: None takes the likelihood as it is; "text" subtracts that of the same answer to the
            question without sound; "silence" to the question about silence of the window's length.
        rank_by: which measure `scores` are; the other is in `alternatives`.
        reading: how recordings become windows of one channel.

    Raises:
        InvalidInputError: for a model without likelihoods, an empty question, a template without
            "{}", or an unknown prior or measure.

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
        template: str = "{}",
        prior: Prior | None = None,
        rank_by: Measure = "total",
        reading: Windowing | None = None,
    ) -> None:
        self._given_model = model
        if isinstance(model, str):
            check_name("language_model", model)
        else:
            _check_likelihoods(model)
        if not question.strip():
            raise InvalidInputError("A question is needed, got an empty text.")
        if prior not in (None, *get_args(Prior)):
            raise InvalidInputError(f'prior must be None, "text" or "silence", got {prior!r}.')
        if rank_by not in _MEASURES:
            raise InvalidInputError(f'rank_by must be "total" or "per_token", got {rank_by!r}.')
        check_template(template)
        self._question = question
        self._template = template
        self._prior: Prior | None = prior
        self._rank_by = rank_by
        self._reading = reading or Windowing()

    @cached_property
    def _model(self) -> LikelihoodModel:
        """Loaded at the first use, so that a wrong path or label is found before weights load."""
        return _check_likelihoods(load("language_model", self._given_model))

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
            labels: class names, as the model would say them.
            progress: called after every clip or batch.

        Returns:
            Scores in nats, differences of nats where a prior is subtracted.

        Raises:
            InvalidInputError: for no sounds, or for no, empty or repeated labels.
            AudioProbeError: for what no single clip is the cause of, such as missing weights, or a
                model that refuses text alone where the prior is "text".
        """
        clips = clips_of(sounds)
        names = checked_labels(labels)
        # Asked first: a model that cannot answer it is found out before hours of listening.
        text_prior = self._ask_in_text(names) if self._prior == "text" else None
        record = run_inference(self._listener(names, text_prior), clips, self._reading, progress)
        # Of all sound that was heard, whatever becomes of the silences.
        provenance = provenance_of(
            {"model": self._model.info},
            self._options(),
            self._reading,
            clips,
            record,
            heard_by=self._model,
        )
        if self._prior == "silence":
            self._subtract_silences(record, names)
        tables: dict[str, LabelScores] = {
            measure: pooled(
                {clip_id: [w.values[n] for w in ws] for clip_id, ws in record.outputs.items()},
                names,
                self._reading,
            )
            for n, measure in enumerate(_MEASURES)
        }
        return ClassificationResult(
            label_scores=tables.pop(self._rank_by),
            captions=(),
            failures=tuple(record.in_order([clip.id for clip in clips]).failures.values()),
            provenance=provenance,
            truth=truth_of(clips),
            measure=self._rank_by,
            alternatives=tables,
            groups=groups_of(clips),
        )

    def _options(self) -> dict[str, Option]:
        return {
            "question": self._question,
            "template": self._template,
            "prior": self._prior,
            "rank_by": self._rank_by,
        }

    def _listener(
        self, labels: tuple[str, ...], prior: Float64Array | None = None
    ) -> WindowModel[Prompt, Sequence[LogLikelihood], _WindowLikelihoods]:
        answers = [self._template.replace("{}", label) for label in labels]

        def ask(prompts: Iterable[Prompt]) -> Iterator[Sequence[LogLikelihood]]:
            return self._model.log_likelihood(prompts, answers)

        def keep(
            _: str, window: AudioWindow, answer: Sequence[LogLikelihood]
        ) -> _WindowLikelihoods:
            values, waveform = _checked(answer, labels), window.waveform
            if prior is not None:
                values = values - prior
            return _WindowLikelihoods(values, waveform.samples.size, waveform.sample_rate)

        return WindowModel(
            name="language model",
            item="prompt",
            stage="score",
            infer=ask,
            make_input=lambda waveform: Prompt(self._question, audio=waveform),
            make_output=keep,
        )

    def _ask_in_text(self, labels: tuple[str, ...]) -> Float64Array:
        rows = list(self._listener(labels).infer(iter([Prompt(self._question)])))
        if len(rows) != 1:
            raise ContractError(
                f"The language model answered one prompt with {len(rows)} responses."
            )
        return _checked(rows[0], labels)

    def _subtract_silences(
        self, record: InferenceResult[_WindowLikelihoods], labels: tuple[str, ...]
    ) -> None:
        """Compare with silence of each window's length; where that fails, so does the clip."""
        lengths = {w.length: w for windows in record.outputs.values() for w in windows}
        # Made one by one: recordings may have as many lengths as there are recordings.
        silences = (
            Clip(id=name, waveform=Waveform(np.zeros(w.n_samples, np.float32), w.sample_rate))
            for name, w in lengths.items()
        )
        silent = run_inference(self._listener(labels), silences, Windowing(length="whole"))
        for clip_id, windows in list(record.outputs.items()):
            lost = [silent.failures[w.length] for w in windows if w.length in silent.failures]
            if lost:
                cause = f"No prior from silence of {lost[0].clip_id}: {lost[0].message}"
                record.add_failure(Failure(clip_id, "score", lost[0].error, cause))
            else:
                record.outputs[clip_id] = [
                    replace(w, values=w.values - silent.outputs[w.length][0].values)
                    for w in windows
                ]


def _check_likelihoods(model: object) -> LikelihoodModel:
    if not isinstance(model, LikelihoodModel):
        raise InvalidInputError(
            f"{type(model).__name__} cannot say how likely an answer is: pass a model with "
            "`log_likelihood`, or use a CaptionClassifier."
        )
    return model


def _checked(answer: Sequence[LogLikelihood], labels: tuple[str, ...]) -> Float64Array:
    """Totals and means per token, shape (2, n_labels)."""
    if len(answer) != len(labels) or not all(isinstance(item, LogLikelihood) for item in answer):
        raise ContractError(
            f"The language model was to give {len(labels)} log-likelihoods, and gave {len(answer)} "
            "items, or others. `audioprobe.testing.check_likelihood_model` checks for this."
        )
    return np.array([[a.total for a in answer], [a.per_token for a in answer]], dtype=np.float64)
