"""Frozen audio encoders, and the files of models that are fitted on their features.

A model such as a linear tagger or a codebook means something only together with the encoder whose
features it was fitted on. Its folder therefore names the encoder, and another one is refused.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path, PurePath
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from audioprobe.errors import InvalidInputError, NonFiniteError, WeightsError
from audioprobe.io.atomic import staged_directory
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.models.causal_lm.loading import read_tensors
from audioprobe.protocols import AudioEncoder
from audioprobe.registry import factory_of, load
from audioprobe.training_data import (
    TRAINING_DATA,
    TrainingData,
    TrainingRecording,
    training_data_of,
)
from audioprobe.types import FloatArray, Option
from audioprobe.weights import resolve

Card = TypeVar("Card")

CARD, TENSORS = "card.json", "model.safetensors"


@runtime_checkable
class RegularEncoder(Protocol):
    """Encoder whose feature vectors have a constant distance in time."""

    @property
    def hop(self) -> float:
        """Seconds between two feature vectors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderReference:
    """The encoder whose features a model was fitted on.

    Attributes:
        name: name of the encoder in its `info`, without folders.
        revision: revision of the encoder in its `info`.
        width: size of a feature vector.
        spec: name of the encoder in the registry, by which it is loaded again; "" if unknown.
        options: options of the encoder in the registry, such as `{"hop": 0.32}`.
    """

    name: str
    revision: str
    width: int
    spec: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)

    def load(self, encoder: AudioEncoder | None = None, *, device: str = "auto") -> AudioEncoder:
        """Return the encoder, after a check of its name and revision.

        Args:
            encoder: the encoder, if it is loaded already; required if `spec` is "".
            device: device of an encoder that is loaded here.

        Raises:
            InvalidInputError: if no encoder is passed, and its name in the registry is unknown.
            BackendNotFoundError: if the encoder is not installed.
            WeightsError: if the encoder is another one, or its weights are missing.
        """
        if encoder is None and not self.spec:
            raise InvalidInputError(
                f"The name of the encoder {self.name!r} in the registry is unknown. Load it, and "
                "pass it as encoder=..."
            )
        loaded = load_encoder(self.spec, self.options, device) if encoder is None else encoder
        received = (_base_name(loaded.info.name), loaded.info.revision)
        if received != (self.name, self.revision):
            raise WeightsError(
                f"Expected the encoder {self.name!r} with the revision {self.revision!r}, whose "
                f"features this model was fitted on, received {received[0]!r} with the revision "
                f"{received[1]!r}. Use the same encoder, or fit the model again."
            )
        return loaded

    def checked(self, features: FloatArray) -> FloatArray:
        """Return the features of a clip unchanged, after a check of shape and values.

        Raises:
            WeightsError: unless the shape is (n_steps, width).
            NonFiniteError: if a feature is NaN or infinite.
        """
        if features.ndim != 2 or features.shape[1] != self.width:
            raise WeightsError(
                f"Expected features of shape (n_steps, {self.width}) from the encoder "
                f"{self.name!r}, received shape {features.shape}. Use the encoder that this model "
                "was fitted on."
            )
        if not np.isfinite(features).all():
            raise NonFiniteError(
                f"Expected finite features from the encoder {self.name!r}, received NaN or "
                f"infinity. {NonFiniteError.ADVICE}"
            )
        return features


@dataclass(frozen=True, slots=True)
class FrozenEncoder:
    """A loaded encoder, with the name and the options by which it can be loaded again.

    Attributes:
        encoder: the encoder.
        spec: name in the registry; "" if unknown.
        options: options in the registry.
    """

    encoder: AudioEncoder
    spec: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        encoder: AudioEncoder | str,
        options: Mapping[str, Option] | None = None,
        *,
        device: str = "auto",
    ) -> "FrozenEncoder":
        """Load an encoder that is given by its name in the registry; keep one that is loaded.

        Args:
            encoder: the encoder, or its name.
            options: options of an encoder that is given by its name.
            device: device of an encoder that is given by its name.

        Raises:
            InvalidInputError: if options are passed for an encoder that is loaded already.
            BackendNotFoundError: if no encoder of this name is installed.
            WeightsError: if the encoder's weights are missing.
        """
        if isinstance(encoder, str):
            return cls(load_encoder(encoder, options or {}, device), encoder, options or {})
        if options:
            raise InvalidInputError(
                f"The options {sorted(options)} are for an encoder that is given by its name, got "
                "a loaded encoder. Pass them where the encoder is created."
            )
        return cls(encoder)

    def reference(self, width: int) -> EncoderReference:
        """Return the reference to this encoder, to store with a model.

        Args:
            width: size of a feature vector.
        """
        info = self.encoder.info
        return EncoderReference(
            name=_base_name(info.name),
            revision=info.revision,
            width=width,
            spec=self.spec,
            options=self.options,
        )


