"""Near copies: changed copies of real recordings are found, other recordings are not."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.changed_audio import Samples, encoded, resampled

from audioprobe.audio.windowing import read_waveform
from audioprobe.cli.copies import check_copies
from audioprobe.datasets import (
    InMemoryDataset,
    NearCopies,
    Recordings,
    near_copies,
    near_copies_between_splits,
)
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, Waveform

Change = Callable[[Samples, int], tuple[Samples, int]]

RECORDINGS = Recordings().clips()
LONG = ("3d-printer.ogg", "choir.flac", "crow.flac", "door.flac", "guitar-slide.flac", "piano.flac")
"""Recordings that continue after their loudest part."""


def noisy(samples: Samples, rate: int) -> tuple[Samples, int]:
    noise = np.random.default_rng(0).normal(size=samples.size)
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-30 / 20)
    return (samples + level * noise).astype(np.float32), rate


def padded(samples: Samples, rate: int) -> tuple[Samples, int]:
    return np.pad(samples, (rate // 4, rate // 3)), rate


def trimmed(samples: Samples, rate: int) -> tuple[Samples, int]:
    return samples[: round(0.7 * samples.size)], rate


def faded(samples: Samples, rate: int) -> tuple[Samples, int]:
    return (samples * np.linspace(1, 0, samples.size)).astype(np.float32), rate


def degraded(samples: Samples, rate: int) -> tuple[Samples, int]:
    """Return a copy with several changes."""
    return encoded(*noisy(*resampled(*padded(-0.2 * samples, rate), 22_050)), "OGG", "VORBIS")


def sound(name: str, samples: np.ndarray, rate: int = 16_000) -> Clip:
    return Clip(id=name, waveform=Waveform(samples.astype(np.float32), rate))


def copied(clip: Clip, change: Change) -> Clip:
    waveform = read_waveform(clip)
    samples, rate = change(np.array(waveform.samples), waveform.sample_rate)
    return Clip(id=f"copy of {clip.id}", waveform=Waveform(samples, rate))


def searched(originals: list[Clip], change: Change) -> NearCopies:
    copies = [copied(clip, change) for clip in originals]
    parts = {c.id: "original" for c in originals} | {c.id: "copy" for c in copies}
    return near_copies([*originals, *copies], parts=parts)


def delays(result: NearCopies) -> dict[str, float]:
    """Return by how many seconds each copy begins later, by the id of the original."""
    forward = {p.first: p.offset for p in result.pairs if p.second.startswith("copy")}
    return forward | {p.second: -p.offset for p in result.pairs if p.first.startswith("copy")}


CHANGES: dict[str, tuple[Change, float]] = {
    "level": (lambda samples, rate: (0.05 * samples, rate), 0.0),
    "8 kHz": (lambda samples, rate: resampled(samples, rate, 8000), 0.0),
    "48 kHz": (lambda samples, rate: resampled(samples, rate, 48_000), 0.0),
    "Ogg": (lambda samples, rate: encoded(samples, rate, "OGG", "VORBIS"), 0.0),
    "MP3": (lambda samples, rate: encoded(samples, rate, "MP3", "MPEG_LAYER_III"), 0.0),
    "padding": (padded, 0.25),
    "noise": (noisy, 0.0),
    "end": (trimmed, 0.0),
    "fade": (faded, 0.0),
    "all": (degraded, 0.25),
}
"""Changes, each with the time in seconds by which the copy begins later."""


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_of_recordings_are_the_only_pairs(name: str) -> None:
    change, delay = CHANGES[name]
    result = searched(list(RECORDINGS), change)
    assert not result.not_compared
    pairs = {(pair.first, pair.second) for pair in result.pairs}
    assert pairs == {tuple(sorted((c.id, f"copy of {c.id}"))) for c in RECORDINGS}
    assert delays(result) == {clip.id: pytest.approx(delay, abs=0.003) for clip in RECORDINGS}
    assert all(0.5 <= pair.similarity <= 1 for pair in result.pairs)


def test_copy_without_the_start_has_a_negative_delay() -> None:
    originals = [clip for clip in RECORDINGS if clip.id in LONG]
    result = searched(originals, lambda samples, rate: (samples[rate // 20 :], rate))
    assert delays(result) == {clip_id: pytest.approx(-0.05, abs=0.001) for clip_id in LONG}


def test_different_recordings_of_one_source_are_not_copies() -> None:
    assert near_copies(RECORDINGS).pairs == ()
    sources = [clip.labels for clip in RECORDINGS]
    assert len(set(sources)) < len(sources), "several recordings have the same source"


def test_two_halves_of_one_recording_are_not_copies() -> None:
    (printer,) = (clip for clip in RECORDINGS if clip.id == "3d-printer.ogg")
    waveform = read_waveform(printer)
    middle = waveform.samples.size // 2
    first = sound("first", waveform.samples[:middle], waveform.sample_rate)
    second = sound("second", waveform.samples[middle:], waveform.sample_rate)
    assert near_copies([first, second]).pairs == ()


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(-60, 0), delay=st.floats(0, 1), name=st.sampled_from(LONG))
def test_gain_and_delay_do_not_matter(gain: float, delay: float, name: str) -> None:
    (original,) = (clip for clip in RECORDINGS if clip.id == name)

    def change(samples: Samples, rate: int) -> tuple[Samples, int]:
        return np.pad(samples * np.float32(10 ** (gain / 20)), (round(delay * rate), 0)), rate

    result = searched([original], change)
    assert delays(result) == {name: pytest.approx(delay, abs=0.001)}
    assert result.pairs[0].similarity > 0.9


def test_order_does_not_change_the_result() -> None:
    clips = [*RECORDINGS[:8], *(copied(clip, degraded) for clip in RECORDINGS[:8])]
    result = near_copies(clips)
    assert len(result.pairs) == 8
    assert near_copies(reversed(clips)) == result


def test_silence_and_short_sounds_are_reported_and_clicks_give_no_pair() -> None:
    rng = np.random.default_rng(1)
    click = np.zeros(16_000)
    click[8000] = 1.0
    clips = [
        sound("click 1", click),
        sound("click 2", np.roll(click, 700)),
        sound("constant 1", np.full(16_000, 0.5)),
        sound("constant 2", np.full(9000, 0.1)),
        sound("noise 1", rng.normal(size=16_000)),
        sound("noise 2", rng.normal(size=16_000)),
        sound("sample", np.ones(1)),
        sound("short 1", rng.normal(size=1500)),
        sound("silence 1", np.zeros(16_000)),
        sound("silence 2", np.zeros(16_000)),
    ]
    result = near_copies(clips)
    assert result.pairs == ()
    assert result.not_compared == {
        "sample": "Expected at least 0.1 s of audio, got 0.0001 s.",
        "short 1": "Expected at least 0.1 s of audio, got 0.0938 s.",
        "silence 1": "Expected sound, got silence.",
        "silence 2": "Expected sound, got silence.",
    }
    assert near_copies([]) == NearCopies((), {})
    assert near_copies(clips[:1]).pairs == ()


def test_unreadable_clips_are_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    clips = [Clip(id="empty", path=tmp_path / "empty.wav"), RECORDINGS[0]]
    result = near_copies(clips)
    assert list(result.not_compared) == ["empty"]
    assert "empty.wav" in result.not_compared["empty"]


def test_copies_within_a_split_are_not_leaks() -> None:
    crow, piano = (c for c in RECORDINGS if c.id in ("crow.flac", "piano.flac"))
    clips = {"train": [crow, copied(crow, noisy), piano], "test": [copied(piano, padded)]}
    dataset = InMemoryDataset("mine", clips, Recordings().labels)
    (pair,) = near_copies_between_splits(dataset).pairs
    assert (pair.first, pair.second) == ("copy of piano.flac", "piano.flac")
    assert pair.offset == pytest.approx(-0.25, abs=0.001)
    assert near_copies_between_splits(dataset, ["train"]).pairs == ()


def test_invalid_arguments_are_refused() -> None:
    crow = RECORDINGS[0]
    with pytest.raises(InvalidInputError, match=r"occurs several times\. Pass each clip once"):
        near_copies([crow, crow])
    with pytest.raises(InvalidInputError, match=r"has none\. Add it to `parts`"):
        near_copies([crow], parts={})
    for threshold in (0.0, 1.5, float("nan")):
        with pytest.raises(InvalidInputError, match="greater than 0 and at most 1"):
            near_copies([crow], threshold=threshold)


@pytest.fixture
def games(tmp_path: Path) -> Path:
    """Return a folder with two subfolders; each contains the crow."""
    for game, names in (("one", ("crow", "piano")), ("two", ("crow", "door"))):
        (tmp_path / "games" / game).mkdir(parents=True)
        for name in names:
            waveform = read_waveform(next(c for c in RECORDINGS if c.id == f"{name}.flac"))
            change = degraded if game == "two" else padded
            samples, rate = change(np.array(waveform.samples), waveform.sample_rate)
            soundfile.write(tmp_path / "games" / game / f"{name}.wav", samples, rate)
    return tmp_path / "games"


def test_command_lists_copies_between_folders(
    games: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_copies(str(games)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert ["one", "two", "1"] in [line.split() for line in lines]
    assert lines[-1] == "near copies: 1 between two groups, 0 within one; 4 of 4 clips compared"
    assert check_copies(str(games), json=True) == 1
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["first_part"], pair["second_part"]) == ("one", "two")
    assert (pair["first"], pair["second"]) == ("one/crow.wav", "two/crow.wav")
    assert pair["offset"] == pytest.approx(0, abs=0.001)


def test_command_reads_splits_of_a_table(games: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = games / "clips.csv"
    rows = ["path,split", "one/crow.wav,train", "two/crow.wav,train", "two/door.wav,test"]
    table.write_text("\n".join(rows) + "\n")
    assert check_copies(str(table)) == 0, "the copies are in one split"
    assert check_copies(str(table), within=True) == 0
    assert "0 between two splits, 1 within one; 3 of 3" in capsys.readouterr().out
    table.write_text("\n".join(rows).replace("one/crow.wav,train", "one/crow.wav,test") + "\n")
    assert check_copies(str(table)) == 1
    assert "1 between two splits, 0 within one" in capsys.readouterr().out


def test_command_compares_all_clips_of_one_group(
    games: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (games / "two" / "copy.wav").write_bytes((games / "two" / "crow.wav").read_bytes())
    assert check_copies(str(games / "two")) == 1
    assert "0 between two groups, 1 within one; 3 of 3" in capsys.readouterr().out
    with pytest.raises(InvalidInputError):
        check_copies(str(games / "two"), by="split")
