"""Labels by direct comparison: sound and label as vectors of one space, no words in between."""

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.audio.sources import Source, clips_of
from audioprobe.audio.windowing import AudioWindow, Windowing
from audioprobe.classification.pooling import pooled
from audioprobe.classification.provenance import groups_of, provenance_of, truth_of
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.inference.clips import UnusableResponseError, WindowModel, run_inference
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import JointEncoder
from audioprobe.registry import check_name, load
from audioprobe.results import ClassificationResult, LabelScores
from audioprobe.text_validation import check_template, checked_labels
from audioprobe.types import Float64Array, FloatArray, Waveform

SOUND_TEMPLATE = "This is a sound of {}."
"""Of transformers' zero-shot pipeline; LAION's evaluation of CLAP says it without the full stop."""

Measure: TypeAlias = Literal["cosine", "probability"]
_MEASURES: tuple[Measure, ...] = get_args(Measure)


class ZeroVectorError(UnusableResponseError):
    """The sound's vector is zero or not finite, so that nothing can be compared with it."""


class ZeroShotClassifier:
    """Clips to label scores in the joint space of sound and text.

    Labels are embedded once per call, each window once. The result has two measures: "cosine", in
    [-1, 1], and "probability", the softmax over the labels of the cosines times the model's own
    scale, as transformers' pipeline gives it. A probability depends on the other labels and says
    that one of them must be right; a cosine does neither. A clip's scores pool those of its windows
    (pooled probabilities need not add up to 1); a clip of which a window fails is listed with its
    cause and has no scores.

    Args:
        encoder: a joint encoder, or its name: "clap", "clap:FOLDER".
        template: put around every label; "{}" stands for the label, which is only inserted.
        rank_by: which measure `scores` are; the other is in `alternatives`.
        reading: how recordings become windows of one channel.

    Raises:
        InvalidInputError: for an encoder without a joint space, a template without "{}", or an
            unknown measure.

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
        template: str = SOUND_TEMPLATE,
        rank_by: Measure = "cosine",
        reading: Windowing | None = None,
    ) -> None:
        self._given_encoder = encoder
        if isinstance(encoder, str):
            check_name("encoder", encoder)
        else:
            _check_joint(encoder)
        if rank_by not in _MEASURES:
            raise InvalidInputError(f'rank_by must be "cosine" or "probability", got {rank_by!r}.')
        check_template(template)
        self._template = template
        self._rank_by = rank_by
        self._reading = reading or Windowing()

    @cached_property
    def _encoder(self) -> JointEncoder:
        """Loaded at the first use, so that a wrong path or label is found before weights load."""
        return _check_joint(load("encoder", self._given_encoder))

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
            labels: class names, as a caption would say them.
            progress: called with the number of clips done, in all, and failed.

        Raises:
            InvalidInputError: for no sounds, for no, empty or repeated labels, or for a label that
                the encoder refuses.
            ContractError: if the encoder's `logit_scale` is not a positive, finite number.
            AudioProbeError: for what no single clip is the cause of, such as missing weights.
        """
        clips = clips_of(sounds)
        names = checked_labels(labels)
        scale = self._encoder.logit_scale
        if not 0 < scale < math.inf:
            raise ContractError(
                f"The encoder {self._encoder.info.name!r} was to give a positive, finite "
                f"logit_scale, and gave {scale}. `audioprobe.testing.check_joint_encoder` checks "
                "for this."
            )
        record = run_inference(
            self._listener(self._directions(names)), clips, self._reading, progress
        )
        tables: dict[str, LabelScores] = {
            "cosine": pooled(record.outputs, names, self._reading),
            "probability": pooled(
                {
                    clip_id: [_softmax(scale * row) for row in rows]
                    for clip_id, rows in record.outputs.items()
                },
                names,
                self._reading,
            ),
        }
        provenance = provenance_of(
            {"encoder": self._encoder.info},
            {"template": self._template, "rank_by": self._rank_by},
            self._reading,
            clips,
            record,
            heard_by=self._encoder,
        )
        return ClassificationResult(
            label_scores=tables.pop(self._rank_by),
            captions=(),
            failures=tuple(record.failures.values()),
            provenance=provenance,
            truth=truth_of(clips),
            measure=self._rank_by,
            alternatives=tables,
            groups=groups_of(clips),
        )

    def _directions(self, labels: tuple[str, ...]) -> Float64Array:
        """Unit vectors of the labels, shape (n_labels, width)."""
        texts = [self._template.replace("{}", label) for label in labels]
        vectors = np.asarray(self._encoder.embed_texts(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ContractError(
                f"The encoder {self._encoder.info.name!r} was given {len(texts)} texts and "
                f"answered with an array of shape {vectors.shape}: expected one row per text."
            )
        for label, vector in zip(labels, vectors, strict=True):
            if not _has_direction(vector):
                raise InvalidInputError(f"The label {label!r:.80} has no direction in the space.")
        directions: Float64Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return directions

    def _listener(
        self, directions: Float64Array
    ) -> WindowModel[Waveform, FloatArray, Float64Array]:
        def cosines(_: str, window: AudioWindow, answer: FloatArray) -> Float64Array:
            del window
            vector = np.asarray(answer, dtype=np.float64)
            if vector.shape != directions.shape[1:]:
                raise ContractError(
                    f"The encoder {self._encoder.info.name!r} was to give a vector of shape "
                    f"{directions.shape[1:]}, like those of the labels, and gave {vector.shape}. "
                    "`audioprobe.testing.check_joint_encoder` checks for this."
                )
            if not _has_direction(vector):
                raise ZeroVectorError("The sound's vector is zero or not finite.")
            compared: Float64Array = directions @ (vector / np.linalg.norm(vector))
            return compared

        return WindowModel(
            name="encoder",
            item="sound",
            stage="score",
            infer=self._encoder.embed_audio,
            make_input=lambda waveform: waveform,
            make_output=cosines,
        )


def _check_joint(encoder: object) -> JointEncoder:
    if not isinstance(encoder, JointEncoder):
        raise InvalidInputError(
            f"{type(encoder).__name__} has no joint space of sound and text: pass an encoder "
            "with `embed_audio`, `embed_texts` and `logit_scale`, such as CLAP."
        )
    return encoder


def _has_direction(vector: Float64Array) -> bool:
    length = float(np.linalg.norm(vector))
    return 0 < length < np.inf


def _softmax(logits: Float64Array) -> Float64Array:
    weights = np.exp(logits - logits.max())
    probabilities: Float64Array = weights / weights.sum()
    return probabilities
