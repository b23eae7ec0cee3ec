"""Create recordings of the words for concepts: synthesised by espeak-ng, or read from a folder."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from audioprobe.audio.sources import clips_of
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.types import Clip, Waveform

ESPEAK = "espeak-ng"
_TIMEOUT_S = 30


def spoken_words(source: str, concepts: ConceptSet) -> dict[str, Waveform]:
    """Return a recording of the word for each concept, by the id of the concept.

    Args:
        source: "espeak-ng" to synthesise the phrases in English with the program espeak-ng; any
            other value is a folder with recordings that are named after concepts. The first
            recording of each concept is used; concepts without a recording are left out.
        concepts: concepts whose words are needed.

    Raises:
        InvalidInputError: if espeak-ng is missing or fails, or if no recording in the folder is
            named after a concept.
        AudioReadError: if a recording cannot be read.
    """
    if source == ESPEAK:
        return espeak({concept.id: concept.phrase for concept in concepts.concepts})
    clips = clips_by_concept(clips_of(source), concepts).by_concept
    if not clips:
        raise InvalidInputError(
            f"{source}: no recording is named after a concept. Rename the recordings (crow.wav), "
            f"or use {ESPEAK!r}."
        )
    return {name: read_waveform(recordings[0]) for name, recordings in clips.items()}


def espeak(phrases: Mapping[str, str]) -> dict[str, Waveform]:
    """Synthesise phrases with espeak-ng's English voice, at 22,050 Hz.

    Raises:
        InvalidInputError: if espeak-ng is missing or fails.
    """
    program = shutil.which(ESPEAK)
    if program is None:
        raise InvalidInputError(
            f"{ESPEAK} is not installed. Install it (Debian: apt install {ESPEAK}), or give a "
            "folder of recorded words."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        return {name: _speak(program, phrase, path) for name, phrase in phrases.items()}


def _speak(program: str, phrase: str, path: Path) -> Waveform:
    """Synthesise a phrase; standard input is used so that a phrase is never parsed as an option."""
    try:
        subprocess.run(  # noqa: S603 - a fixed command
            [program, "-v", "en", "-w", str(path), "--stdin"],
            input=phrase.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInputError(f"{ESPEAK} failed to speak {phrase!r}: {error}") from error
    return read_waveform(Clip(id=phrase, path=path))
