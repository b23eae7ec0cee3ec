"""Classify clips by the similarity of their embeddings to those of the labels (zero-shot)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy.special import softmax

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.measured_windows import result_of_windows
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.progress import ProgressOption
from audioprobe.progress_bars import shown_progress
from audioprobe.prompts.label_texts import LabelTexts, mean_directions
from audioprobe.protocols import JointEncoder
from audioprobe.registry import check_name, load
from audioprobe.results import ClassificationResult
from audioprobe.texts import checked_labels
from audioprobe.types import Float64Array, FloatArray, Option, Waveform
from audioprobe.window_inference import UnusableResponseError, WindowModel, run_inference

SOUND_TEMPLATE = "This is a sound of {}."
"""Default template, as in transformers' zero-shot pipeline (LAION's omits the full stop)."""

EmbeddingMeasure: TypeAlias = Literal["cosine", "probability"]


class ZeroVectorError(UnusableResponseError):
    """Error for an audio embedding without a cosine: all zeros, or not finite."""


class ZeroShotClassifier:
    """Classifier that scores labels by the cosine of audio and text embeddings.

    The result has two measures (kinds of scores): "cosine", in [-1, 1], and "probability", the
    softmax over the labels of the cosines times the model's scale, as in transformers' pipeline. A
    probability depends on the other labels and assumes that exactly one label is right; a cosine
    does not. The scores of a clip's windows are pooled, so pooled probabilities need not add up to
    1. A clip with a failed window is listed as a failure. Labels are embedded once per call.

    With several templates or synonyms, a label is compared by the normalised mean of the normalised
    embeddings of its texts, as in CLIP.

    Args:
        encoder: a joint encoder, or its name: "clap", "clap:FOLDER".
        template: text around every label, or several texts; "{}" stands for the label.
        synonyms: other names or descriptions, keyed by label.
        rank_by: measure whose scores become `scores`; the other measure is in `alternatives`.
        windowing: how recordings are cut into mono windows.

    Raises:
        InvalidInputError: if the encoder cannot embed text, a template has no "{}", or the
            measure is unknown.

    Example:
        ```python
        classifier = ZeroShotClassifier("clap")
        result = classifier("recordings/", labels=["crow", "drum", "bell"])
        ```
    """

    def __init__(
        self,
        encoder: JointEncoder | str,
        *,
        template: str | Sequence[str] = SOUND_TEMPLATE,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        rank_by: EmbeddingMeasure = "cosine",
        windowing: Windowing | None = None,
    ) -> None:
        self._encoder_spec = encoder
        if isinstance(encoder, str):
            check_name("encoder", encoder)
        else:
            _checked_encoder(encoder)
        if rank_by not in get_args(EmbeddingMeasure):
            raise InvalidInputError(f'rank_by must be "cosine" or "probability", got {rank_by!r}.')
        self._label_texts = LabelTexts.checked(template, synonyms)
        self._rank_by = rank_by
        self._windowing = windowing or Windowing()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._encoder_spec!r})"

    @cached_property
    def _encoder(self) -> JointEncoder:
        """The joint encoder, loaded at first use, after audio paths and labels are checked."""
        return _checked_encoder(load("encoder", self._encoder_spec))

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
            InvalidInputError: if there are no recordings or no labels, if a label is empty or
                repeated, or if the encoder rejects a label.
            ContractError: if the encoder's `logit_scale` is not a positive, finite number.
            AudioProbeError: for an error that affects all clips, such as missing weights.
        """
        clips = clips_of(sources)
        names = checked_labels(labels)
        scale = self._encoder.logit_scale
        if not 0 < scale < math.inf:
            raise ContractError(
                f"Expected a positive, finite logit_scale of the encoder "
                f"{self._encoder.info.name!r}, got {scale}. "
                "`audioprobe.testing.check_joint_encoder` checks for this."
            )
        model = self._window_model(self._label_directions(names))
        with shown_progress(progress) as show:
            inference = run_inference(model, clips, self._windowing, show)
        probabilities = {
            clip_id: [softmax(scale * cosines) for cosines in windows]
            for clip_id, windows in inference.outputs.items()
        }
        return result_of_windows(
            clips,
            inference,
            {"cosine": inference.outputs, "probability": probabilities},
            labels=names,
            rank_by=self._rank_by,
            windowing=self._windowing,
            component=("encoder", self._encoder),
            options=self._options(),
        )

    def _options(self) -> dict[str, Option]:
        return {**self._label_texts.options, "rank_by": self._rank_by}

    def _label_directions(self, labels: tuple[str, ...]) -> Float64Array:
        """Return a unit vector per label, shape (n_labels, width)."""
        variants = [self._label_texts.of(label) for label in labels]
        texts = [text for group in variants for text in group]
        vectors = np.asarray(self._encoder.embed_texts(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ContractError(
                f"Expected one row for each of {len(texts)} texts from the encoder "
                f"{self._encoder.info.name!r}, got an array of shape {vectors.shape}."
            )
        for text, vector in zip(texts, vectors, strict=True):
            if not _has_direction(vector):
                raise InvalidInputError(
                    f"The embedding of the label text {text!r:.80} is zero or not finite. Reword "
                    "the label, or remove the synonym."
                )
        return mean_directions(vectors, [len(group) for group in variants])

    def _window_model(
        self, directions: Float64Array
    ) -> WindowModel[Waveform, FloatArray, Float64Array]:
        def cosines(_: str, __: AudioWindow, embedding: FloatArray) -> Float64Array:
            vector = np.asarray(embedding, dtype=np.float64)
            if vector.shape != directions.shape[1:]:
                raise ContractError(
                    f"Expected an embedding of shape {directions.shape[1:]} from the encoder "
                    f"{self._encoder.info.name!r}, like those of the labels, got {vector.shape}. "
                    "`audioprobe.testing.check_joint_encoder` checks for this."
                )
            if not _has_direction(vector):
                raise ZeroVectorError("The audio embedding is zero or not finite.")
            values: Float64Array = directions @ (vector / np.linalg.norm(vector))
            return values

        return WindowModel(
            name="encoder",
            item="sound",
            stage="score",
            infer=self._encoder.embed_audio,
            make_input=lambda waveform: waveform,
            make_output=cosines,
        )


def _checked_encoder(encoder: object) -> JointEncoder:
    if not isinstance(encoder, JointEncoder):
        raise InvalidInputError(
            "Expected an encoder with `embed_audio`, `embed_texts` and `logit_scale`, got "
            f"{type(encoder).__name__}. Pass a joint encoder of audio and text, such as CLAP."
        )
    return encoder


def _has_direction(vector: Float64Array) -> bool:
    return 0 < float(np.linalg.norm(vector)) < np.inf
