"""Sounds of a report: their spectrograms, and links to them or the sounds themselves."""

import base64
import os
from pathlib import Path
from urllib.parse import quote

from audioprobe.audio.wav import wav_bytes
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError
from audioprobe.reports.spectrogram import to_data_uri
from audioprobe.types import Clip, Waveform

SOUNDS = "sounds"
"""Folder beside the page for sounds that were in memory."""


class AudioClips:
    """Looks at each clip once.

    Args:
        folder: of the page; sounds are linked to from there.
        embed: put sounds into the page, instead of links.
    """

    def __init__(self, folder: Path, *, embed: bool = False) -> None:
        self._folder = folder.resolve()
        self._embed = embed
        self._seen: dict[Clip, tuple[str, str]] = {}

    def __call__(self, clip: Clip) -> tuple[str, str]:
        """Spectrogram and sound as URIs; of a clip that can no longer be read, two empty texts."""
        if clip not in self._seen:
            self._seen[clip] = self._look(clip)
        return self._seen[clip]

    def _look(self, clip: Clip) -> tuple[str, str]:
        try:
            waveform = read_waveform(clip)
        except AudioReadError:  # it was read when it was asked about; the file has gone since
            return "", ""
        return to_data_uri(waveform), _data(waveform) if self._embed else self._link(clip)

    def _link(self, clip: Clip) -> str:
        """To its file; a sound that has none gets one beside the page."""
        if clip.waveform is not None:
            name = f"{SOUNDS}/{clip.waveform.digest()[:16]}.wav"
            (self._folder / SOUNDS).mkdir(exist_ok=True)
            (self._folder / name).write_bytes(wav_bytes(clip.waveform)[0])
            return name
        assert clip.path is not None  # noqa: S101 - a clip has one or the other
        where = quote(Path(os.path.relpath(clip.path.resolve(), self._folder)).as_posix())
        end = "" if clip.duration is None else f",{clip.start + clip.duration:g}"
        return f"{where}#t={clip.start:g}{end}" if clip.start or end else where


def _data(waveform: Waveform) -> str:
    return f"data:audio/wav;base64,{base64.b64encode(wav_bytes(waveform)[0]).decode()}"
