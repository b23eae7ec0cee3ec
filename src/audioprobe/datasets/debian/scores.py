"""Short musical phrases as MIDI files, to be played by the instruments of a soundfont.

`instruments.csv` lists the instruments: their program in General MIDI (for percussion, of the drum
kit) and their range or their keys. All instruments play the same phrases, so that a melody says
nothing about the instrument.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.io.tables import read_rows

INSTRUMENTS = Path(__file__).parent / "instruments.csv"

_TICKS = 1000  # MIDI ticks per second
_PERCUSSION_CHANNEL = 9
_MAJOR = (0, 2, 4, 5, 7, 9, 11)  # semitones of the major scale
_TAIL_S = 1.5  # silence after the last note, in which it fades
_SPAN = 14  # semitones from the lowest to the highest note of a phrase


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a score.

    Attributes:
        key: MIDI key; 60 is middle C, and percussion has one instrument per key.
        onset: time in seconds.
        seconds: duration until the key is released.
        velocity: MIDI velocity, 1 to 127.
    """

    key: int
    onset: float
    seconds: float
    velocity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """An instrument of General MIDI.

    Attributes:
        name: name, the first part of the names of its pieces.
        program: number of the program, 0 to 127; for percussion, that of the drum kit.
        low: lowest MIDI key of its range; 0 for percussion.
        high: highest MIDI key of its range; 0 for percussion.
        chords: whether it plays chords.
        keys: MIDI keys of percussion; empty for other instruments.
        ring: time in seconds between two strokes of percussion; 0 for other instruments.
    """

    name: str
    program: int
    low: int
    high: int
    chords: bool
    keys: tuple[int, ...]
    ring: float

    @property
    def pieces(self) -> tuple[str, ...]:
        """Names of the pieces that it plays."""
        if self.keys:
            return ("strokes", "pattern")
        return ("low", "high", "slow", "fast", "leaps", *(("chords",) if self.chords else ()))


@cache
def instruments() -> dict[str, Instrument]:
    """Return all instruments by name, in the order of `instruments.csv`."""
    return {
        row["instrument"]: Instrument(
            name=row["instrument"],
            program=int(row["program"]),
            low=int(row["low"] or 0),
            high=int(row["high"] or 0),
            chords=row["chords"] == "yes",
            keys=tuple(int(key) for key in row["keys"].split()),
            ring=float(row["ring"] or 0),
        )
        for row in read_rows(INSTRUMENTS)
    }


def score(instrument: Instrument, piece: str) -> tuple[Note, ...]:
    """Return the notes of a piece, in the order of their onsets.

    Raises:
        InvalidInputError: if the instrument has no such piece.
    """
    if piece not in instrument.pieces:
        raise InvalidInputError(
            f"{instrument.name}: expected one of the pieces {', '.join(instrument.pieces)}, got "
            f"{piece!r}."
        )
    return tuple(sorted(_PIECES[piece](instrument), key=lambda note: (note.onset, note.key)))


def duration(notes: Iterable[Note]) -> float:
    """Return the duration of a score in seconds, with 1.5 s in which the last note fades."""
    return max(note.onset + note.seconds for note in notes) + _TAIL_S


def midi_file(instrument: Instrument, notes: Sequence[Note]) -> bytes:
    """Return a standard MIDI file (type 0) of the notes, one tick per millisecond.

    Raises:
        MissingDependencyError: if mido is not installed (extra `soundfonts`).
    """
    mido: Any = optional_import("mido", "soundfonts")
    channel = _PERCUSSION_CHANNEL if instrument.keys else 0
    events = [
        event
        for note in notes
        for event in (
            (_ticks(note.onset), True, note.key, note.velocity),
            (_ticks(note.onset + note.seconds), False, note.key, 0),
        )
    ]
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000))  # microseconds per beat
    track.append(mido.Message("program_change", channel=channel, program=instrument.program))
    now = 0
    for tick, pressed, key, velocity in sorted(events):  # a key is released before it is pressed
        name = "note_on" if pressed else "note_off"
        track.append(
            mido.Message(name, channel=channel, note=key, velocity=velocity, time=tick - now)
        )
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=_ticks(duration(notes)) - now))
    content = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=_TICKS, tracks=[track]).save(file=content)
    return content.getvalue()


