"""Tagger with a linear head on the features of a frozen encoder, fitted on labelled clips."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy.typing as npt
from scipy.special import expit

from audioprobe import __version__
from audioprobe.audio.training_clips import recordings_of
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.validation import validate_binary
from audioprobe.models.encoders.linear_head import PENALTIES, LinearHead, fit_linear_head
from audioprobe.models.frozen_encoder import (
    EncoderReference,
    FrozenEncoder,
    RegularEncoder,
    check_tensors,
    digest_of,
    fitted_on,
    read_fitted,
    write_fitted,
)
from audioprobe.protocols import AudioEncoder
from audioprobe.training_data import TrainingData
from audioprobe.types import (
    BoolArray,
    Clip,
    ComponentInfo,
    FloatArray,
    InfoRepr,
    Option,
    Waveform,
)

NAME = "linear tagger"

_WEIGHTS, _BIAS = "weights", "bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearTaggerCard:
    """Labels of a `LinearTagger`, and how it was fitted.

    Attributes:
        audioprobe: version of audioprobe that fitted the tagger.
        encoder: the encoder of the features.
        labels: names of the labels; unique.
        phrases: phrase for each label that fits after "the sound of".
        hop: seconds between two feature vectors.
        penalty: factor of the L2 penalty of the fit.
    """

    audioprobe: str = __version__
    encoder: EncoderReference
    labels: tuple[str, ...]
    phrases: tuple[str, ...]
    hop: float
    penalty: float

    def __post_init__(self) -> None:
        _check_labels(self.labels, self.phrases)
        if not self.hop > 0:
            raise InvalidInputError(f"hop must be positive (seconds), got {self.hop}.")


class LinearTagger(InfoRepr):
    """Tagger with one linear function of the features of an encoder per label.

    The probability of a label in a frame is the sigmoid of its logit. The probability in a clip is
    the sigmoid of the log-mean-exp of these logits over frames, see `linear_head`. `fit` creates a
    tagger, and `from_pretrained` reads one from a folder.

    Args:
        encoder: the encoder that `card` refers to.
        head: weights of the linear functions.
        card: labels, phrases and encoder.
        training_data: recordings that the tagger was fitted on; None if unknown.

    Attributes:
        encoder: the encoder of the features.
        head: weights of the linear functions.
        card: labels, phrases and encoder.
        hop: seconds between the starts of two frames.
        training_data: recordings that the tagger, and the encoder, were fitted on; None if unknown.

    Raises:
        WeightsError: if the encoder is not the one of `card`, or the weights do not fit to it.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        head: LinearHead,
        card: LinearTaggerCard,
        training_data: TrainingData | None = None,
    ) -> None:
        self.encoder = card.encoder.load(encoder)
        self.head = head
        self.card = card
        self.hop = encoder.hop if isinstance(encoder, RegularEncoder) else card.hop
        self.training_data = training_data
        check_tensors(_tensors(head), _shapes(card), NAME)

    @classmethod
    def fit(
        cls,
        features: Iterable[npt.ArrayLike],
        targets: npt.ArrayLike,
        labels: Sequence[str],
        *,
        encoder: AudioEncoder | str,
        phrases: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
        penalty: float | Sequence[float] = PENALTIES,
        seed: int = 0,
        hop: float | None = None,
        training_clips: Iterable[Clip] = (),
        encoder_options: Mapping[str, Option] | None = None,
        device: str = "auto",
    ) -> Self:
        """Fit a tagger on features that are computed already.

        Args:
            features: shape (n_clips, n_frames, width), or an array of shape (n_frames, width) for
                each clip.
            targets: shape (n_clips, n_labels); True or 1 where a clip has a label.
            labels: names of the labels.
            encoder: the encoder that computed the features, or its name in the registry, such as
                "yamnet". Only by a name, a saved tagger loads its encoder itself.
            phrases: phrase for each label that fits after "the sound of"; None uses the labels.
            groups: group of each clip, such as its recording; see `fit_linear_head`.
            penalty: factor of the L2 penalty, or factors of which the best is chosen.
            seed: random seed of the fit.
            hop: seconds between two feature vectors; required if the encoder does not state it.
            training_clips: clips with files that the features come from, to list as training data.
            encoder_options: options of an encoder that is given by its name.
            device: device of an encoder that is given by its name.

        Raises:
            InvalidInputError: if an argument violates these rules, or if a label is present in all
                clips or in none.
            NonFiniteError: if a feature is NaN or infinite.
            AudioReadError: if a training clip cannot be read.
        """
        phrases = labels if phrases is None else phrases
        _check_labels(labels, phrases)
        present = validate_binary(targets, "targets", n_dimensions=2)
        _refuse_constant(present, labels)
        frozen = FrozenEncoder.of(encoder, encoder_options, device=device)
        hop = _hop_of(frozen.encoder, hop)
        head = fit_linear_head(features, present, penalty=penalty, groups=groups, seed=seed)
        card = LinearTaggerCard(
            encoder=frozen.reference(head.weights.shape[1]),
            labels=tuple(labels),
            phrases=tuple(phrases),
            hop=hop,
            penalty=head.penalty,
        )
        recordings = recordings_of(training_clips)
        return cls(frozen.encoder, head, card, fitted_on(NAME, frozen.encoder, recordings))

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, encoder: AudioEncoder | None = None, device: str = "auto"
    ) -> Self:
        """Read a tagger from a folder that `save_pretrained` wrote.

        Args:
            folder: local folder, or hub name.
            encoder: the encoder, if it is loaded already; required if the tagger was fitted with
                an encoder that was not given by its name.
            device: device of an encoder that is loaded here.

        Raises:
            WeightsError: if a file is missing or damaged, or the encoder is another one.
            InvalidInputError: if the encoder must be passed.
        """
        card, tensors, training_data = read_fitted(LinearTaggerCard, folder, NAME)
        check_tensors(tensors, _shapes(card), str(folder))
        head = LinearHead(tensors[_WEIGHTS], tensors[_BIAS], card.penalty)
        return cls(card.encoder.load(encoder, device=device), head, card, training_data)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write weights, card and training data to a new folder; return the path of the folder.

        Raises:
            InvalidInputError: if the folder exists.
        """
        return write_fitted(folder, self.card, _tensors(self.head), self.training_data)

    @property
    def info(self) -> ComponentInfo:
        """Number of labels, hash of weights and labels, and the `info` of the encoder."""
        revision = self._revision
        options = {"n_labels": len(self.labels)}
        return ComponentInfo("encoder", NAME, revision, options, {"encoder": self.encoder.info})

    @cached_property
    def _revision(self) -> str:
        return digest_of(_tensors(self.head), *self.labels, *self.phrases)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.card.labels

    @property
    def phrases(self) -> tuple[str, ...]:
        """Phrase for each label that fits after "the sound of"."""
        return self.card.phrases

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the features of the encoder for each clip, shape (n_frames, width).

        Raises:
            UnsupportedInputError: for audio that the encoder cannot process.
            WeightsError: if the features have another width.
            NonFiniteError: if a feature is NaN or infinite.
        """
        for features in self.encoder.encode(waveforms):
            yield self.card.encoder.checked(features)

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each clip, float64 in [0, 1], shape (n_labels,).

        The labels are not exclusive, so the probabilities do not sum to 1. Errors are those of
        `encode`.
        """
        for features in self.encode(waveforms):
            yield expit(self.head.clip_logits(features))

    def tag_frames(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each frame, float64, shape (n_frames, n_labels).

        Frame n begins `n * hop` seconds after the start of the clip. Errors are those of `encode`.
        """
        for features in self.encode(waveforms):
            yield expit(self.head.frame_logits(features))


