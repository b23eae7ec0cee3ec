"""Reading of audio files and clips, windows, resampling, augmentation and spectrograms.

The functions of `filterbank` are not imported here, because this module imports torch.
"""

from audioprobe.audio.files import OpenSound, find_sounds, is_sound, open_sound
from audioprobe.audio.hugging_face import clips_of_hf_dataset
from audioprobe.audio.sources import clips_of
from audioprobe.audio.training_clips import clips_among, training_clips
from audioprobe.audio.transforms import (
    change_speed,
    gain,
    mix,
    resample,
    shift,
    speed,
    wav_bytes,
)
from audioprobe.audio.windowing import AudioWindow, Windowing, read_waveform, read_windows

__all__ = [
    "AudioWindow",
    "OpenSound",
    "Windowing",
    "change_speed",
    "clips_among",
    "clips_of",
    "clips_of_hf_dataset",
    "find_sounds",
    "gain",
    "is_sound",
    "mix",
    "open_sound",
    "read_waveform",
    "read_windows",
    "resample",
    "shift",
    "speed",
    "training_clips",
    "wav_bytes",
]
