"""The words themselves as sound: spoken by a machine, or recorded."""

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
_SECONDS = 30  # for one word


def spoken_words(source: str, subjects: ConceptSet) -> dict[str, Waveform]:
    """Every concept, said aloud.

    Args:
        source: "espeak-ng" lets the program of this name speak (English), as it says a phrase with
            its article; anything else is a folder of recordings named after concepts, of which the
            first of each is taken.
        subjects: what is to be said.

    Returns:
        Waveforms by id of the concept; concepts that nobody has recorded are left out.

    Raises:
        InvalidInputError: if the program is not there or fails, or the folder holds no recording
            of a concept.
        AudioReadError: if a recording cannot be read.
    """
    if source == ESPEAK:
        return espeak({subject.id: subject.phrase for subject in subjects.subjects})
    found = clips_by_concept(clips_of(source), subjects).by_concept
    if not found:
        raise InvalidInputError(
            f"{source}: no recording is named after a concept. Name them so (crow.wav), or let "
            f"{ESPEAK!r} speak."
        )
    return {name: read_waveform(clips[0]) for name, clips in found.items()}


def espeak(phrases: Mapping[str, str]) -> dict[str, Waveform]:
    """Phrases spoken by espeak-ng's English voice, 22,050 Hz.

    Raises:
        InvalidInputError: if the program is not there, or fails.
    """
    program = shutil.which(ESPEAK)
    if program is None:
        raise InvalidInputError(
            f"{ESPEAK} is not installed. Install it (Debian: apt install {ESPEAK}), or name a "
            "folder of recorded words."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        return {name: _said(program, phrase, path) for name, phrase in phrases.items()}


def _said(program: str, phrase: str, path: Path) -> Waveform:
    """The phrase goes in as data, so that nothing in it is an option."""
    try:
        subprocess.run(  # noqa: S603 - a fixed command
            [program, "-v", "en", "-w", str(path), "--stdin"],
            input=phrase.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInputError(f"{ESPEAK} cannot say {phrase!r} ({error}).") from error
    return read_waveform(Clip(id=phrase, path=path))