def _tensors(head: LinearHead) -> dict[str, FloatArray]:
    return {_WEIGHTS: head.weights, _BIAS: head.bias}


def _shapes(card: LinearTaggerCard) -> dict[str, tuple[int, ...]]:
    """Return the expected shapes of the tensors of a tagger."""
    n_labels = len(card.labels)
    return {_WEIGHTS: (n_labels, card.encoder.width), _BIAS: (n_labels,)}


def _hop_of(encoder: AudioEncoder, hop: float | None) -> float:
    """Return the seconds between two feature vectors of an encoder."""
    stated = encoder.hop if isinstance(encoder, RegularEncoder) else hop
    if stated is None or hop not in (None, stated):
        raise InvalidInputError(
            f"Expected the seconds between two features of the encoder as hop, got {hop}; the "
            f"encoder {encoder.info.name!r} states {stated}."
        )
    return stated


def _check_labels(labels: Sequence[str], phrases: Sequence[str]) -> None:
    """Raise `InvalidInputError` unless labels are different and each has a phrase."""
    n_labels, n_different = len(labels), len(set(labels))
    if not n_labels or n_different != n_labels or not all(labels):
        raise InvalidInputError(
            f"Expected labels that are different and not empty, got {n_labels} labels, "
            f"{n_different} of them different."
        )
    if len(phrases) != n_labels or not all(phrases):
        raise InvalidInputError(
            f"Expected a phrase for each of {n_labels} labels, got {len(phrases)}, "
            f"{sum(not phrase for phrase in phrases)} of them empty."
        )


def _refuse_constant(present: BoolArray, labels: Sequence[str]) -> None:
    """Raise unless each label has a name, and is present in some clips and absent in others."""
    if present.shape[1] != len(labels):
        raise InvalidInputError(
            f"Expected targets with a column for each of {len(labels)} labels, got "
            f"{present.shape[1]} columns."
        )
    counts = present.sum(axis=0).tolist()
    constant = [name for name, n in zip(labels, counts, strict=True) if n in (0, len(present))]
    if constant:
        raise InvalidInputError(
            "Expected labels that are present in some clips and absent in others, got "
            f"{len(constant)} others, such as {constant[0]!r}. Leave them out."
        )
