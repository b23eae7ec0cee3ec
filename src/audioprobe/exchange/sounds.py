"""Audio of exported questions: lossless files, and names without the folders of this machine."""

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile
from scipy.io import wavfile

from audioprobe.audio.transforms import wav_bytes
from audioprobe.audio.windowing import Windowing
from audioprobe.errors import AudioReadError
from audioprobe.probing.concept_probe import FIRST_SECONDS
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.sounds import sounds_by_key
from audioprobe.types import Clip, Waveform

Sounds: TypeAlias = Mapping[str, Callable[[], Waveform]]
"""Functions that load a waveform, keyed by clip id or by `ProbeQuestion.audio`."""

_SUBTYPES = (("PCM_16", 2**15), ("PCM_24", 2**23))
_MAX_FLAC_HZ = 655_350
_FOLDERS = re.compile(r"""(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][^/\\:\n"']+)*[/\\](?=[^/\\:\s"'])""")
_N_RECENT = 32  # sounds in memory, because several questions are about the same sound


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """A waveform as the content of an audio file.

    Attributes:
        name: file name, made from a hash of the content.
        content: content of the file; equal waveforms give equal bytes.
        n_clipped: number of samples beyond full scale that the format cannot store.
    """

    name: str
    content: bytes
    n_clipped: int = 0


def encode_lossless(waveform: Waveform) -> EncodedSound:
    """Return a waveform as a file from which the same samples are decoded.

    It is FLAC if the samples are multiples of 1/32768 (16 bit) or 1/8388608 (24 bit) in [-1, 1), as
    those of most recordings are; otherwise WAV with 32-bit floats.
    """
    subtype = next((name for name, scale in _SUBTYPES if _is_exact(waveform, scale)), "")
    stream = io.BytesIO()
    if not subtype or waveform.sample_rate > _MAX_FLAC_HZ:
        # libsndfile would write the current time into WAV files with floats
        wavfile.write(stream, waveform.sample_rate, waveform.samples)
        return _named(stream.getvalue(), "wav")
    # libsndfile scales floats by 32767, but keeps the first bits of integers
    samples = (waveform.samples.astype(np.float64) * 2**31).astype(np.int32)
    soundfile.write(stream, samples, waveform.sample_rate, format="FLAC", subtype=subtype)
    return _named(stream.getvalue(), "flac")


def encode_wav(waveform: Waveform) -> EncodedSound:
    """Return a waveform as a 16-bit WAV file, which all services accept; see `wav_bytes`."""
    content, n_clipped = wav_bytes(waveform)
    return replace(_named(content, "wav"), n_clipped=n_clipped)


def _named(content: bytes, suffix: str) -> EncodedSound:
    return EncodedSound(f"{hashlib.sha256(content).hexdigest()[:16]}.{suffix}", content)


def _is_exact(waveform: Waveform, scale: int) -> bool:
    steps = waveform.samples.astype(np.float64) * scale
    in_range = steps.min() >= -scale and steps.max() <= scale - 1
    return bool(in_range and np.array_equal(steps, np.rint(steps)))


@dataclass(slots=True)
class SoundEncoder:
    """Encoder of the sounds of a table; failures are recorded.

    Attributes:
        sounds: functions that load the waveforms.
        encode: function that turns a waveform into a file.
        names: public name of each clip id, for messages; see `public_names`.
        failures: why a sound has no file, keyed by its key.
    """

    sounds: Sounds
    encode: Callable[[Waveform], EncodedSound]
    names: Mapping[str, str]
    failures: dict[str, str] = field(default_factory=dict)
    _recent: dict[str, EncodedSound] = field(default_factory=dict)

    def __call__(self, key: str) -> EncodedSound | None:
        """Return the sound with this key as a file; None if it cannot be read."""
        if key in self.failures:
            return None
        if key not in self.sounds:
            self.failures[key] = "the audio was not stored with the result"
            return None
        if key not in self._recent:
            try:
                encoded = self.encode(self.sounds[key]())
            except AudioReadError as error:
                self.failures[key] = public_text(str(error), self.names)
                return None
            if len(self._recent) == _N_RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[key] = encoded
        return self._recent[key]


def outcome_sounds(outcome: ProbeOutcome) -> Sounds:
    """Return functions that load the sounds of a probe again, from the files of its clips.

    Clips in memory and recordings of spoken words are left out, because an outcome does not
    contain them.
    """
    clips = [
        Clip(id=name, path=Path(clip.path), start=clip.start, duration=clip.duration)
        for name, clip in outcome.clips.items()
        if clip.path
    ]
    options: dict[str, Any] = dict(outcome.provenance.options)
    names = {field.name for field in fields(Windowing)}
    reading = {name: value for name, value in options.items() if name in names}
    windowing = replace(FIRST_SECONDS, **reading)
    n_windows = options.get("n_windows", 0)
    return sounds_by_key(clips, {}, windowing, outcome.provenance.seed, n_windows)


def public_names(ids: Iterable[str]) -> dict[str, str]:
    """Return a name for each clip id that contains no folder of this machine.

    Ids that are absolute paths become relative to the folder that all of them share. Other ids,
    such as those of a data set, stay unchanged.
    """
    names = {name: name for name in ids}
    paths = [Path(name) for name in names if Path(name).is_absolute()]
    if paths:
        drives = {path.anchor for path in paths}
        shared = os.path.commonpath([path.parent for path in paths]) if len(drives) == 1 else ""
        for path in paths:
            names[str(path)] = path.relative_to(shared or path.anchor).as_posix()
    return names


def public_text(text: str, names: Mapping[str, str]) -> str:
    """Return a message without folders of this machine, for files that are shared.

    Clip ids are replaced by their public names; of other absolute paths, the file name remains.
    """
    changed = sorted((name for name, public in names.items() if public != name), key=len)
    if changed:
        pattern = "|".join(re.escape(name) for name in reversed(changed))
        text = re.sub(pattern, lambda match: names[match.group()], text)
    return _FOLDERS.sub("", text)
