"""Search for clips that a model was trained on, including copies in another audio format."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audioprobe.audio.files import open_sound
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError
from audioprobe.protocols import Component
from audioprobe.training_data import TrainingData, TrainingRecording, training_data_of
from audioprobe.types import Clip, Waveform

_N_PARTS = 32
_MAX_LEVEL = 255
_TOLERANCE = 6  # levels are 0 to 255; rounding and resampling change them by less
_LENGTH_TOLERANCE_S = 0.002  # resamplers round the number of samples


def training_clips(clips: Iterable[Clip], model: Component) -> dict[str, tuple[str, ...]]:
    """Return a dictionary from the name of a model to the ids of clips it was trained on.

    A clip matches if its file is identical to a training file, or if it has the same length and the
    same loudness over time as a training recording. The second condition finds copies in another
    format or at another sample rate, but not copies that were cut, mixed or changed in speed.

    The dictionary is empty if the training data of the model are unknown. If they are known and no
    clip matches, the value is ().
    """
    data = training_data_of(model)
    if data is None:
        return {}
    return {data.model: clips_among(clips, data)}


def clips_among(clips: Iterable[Clip], data: TrainingData) -> tuple[str, ...]:
    """Return the ids of the clips that match training data; `training_clips` defines a match."""
    return tuple(clip.id for clip in clips if _is_known(clip, data))


def recording_of(clip: Clip, name: str = "") -> TrainingRecording | None:
    """Return a description of a clip, to recognise copies of it; None if the clip has no file.

    A table of training data contains one such description per training clip.

    Args:
        clip: clip that a model was trained on.
        name: name of the recording; "" means the id of the clip.

    Raises:
        AudioReadError: if the file cannot be read.
    """
    if clip.path is None:
        return None
    content = clip.path.read_bytes()
    waveform = read_waveform(Clip(id=clip.id, path=clip.path))
    return TrainingRecording(
        recording=name or clip.id,
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sample_rate=waveform.sample_rate,
        n_frames=waveform.samples.size,
        shape=loudness_shape(waveform),
    )


def recordings_of(clips: Iterable[Clip]) -> list[TrainingRecording]:
    """Return a description of each clip that is a file; see `recording_of`.

    Raises:
        AudioReadError: if a file cannot be read.
    """
    return [recording for clip in clips if (recording := recording_of(clip)) is not None]


def loudness_shape(waveform: Waveform) -> str:
    """Return a fingerprint of the loudness over time, to find copies of a recording.

    The waveform is divided into 32 parts of equal length. Each part has a level from 0 to 255,
    relative to the loudest part. The level is proportional to the fourth root of the mean squared
    sample; with the RMS itself, most quiet parts would have the same level.

    Returns:
        64 hexadecimal digits, two for the level of each part; "" for silence, for nearly constant
        loudness, and for waveforms with fewer than 32 samples.
    """
    levels = _levels(waveform)
    return "" if levels is None else bytes(levels.tolist()).hex()


def _is_known(clip: Clip, data: TrainingData) -> bool:
    if clip.waveform is not None:
        return _is_known_waveform(clip.waveform, data)
    if clip.path is None or not clip.path.is_file():
        return False
    stat = clip.path.stat()
    return _is_known_file(clip.path, stat.st_size, stat.st_mtime_ns, data)


@lru_cache(maxsize=100_000)
def _is_known_file(path: Path, size: int, modified_ns: int, data: TrainingData) -> bool:
    """Return whether a file matches training data; False if it cannot be read as audio.

    The result is cached. `size` and `modified_ns` are arguments so that a changed file is checked
    again.
    """
    del modified_ns
    if size in data.sizes:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() in data.hashes:
                return True
    try:
        with open_sound(path) as file:
            seconds = file.frames / file.samplerate
        return bool(_of_same_length(seconds, data)) and _is_known_waveform(
            read_waveform(Clip(id=str(path), path=path)), data
        )
    except AudioReadError:  # reading the clip later reports this error
        return False


def _of_same_length(seconds: float, data: TrainingData) -> list[TrainingRecording]:
    """Return the training recordings of a given duration whose fingerprint is not ""."""
    near = np.abs(data.seconds - seconds) <= _LENGTH_TOLERANCE_S
    return [data.recordings[n] for n in np.flatnonzero(near) if data.recordings[n].shape]


def _is_known_waveform(waveform: Waveform, data: TrainingData) -> bool:
    """Return whether a waveform has the length and loudness over time of a training recording."""
    candidates = _of_same_length(waveform.duration, data)
    levels = _levels(waveform) if candidates else None
    if levels is None:
        return False
    return any(
        np.abs(levels - np.frombuffer(bytes.fromhex(c.shape), np.uint8)).max() <= _TOLERANCE
        for c in candidates
    )


def _levels(waveform: Waveform) -> npt.NDArray[np.int64] | None:
    """Return the 32 levels that `loudness_shape` encodes, or None if it returns ""."""
    if waveform.samples.size < _N_PARTS:
        return None
    parts = np.array_split(waveform.samples.astype(np.float64), _N_PARTS)
    roots = np.array([np.mean(part**2) ** 0.25 for part in parts])
    if not roots.max():
        return None
    levels: npt.NDArray[np.int64] = np.rint(_MAX_LEVEL * roots / roots.max()).astype(np.int64)
    return levels if levels.min() < _MAX_LEVEL - 2 * _TOLERANCE else None