def load_encoder(name: str, options: Mapping[str, Option], device: str) -> AudioEncoder:
    """Load an encoder on a device; encoders without this option, such as BirdNET, use the CPU.

    Args:
        name: name of the encoder in the registry.
        options: options of the encoder.
        device: device of the encoder.

    Raises:
        BackendNotFoundError: if no encoder of this name is installed.
        WeightsError: if the encoder's weights are missing.
        InvalidInputError: if the encoder only tags audio.
    """
    has_device = "device" in signature(factory_of("encoder", name.partition(":")[0])).parameters
    placement = {"device": device} if has_device else {}
    encoder = load("encoder", name, **options, **placement)
    if not isinstance(encoder, AudioEncoder):
        raise InvalidInputError(
            f"Expected an encoder with `encode` as audio front end, got {name!r}, which has none."
        )
    return encoder


def fitted_on(
    name: str, encoder: AudioEncoder, recordings: Sequence[TrainingRecording]
) -> TrainingData | None:
    """Return the training data of a model: those of its encoder, and the recordings of its fit.

    Args:
        name: name of the model.
        encoder: encoder of the model.
        recordings: recordings that the model was fitted on.

    Returns:
        None if both are unknown.
    """
    known = training_data_of(encoder)
    if known is None and not recordings:
        return None
    return TrainingData(name, known.recordings if known else ()).joined(recordings)


def write_fitted(
    folder: str | Path,
    card: object,
    tensors: Mapping[str, FloatArray],
    training_data: TrainingData | None,
) -> Path:
    """Write a fitted model to a new folder, and return the path of the folder.

    Args:
        folder: folder to create; it appears only when it is complete.
        card: dataclass that describes the model.
        tensors: numbers of the model.
        training_data: recordings that the model was fitted on; None if unknown.

    Raises:
        InvalidInputError: if the folder exists.
    """
    with staged_directory(folder) as partial:
        save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, partial / TENSORS)
        (partial / CARD).write_text(to_json(card) + "\n", encoding="utf-8")
        if training_data is not None:
            training_data.to_csv(partial / TRAINING_DATA)
    return Path(folder).expanduser()


def read_fitted(
    cls: type[Card], folder: str | Path, name: str
) -> tuple[Card, dict[str, FloatArray], TrainingData | None]:
    """Read what `write_fitted` wrote: card, numbers and training data.

    Args:
        cls: class of the card.
        folder: local folder, or hub name.
        name: name of the model in its training data.

    Raises:
        WeightsError: if the folder or a file in it is missing or damaged.
    """
    path = resolve(str(folder)).folder
    try:
        card = read_json(cls, path, CARD)
        table = path / TRAINING_DATA
        training_data = TrainingData.from_csv(table, name) if table.is_file() else None
    except InvalidInputError as error:
        raise WeightsError(f"{error} Fit the model again, or restore its folder.") from error
    tensors = {key: t.float().numpy() for key, t in read_tensors(path / TENSORS).items()}
    return card, tensors, training_data


def check_tensors(
    tensors: Mapping[str, FloatArray], shapes: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """Raise `WeightsError` unless tensors have these names and shapes, and are finite floats."""
    received = {name: tensor.shape for name, tensor in tensors.items()}
    is_valid = all(np.isfinite(tensor).all() for tensor in tensors.values())
    if received != dict(shapes) or not is_valid:
        raise WeightsError(
            f"{source}: expected finite floats of the shapes {dict(shapes)}, received {received}"
            f"{'' if is_valid else ', some of them not finite'}. The file is damaged or belongs to "
            "another model."
        )


def digest_of(tensors: Mapping[str, npt.NDArray[np.generic]], *texts: str) -> str:
    """Return a hash of numbers and texts (16 hexadecimal digits), as the revision of a model."""
    content = hashlib.sha256(to_json(texts, indent=None).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        content.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        content.update(array.tobytes())
    return content.hexdigest()[:16]


def _base_name(name: str) -> str:
    """Return the name of an encoder without folders: one folder can have several paths."""
    return PurePath(name).name
