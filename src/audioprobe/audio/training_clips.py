"""Which clips a model was trained on: the same file, or the same recording in another format."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audioprobe.audio.files import open_sound
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError
from audioprobe.protocols import Component, training_data_of
from audioprobe.training_data import TrainingData, TrainingRecording
from audioprobe.types import Clip, Waveform

_PARTS = 32
_FULL = 255
_TOLERANCE = 6  # of 255: rounding to 16 bits and resampling move a part by less
_SAME_LENGTH_S = 0.002  # resamplers round the number of samples


def training_clips(clips: Iterable[Clip], model: Component) -> dict[str, tuple[str, ...]]:
    """Find the clips that a model was trained on.

    A clip counts if its file is byte for byte one of the training data, or if its whole file or
    waveform has the length and the loudness over time of one (a WAV made of an OGG, at any sample
    rate). Copies that were cut, mixed or changed in speed are not found.

    Args:
        clips: in any order.
        model: with or without the ability `KnownTrainingData`.

    Returns:
        Ids of clips by the name of the model; {} where the training data are not known.
    """
    data = training_data_of(model)
    if data is None:
        return {}
    return {data.model: clips_among(clips, data)}


def clips_among(clips: Iterable[Clip], data: TrainingData) -> tuple[str, ...]:
    """Ids of the clips that are among the recordings of training data; see `training_clips`."""
    return tuple(clip.id for clip in clips if _is_known(clip, data))


def recording_of(clip: Clip, name: str = "") -> TrainingRecording | None:
    """What a table of training data keeps of a clip's file; None for a sound in memory.

    Args:
        clip: with a path.
        name: for people; "" takes the id of the clip.

    Raises:
        AudioReadError: if the file cannot be read.
    """
    if clip.path is None:
        return None
    content = clip.path.read_bytes()
    whole = read_waveform(Clip(id=clip.id, path=clip.path))
    return TrainingRecording(
        recording=name or clip.id,
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sample_rate=whole.sample_rate,
        n_frames=whole.samples.size,
        shape=loudness_shape(whole),
    )


def loudness_shape(waveform: Waveform) -> str:
    """Loudness of 32 equal parts, as 64 hexadecimal digits.

    Each part has the square root of its root mean square, where the loudest part is 255. "" for a
    sound that has no shape: silence, one as loud throughout, or fewer samples than parts.
    """
    shape = _shape(waveform)
    return "" if shape is None else bytes(shape.tolist()).hex()


def _is_known(clip: Clip, data: TrainingData) -> bool:
    if clip.waveform is not None:
        return _sounds_known(clip.waveform, data)
    if clip.path is None or not clip.path.is_file():
        return False
    stat = clip.path.stat()
    return _file_is_known(clip.path, (stat.st_size, stat.st_mtime_ns), data)


@lru_cache(maxsize=100_000)
def _file_is_known(path: Path, stamp: tuple[int, int], data: TrainingData) -> bool:
    """The stamp makes a file that was replaced be read again."""
    if stamp[0] in data.sizes:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() in data.hashes:
                return True
    try:
        with open_sound(path) as file:
            seconds = file.frames / file.samplerate
        return bool(_as_long(seconds, data)) and _sounds_known(
            read_waveform(Clip(id=str(path), path=path)), data
        )
    except AudioReadError:  # reported as a failure where the clip is read
        return False


def _as_long(seconds: float, data: TrainingData) -> list[TrainingRecording]:
    """Recordings of the same length, of those that have a shape."""
    near = np.abs(data.seconds - seconds) <= _SAME_LENGTH_S
    return [data.recordings[n] for n in np.flatnonzero(near) if data.recordings[n].shape]


def _sounds_known(waveform: Waveform, data: TrainingData) -> bool:
    alike = _as_long(waveform.duration, data)
    shape = _shape(waveform) if alike else None
    if shape is None:
        return False
    return any(
        np.abs(shape - np.frombuffer(bytes.fromhex(one.shape), np.uint8)).max() <= _TOLERANCE
        for one in alike
    )


def _shape(waveform: Waveform) -> npt.NDArray[np.int64] | None:
    if waveform.samples.size < _PARTS:
        return None
    parts = np.array_split(waveform.samples.astype(np.float64), _PARTS)
    roots = np.array([np.mean(part**2) ** 0.25 for part in parts])
    if not roots.max():
        return None
    shape: npt.NDArray[np.int64] = np.rint(_FULL * roots / roots.max()).astype(np.int64)
    return shape if shape.min() < _FULL - 2 * _TOLERANCE else None
