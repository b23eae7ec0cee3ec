"""Tags as text: captions of clips from label probabilities, and questions with captions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from audioprobe.errors import InvalidInputError
from audioprobe.models.cascade import TEMPLATE
from audioprobe.models.encoders.linear_head import pooled_logits
from audioprobe.protocols import LikelihoodModel
from audioprobe.training.examples import QARecord
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    FloatArray,
    InfoRepr,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)

Rewrite = Callable[[Sequence[QARecord]], Sequence[QARecord]]
"""Function of the questions of a step that returns the questions to train."""


def clip_probabilities(logits: FloatArray) -> FloatArray:
    """Return probabilities of labels in a clip from logits per frame.

    Args:
        logits: shape (n_frames, n_labels).

    Returns:
        Shape (n_labels,).
    """
    return np.asarray(expit(pooled_logits(logits)), dtype=np.float32)


def captioned(records: Iterable[QARecord], caption: Callable[[int], str]) -> list[QARecord]:
    """Return questions about clips as questions in text that begin with a caption.

    Questions without audio are not changed.

    Args:
        records: questions; `audio_id` is the number of a scene.
        caption: function that returns the caption of a scene.
    """
    return [
        replace(
            record,
            instruction=TEMPLATE.format(
                caption=caption(int(record.audio_id)), question=record.instruction
            ),
            audio_id="",
        )
        if record.audio_id
        else record
        for record in records
    ]


def without_audio(records: Iterable[QARecord]) -> list[QARecord]:
    """Return the same questions without their clips."""
    return [replace(record, audio_id="") for record in records]


class KnownLabels(InfoRepr):
    """Tagger that knows the labels of a list of clips: probability 1 if a clip has a label, else 0.

    Args:
        labels: labels.
        phrases: phrase for each label.
        truth: labels of each clip, by the digest of its waveform.
    """

    def __init__(
        self, labels: Sequence[str], phrases: Sequence[str], truth: Mapping[str, Sequence[str]]
    ) -> None:
        self.labels, self.phrases = tuple(labels), tuple(phrases)
        self._truth = truth

    @property
    def info(self) -> ComponentInfo:
        """Number of clips."""
        return ComponentInfo("encoder", "known labels", "1", {"n_clips": len(self._truth)})

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield 1 for each label of a clip, otherwise 0.

        Raises:
            InvalidInputError: for a clip that is not in the list.
        """
        for waveform in waveforms:
            present = self._truth.get(waveform.digest())
            if present is None:
                raise InvalidInputError(
                    f"Expected one of {len(self._truth)} clips with known labels, received another "
                    f"clip of {waveform.duration:.2f} s. Add its labels to `truth`."
                )
            yield np.array([label in present for label in self.labels], dtype=np.float32)


class WithoutAudio(InfoRepr):
    """A model that answers questions about audio without the audio: the blind arm.

    Args:
        model: model that answers.
    """

    def __init__(self, model: LikelihoodModel) -> None:
        self._model = model

    @property
    def info(self) -> ComponentInfo:
        """The model, which receives no audio."""
        parts = {"model": self._model.info}
        return ComponentInfo("language_model", "without audio", "1", {}, parts)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield the responses to the texts of the prompts."""
        return self._model.generate((replace(p, audio=None) for p in prompts), decoding)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the log-likelihoods after the texts of the prompts."""
        texts = (replace(prompt, audio=None) for prompt in prompts)
        return self._model.log_likelihood(texts, continuations)
