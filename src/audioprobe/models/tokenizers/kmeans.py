"""Audio tokenizer: k-means codes of the features of a frozen encoder, as in AudioPaLM.

Source: Rubenstein et al., "AudioPaLM: a large language model that can speak and listen", 2023,
with the features of any encoder of the registry in place of a speech encoder.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from audioprobe import __version__
from audioprobe.audio.training_clips import recording_of, recordings_of
from audioprobe.audio.windowing import read_waveform
from audioprobe.models.frozen_encoder import (
    EncoderReference,
    FrozenEncoder,
    check_tensors,
    digest_of,
    fitted_on,
    read_fitted,
    write_fitted,
)
from audioprobe.models.tokenizers.centroids import (
    MAX_FRAMES,
    fit_centroids,
    sample_frames,
    unit_vectors,
)
from audioprobe.models.tokenizers.codes import assign_codes
from audioprobe.protocols import AudioEncoder
from audioprobe.training_data import TrainingData, TrainingRecording
from audioprobe.types import (
    Clip,
    ComponentInfo,
    FloatArray,
    InfoRepr,
    IntArray,
    Option,
    Waveform,
)

NAME = "k-means tokenizer"

_CENTROIDS = "centroids"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookCard:
    """How the centroids of a `KMeansTokenizer` were fitted.

    Attributes:
        audioprobe: version of audioprobe that fitted the centroids.
        encoder: the encoder whose features they are.
        n_codes: number of centroids.
        n_frames: number of feature vectors that k-means used.
        n_init: number of starts of k-means.
        seed: seed of the choice of feature vectors, and of the starts.
        inertia: sum of squared distances of these vectors, of length 1, from their centroids.
    """

    audioprobe: str = __version__
    encoder: EncoderReference
    n_codes: int
    n_frames: int
    n_init: int
    seed: int
    inertia: float


class KMeansTokenizer(InfoRepr):
    """Audio tokenizer that gives each feature vector the code of the nearest centroid.

    `fit` and `fit_features` create one from training clips, and `from_pretrained` reads one from a
    folder. Distances are cosines, see `codes`.

    Args:
        encoder: the encoder that `card` refers to.
        centroids: shape (n_codes, width), finite.
        card: how the centroids were fitted.
        training_data: recordings that they were fitted on; None if unknown.

    Attributes:
        centroids: float32, shape (n_codes, width); read-only.
        card: how the centroids were fitted.
        encoder: the encoder of the features.
        training_data: recordings that the centroids, and the encoder, were fitted on; None if
            unknown.

    Raises:
        WeightsError: if the encoder is not the one of `card`, or the centroids have another shape
            or are not finite.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        centroids: npt.ArrayLike,
        card: CodebookCard,
        training_data: TrainingData | None = None,
    ) -> None:
        self.encoder = card.encoder.load(encoder)
        self.centroids: FloatArray = np.array(centroids, dtype=np.float32)
        self.centroids.setflags(write=False)
        shape = (card.n_codes, card.encoder.width)
        check_tensors({_CENTROIDS: self.centroids}, {_CENTROIDS: shape}, NAME)
        self.card = card
        self.training_data = training_data

    @classmethod
    def fit(
        cls,
        encoder: AudioEncoder | str,
        clips: Iterable[Clip],
        n_codes: int = 1024,
        *,
        seed: int = 0,
        n_init: int = 10,
        max_frames: int = MAX_FRAMES,
        encoder_options: Mapping[str, Option] | None = None,
        device: str = "auto",
    ) -> Self:
        """Fit the centroids on clips, which must be training clips only.

        The tokenizer lists the clips that are files as its training data.

        Args:
            encoder: an audio encoder, or its name in the registry, such as "yamnet". Only by a
                name, a saved tokenizer loads its encoder itself.
            clips: training clips; each is read once.
            n_codes: number of codes.
            seed: seed of the choice of feature vectors, and of the starts of k-means.
            n_init: number of starts of k-means; the best result counts.
            max_frames: number of feature vectors that are drawn if there are more.
            encoder_options: options of an encoder that is given by its name.
            device: device of an encoder that is given by its name.

        Raises:
            AudioReadError: if a clip cannot be read.
            InvalidInputError: if the clips have fewer different feature vectors than codes.
        """
        frozen = FrozenEncoder.of(encoder, encoder_options, device=device)
        recordings: list[TrainingRecording] = []
        features = frozen.encoder.encode(map(read_waveform, _noted(clips, recordings)))
        frames = sample_frames(features, max_frames, seed=seed)
        return cls._fit(frozen, frames, recordings, n_codes=n_codes, seed=seed, n_init=n_init)

    @classmethod
    def fit_features(
        cls,
        encoder: AudioEncoder | str,
        features: npt.ArrayLike,
        n_codes: int = 1024,
        *,
        seed: int = 0,
        n_init: int = 10,
        max_frames: int = MAX_FRAMES,
        training_clips: Iterable[Clip] = (),
        encoder_options: Mapping[str, Option] | None = None,
        device: str = "auto",
    ) -> Self:
        """Fit the centroids on features that are computed already, of training clips only.

        Args:
            encoder: the encoder that computed the features, or its name in the registry.
            features: shape (..., width).
            n_codes: number of codes.
            seed: seed of the choice of feature vectors, and of the starts of k-means.
            n_init: number of starts of k-means; the best result counts.
            max_frames: number of feature vectors that are drawn if there are more.
            training_clips: clips with files that the features come from, to list as training data.
            encoder_options: options of an encoder that is given by its name.
            device: device of an encoder that is given by its name.

        Raises:
            AudioReadError: if a training clip cannot be read.
            InvalidInputError: if there are fewer different feature vectors than codes.
        """
        frozen = FrozenEncoder.of(encoder, encoder_options, device=device)
        array = np.atleast_1d(features)
        frames = sample_frames([array.reshape(-1, array.shape[-1])], max_frames, seed=seed)
        recordings = recordings_of(training_clips)
        return cls._fit(frozen, frames, recordings, n_codes=n_codes, seed=seed, n_init=n_init)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, encoder: AudioEncoder | None = None, device: str = "auto"
    ) -> Self:
        """Read a tokenizer from a folder that `save_pretrained` wrote.

        Args:
            folder: local folder, or hub name.
            encoder: the encoder, if it is loaded already; required if the tokenizer was fitted
                with an encoder that was not given by its name.
            device: device of an encoder that is loaded here.

        Raises:
            WeightsError: if a file is missing or damaged, or the encoder is another one.
        """
        card, tensors, training_data = read_fitted(CodebookCard, folder, NAME)
        shape = (card.n_codes, card.encoder.width)
        check_tensors(tensors, {_CENTROIDS: shape}, str(folder))
        loaded = card.encoder.load(encoder, device=device)
        return cls(loaded, tensors[_CENTROIDS], card, training_data)

    @property
    def info(self) -> ComponentInfo:
        """Number of codes, hash of the centroids, and the `info` of the encoder."""
        revision = self._revision
        parts = {"encoder": self.encoder.info}
        return ComponentInfo("audio_tokenizer", NAME, revision, {"n_codes": self.n_codes}, parts)

    @cached_property
    def _revision(self) -> str:
        return digest_of({_CENTROIDS: self.centroids})

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return self.card.n_codes

    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        """Yield the code of each feature vector of a clip: int64, shape (n_steps,).

        Raises:
            UnsupportedInputError: for audio that the encoder cannot process.
            WeightsError: if the features have another width.
            NonFiniteError: if a feature is NaN or infinite.
        """
        for features in self.encoder.encode(waveforms):
            yield assign_codes(self.card.encoder.checked(features), self.centroids)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write centroids, card and training data to a new folder; return the path of the folder.

        Raises:
            InvalidInputError: if the folder exists.
        """
        return write_fitted(folder, self.card, {_CENTROIDS: self.centroids}, self.training_data)

    @classmethod
    def _fit(
        cls,
        frozen: FrozenEncoder,
        frames: FloatArray,
        recordings: Sequence[TrainingRecording],
        *,
        n_codes: int,
        seed: int,
        n_init: int,
    ) -> Self:
        """Fit the centroids on all of the frames, shape (n_frames, width)."""
        centroids = fit_centroids(frames, n_codes, seed=seed, n_init=n_init, max_frames=len(frames))
        nearest = centroids[assign_codes(frames, centroids)]
        inertia = float(((unit_vectors(frames) - nearest) ** 2).sum(dtype=np.float64))
        card = CodebookCard(
            encoder=frozen.reference(frames.shape[1]),
            n_codes=n_codes,
            n_frames=len(frames),
            n_init=n_init,
            seed=seed,
            inertia=inertia,
        )
        training_data = fitted_on(NAME, frozen.encoder, recordings)
        return cls(frozen.encoder, centroids, card, training_data)


def _noted(clips: Iterable[Clip], recordings: list[TrainingRecording]) -> Iterator[Clip]:
    """Yield clips unchanged, and append a description of each that is a file to `recordings`."""
    for clip in clips:
        if (recording := recording_of(clip)) is not None:
            recordings.append(recording)
        yield clip