def _ticks(seconds: float) -> int:
    return round(seconds * _TICKS)


def _melody(
    tonic: int, degrees: Sequence[int], seconds: Sequence[float], velocities: Sequence[int]
) -> list[Note]:
    """Return notes of the major scale, one after another; the velocities are repeated."""
    notes, onset = [], 0.0
    for number, (degree, length) in enumerate(zip(degrees, seconds, strict=True)):
        key = tonic + 12 * (degree // 7) + _MAJOR[degree % 7]
        notes.append(Note(key, onset, 0.95 * length, velocities[number % len(velocities)]))
        onset += length
    return notes


def _tonic(instrument: Instrument, place: float) -> int:
    """Return a tonic for a phrase; 0 puts the phrase lowest in the range, 1 highest."""
    return round(instrument.low + place * (instrument.high - instrument.low - _SPAN))


def _low(instrument: Instrument) -> list[Note]:
    return [Note(instrument.low + 3, 0.0, 2.0, 90)]


def _high(instrument: Instrument) -> list[Note]:
    return [Note(instrument.high - 4, 0.0, 1.6, 80)]


def _slow(instrument: Instrument) -> list[Note]:
    degrees, seconds = (0, 1, 2, 4, 3, 2, 0), (0.8, 0.8, 0.8, 1.2, 0.6, 0.6, 1.2)
    return _melody(_tonic(instrument, 0.5), degrees, seconds, (80, 88, 96, 104, 96, 88, 76))


def _fast(instrument: Instrument) -> list[Note]:
    degrees = (0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1, 0, 2, 4, 7, 4, 2, 0)
    return _melody(_tonic(instrument, 0.2), degrees, (*[0.17] * 20, 0.8), (100, 84, 92, 84))


def _leaps(instrument: Instrument) -> list[Note]:
    degrees = (7, 4, 0, 2, 8, 7, 4, 5, 0)
    seconds = (0.5, 0.25, 0.25, 0.75, 0.5, 0.5, 0.25, 0.25, 1.0)
    return _melody(_tonic(instrument, 0.85), degrees, seconds, (110, 70, 85, 60, 115))


def _chords(instrument: Instrument) -> list[Note]:
    tonic, notes = _tonic(instrument, 0.35), []
    for number, chord in enumerate(((0, 4, 7, 12), (0, 5, 9, 12), (2, 5, 7, 11))):
        notes += [Note(tonic + key, 0.9 * number, 0.85, 88) for key in chord]
    for number, key in enumerate((0, 4, 7, 12)):  # the last chord is broken
        notes.append(Note(tonic + key, 2.7 + 0.15 * number, 1.8 - 0.15 * number, 92))
    return notes


def _strokes(instrument: Instrument) -> list[Note]:
    keys = instrument.keys
    strokes = [(key, velocity) for velocity in (110, 70) for key in keys]
    return [
        Note(key, number * instrument.ring, instrument.ring, velocity)
        for number, (key, velocity) in enumerate(strokes)
    ]


def _pattern(instrument: Instrument) -> list[Note]:
    unit = min(max(instrument.ring / 4, 0.1), 0.3)
    times = (0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 16)  # in sixteenths
    return [
        Note(
            instrument.keys[number % len(instrument.keys)],
            unit * time,
            min(instrument.ring, 2 * unit),
            112 if time % 4 == 0 else 78,
        )
        for number, time in enumerate(times)
    ]


_PIECES: dict[str, Callable[[Instrument], list[Note]]] = {
    "low": _low,
    "high": _high,
    "slow": _slow,
    "fast": _fast,
    "leaps": _leaps,
    "chords": _chords,
    "strokes": _strokes,
    "pattern": _pattern,
}
