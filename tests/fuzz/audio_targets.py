"""Targets: audio files in all containers whose headers the library reads."""

from pathlib import Path

import numpy as np
from tests.audio.encoded import ID3, encoded
from tests.fuzz.mutations import Inputs, damaged_bytes
from tests.fuzz.target import Target, file_target

from audioprobe.audio.hugging_face import clip_of_hf_sound
from audioprobe.audio.windowing import Windowing, read_waveform, read_windows
from audioprobe.types import Clip

_SAMPLES = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype("f4")
_STEREO = np.stack([_SAMPLES[:2000], -_SAMPLES[:2000]], axis=1)
_FORMATS = {
    "wav": [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24")],
    "rf64": [("RF64", "PCM_16")],
    "aiff": [("AIFF", "PCM_16"), ("AIFF", "FLOAT")],
    "w64": [("W64", "PCM_16")],
    "caf": [("CAF", "PCM_16"), ("CAF", "ALAC_16")],
    "au": [("AU", "PCM_16")],
    "svx": [("SVX", "PCM_16")],
    "nist": [("NIST", "PCM_16")],
    "flac": [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
    "ogg": [("OGG", "VORBIS"), ("OGG", "OPUS")],
    "mp3": [("MP3", "MPEG_LAYER_III")],
}  # fmt: skip
_TOKENS = {
    "wav": (b"RIFF", b"RIFX", b"RF64", b"WAVE", b"fmt ", b"data", b"ds64", b"LIST", b"fact"),
    "rf64": (b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"ds64", b"\xff\xff\xff\xff"),
    "aiff": (b"FORM", b"AIFF", b"AIFC", b"COMM", b"SSND", b"sowt"),
    "w64": (b"riff", b"wave", b"data"),
    "caf": (b"caff", b"desc", b"data", b"pakt", b"free"),
    "au": (b".snd", b"dns."),
    "svx": (b"FORM", b"8SVX", b"16SV", b"BODY", b"VHDR"),
    "nist": (b"NIST_1A\n   1024\n", b"sample_count -i ", b"sample_n_bytes -i 2\n", b"end_head"),
    "flac": (b"fLaC", b"fLaC\0\0\0\x22", ID3[:10], b"\xff\xf8", b"TAG"),
    "ogg": (b"OggS", b"OpusHead", b"\x01vorbis"),
    "mp3": (b"\xff\xfb", b"\xff\xfb\x90\xc4", ID3[:10], b"Xing", b"VBRI", b"TAG"),
}  # fmt: skip


def _seeds(kind: str) -> list[bytes]:
    files = []
    for container, subtype in _FORMATS[kind]:
        rate = 16_000 if subtype in ("OPUS", "MPEG_LAYER_III") else 8000
        files.append(encoded(container, subtype, _SAMPLES, rate))
        if container != "SVX":
            files.append(encoded(container, subtype, _STEREO, rate))
    return files + ([ID3 + files[0]] if kind in ("flac", "mp3") else [])


def _read(path: Path) -> None:
    clip = Clip(id="sound", path=path)
    for incomplete in ("reject", "accept"):
        windows = Windowing(seconds=0.1, incomplete=incomplete)  # type: ignore[arg-type]
        whole = Windowing(length="whole", incomplete=incomplete)  # type: ignore[arg-type]
        try:
            n_samples = read_waveform(clip, whole).samples.size
        finally:  # both ways of reading are tried, whether the first one fails or not
            last = list(read_windows(clip, windows))[-1]
        end = round(last.start * last.waveform.sample_rate) + last.waveform.samples.size
        assert end == n_samples


def _audio(kind: str) -> Target:
    inputs = lambda: damaged_bytes(_seeds(kind), _TOKENS[kind])  # noqa: E731
    return file_target(f"audio-{kind}", inputs, f"sound.{kind}", _read)


def _bytes_of_a_data_set(content: bytes, _folder: Path) -> object:
    return clip_of_hf_sound({"bytes": content, "path": "sound.mp3"}, "sound")


def _mixed() -> Inputs:
    return damaged_bytes([seed for kind in _FORMATS for seed in _seeds(kind)])


TARGETS = [
    *map(_audio, _FORMATS),
    Target("audio-in-data-set", _mixed, _bytes_of_a_data_set),
]
