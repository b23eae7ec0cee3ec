"""Pieces that the instruments of soundfonts play, and their MIDI files."""

import hashlib
import io
import sys

import mido
import pytest

from audioprobe.datasets.debian import renderings, tables
from audioprobe.datasets.debian.scores import (
    Instrument,
    Note,
    duration,
    instruments,
    midi_file,
    score,
)
from audioprobe.errors import InvalidInputError, MissingDependencyError

CELLO = Instrument(name="cello", program=42, low=36, high=72, chords=False, keys=(), ring=0.0)
DRUMS = Instrument(name="drums", program=8, low=0, high=0, chords=False, keys=(38, 40), ring=0.5)
ALL_PIECES = [(player, piece) for player in instruments().values() for piece in player.pieces]


def test_midi_file_has_the_bytes_of_the_standard() -> None:
    content = midi_file(CELLO, [Note(60, 0.0, 0.1, 90), Note(62, 0.1, 0.1, 80)])
    header = b"MThd" + bytes.fromhex("00000006 0000 0001 03e8")  # type 0, 1 track, 1000 ticks
    events = bytes.fromhex(
        "00 ff5103 0f4240"  # a beat has 1,000,000 microseconds
        "00 c02a"  # program 42
        "00 903c5a  64 803c00"  # middle C, released after 100 ticks
        "00 903e50  64 803e00"
        "8b5c ff2f00"  # end after 1500 ticks
    )
    assert content == header + b"MTrk" + len(events).to_bytes(4, "big") + events


def test_percussion_is_on_channel_10() -> None:
    content = midi_file(DRUMS, score(DRUMS, "strokes"))
    messages = mido.MidiFile(file=io.BytesIO(content)).tracks[0]
    assert {m.channel for m in messages if not m.is_meta} == {9}
    assert [m.note for m in messages if m.type == "note_on"] == [38, 40, 38, 40]


def test_last_note_fades_for_one_and_a_half_seconds() -> None:
    notes = [Note(60, 0.5, 1.0, 90), Note(62, 0.0, 1.2, 80)]
    assert duration(notes) == 3.0
    assert mido.MidiFile(file=io.BytesIO(midi_file(CELLO, notes))).length == pytest.approx(3.0)


def test_melody_is_in_the_major_scale() -> None:
    keys = [note.key for note in score(CELLO, "slow")]
    assert keys == [47, 49, 51, 54, 52, 51, 47]
    assert [note.onset for note in score(CELLO, "slow")][:3] == pytest.approx([0, 0.8, 1.6])


@pytest.mark.parametrize("name", instruments())
def test_pieces_are_in_the_range_and_have_a_few_seconds(name: str) -> None:
    player = instruments()[name]
    low, high = (min(player.keys), max(player.keys)) if player.keys else (player.low, player.high)
    assert 0 <= player.program <= 127
    for piece in player.pieces:
        notes = score(player, piece)
        assert all(low <= note.key <= high for note in notes), piece
        assert all(1 <= note.velocity <= 127 and note.seconds > 0 for note in notes), piece
        assert list(notes) == sorted(notes, key=lambda note: note.onset)
        assert 1.5 < duration(notes) < 12, piece


def test_unknown_piece_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"cello: .*low, high, slow.* got 'chords'"):
        score(CELLO, "chords")


def test_missing_mido_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(MissingDependencyError, match=r"audioprobe\[soundfonts\]"):
        midi_file(CELLO, score(CELLO, "low"))


def test_every_rendering_in_the_table_can_be_played() -> None:
    played = set()
    for recording in tables.recordings():
        source = renderings.rendered_from(recording.file)
        if source is not None and source.endswith(".sf2"):
            name, _, piece = recording.file.rpartition("/")[2].removesuffix(".flac").rpartition("-")
            assert piece in instruments()[name].pieces, recording.id
            played.add(name)
    assert played == set(instruments())


def test_other_pieces_need_another_version() -> None:
    """If this hash changes, increase `renderings.VERSION`: fetched folders are rendered again."""
    content = b"".join(midi_file(player, score(player, piece)) for player, piece in ALL_PIECES)
    digest = hashlib.sha256(content).hexdigest()[:16]
    assert (renderings.VERSION, digest) == (1, "78de7d3654d9ffdc")
