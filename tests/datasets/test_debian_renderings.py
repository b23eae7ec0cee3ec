"""Recordings that are rendered from soundfonts and patches of packages."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.datasets.debian_packages import COLUMNS, build, clear, needs_dpkg, served
from tests.datasets.soundfonts import (
    install_fluidsynth,
    needs_fluidsynth,
    patch,
    soundfont,
    tone,
)

from audioprobe import DebianSounds
from audioprobe.datasets.debian import (
    NOT_RENDERED,
    fetch_packages,
    fetch_report,
    render_packages,
    tables,
)
from audioprobe.errors import InvalidInputError, RenderingError
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.training_recordings import check_training_recordings

__all__ = ["served"]

SOUNDFONT = soundfont(440, 69)
PATCH = patch((880, tone(880, 0.5)), (220, tone(220, 2.0)))
FILES = {
    "font.sf2.rendered/piano-low.flac": SOUNDFONT,
    "font.sf2.rendered/piano-slow.flac": SOUNDFONT,
    "bell.pat.rendered/notes.flac": PATCH,
    "bell.pat.rendered/note-2.flac": PATCH,
}
PIANO, BELL = list(FILES)[:2], list(FILES)[2:]


@pytest.fixture(autouse=True)
def band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables of one package with a soundfont and a patch."""
    packages, labels = tmp_path / "packages.csv", tmp_path / "labels.csv"
    with packages.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        notice = "usr/share/doc/band/copyright"
        place = ["band", "debian", "1.0", 1000, "usr/share/band", notice]
        writer.writerow([*place, "CC0-1.0", "train", "a test"])
    with labels.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["package", "file", "concepts", "doubtful", "start", "seconds", "sha256", "note"]
        )
        for file, content in FILES.items():
            concept = "piano" if file in PIANO else "bell"
            digest = hashlib.sha256(content).hexdigest()[:16]
            writer.writerow(["band", file, concept, "", 0, 0.5, digest, ""])
    monkeypatch.setattr(tables, "TABLES", (packages, labels))
    clear()
    yield
    clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the package as fetched, before rendering."""
    lay_out(tmp_path / "sounds" / "band")
    return tmp_path / "sounds"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A replacement of fluidsynth that writes 3 s of a tone in stereo."""
    install_fluidsynth(tmp_path / "synthesizer", monkeypatch)
    samples = tone(300, 3.0, 32_000) / 32768
    soundfile.write(
        tmp_path / "synthesizer/audio.wav", np.stack([samples, samples], 1), 32_000, "FLOAT"
    )
    return tmp_path / "synthesizer"


def lay_out(root: Path) -> None:
    (root / "usr/share/band").mkdir(parents=True)
    (root / "usr/share/band/font.sf2").write_bytes(SOUNDFONT)
    (root / "usr/share/band/bell.pat").write_bytes(PATCH)


def audio(folder: Path, file: str) -> np.ndarray:
    samples, rate = soundfile.read(folder / "band/usr/share/band" / file)
    assert rate == 32_000
    return np.asarray(samples)


def pitch(samples: np.ndarray) -> float:
    """Return the frequency in hertz of the highest peak of the spectrum."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * 32_000 / len(samples))


@needs_fluidsynth
def test_soundfont_is_rendered_at_the_pitch_of_the_piece(folder: Path) -> None:
    render_packages(folder)
    low = audio(folder, PIANO[0])  # 2 s of key 31, 49 Hz, and 1.5 s in which it fades
    assert len(low) == 3.5 * 32_000
    assert pitch(low[:32_000]) == pytest.approx(49, abs=1)
    assert np.abs(low).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(low[-100:]).max() < 0.01
    slow = audio(folder, PIANO[1])  # begins with key 55, 196 Hz
    assert pitch(slow[:24_000]) == pytest.approx(196, abs=2)
    assert not DebianSounds(folder).missing


def test_patch_is_rendered_note_by_note(folder: Path, program: Path) -> None:
    render_packages(folder)
    notes, high = audio(folder, BELL[0]), audio(folder, BELL[1])
    assert len(notes) == (1.2 + 0.5) * 32_000, "a note among others has at most 1.2 s"
    assert pitch(notes[:38_400]) == pytest.approx(220, abs=1)
    assert pitch(notes[38_400:]) == pytest.approx(880, abs=2)
    assert len(high) == 0.5 * 32_000
    assert pitch(high) == pytest.approx(880, abs=2)


def test_clips_name_their_synthesizer(folder: Path, program: Path) -> None:
    events: list[ProgressEvent] = []
    render_packages(folder, progress=events.append)
    sounds = DebianSounds(folder)
    assert [clip.id for clip in sounds.clips("train")] == [f"band/{file}" for file in FILES]
    assert sounds.info.options["synthesizers"] == ("audioprobe", "fluidsynth 9.8.7")
    assert [(event.done, event.total) for event in events] == [(2, 4), (4, 4)]
    states = fetch_report(folder, {"band": "present"})
    assert states[1], "all recordings are available"


def test_without_fluidsynth_patches_are_rendered_and_the_cause_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    render_packages(folder)
    sounds = DebianSounds(folder)
    assert sounds.missing == {f"band/{file}": NOT_RENDERED for file in PIANO}
    assert "apt install fluidsynth" in NOT_RENDERED
    assert "synthesizers" in sounds.info.options
    text, complete = fetch_report(folder, {"band": "fetched"})
    assert not complete
    assert f"missing  band: each of 2 {NOT_RENDERED}" in text.splitlines()
    assert text.count(NOT_RENDERED) == 1, "one line per package"


def test_training_continues_without_renderings_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    render_packages(folder)
    with pytest.warns(UserWarning, match=r"training continues without 2 recordings.*piano-low"):
        check_training_recordings(DebianSounds(folder), "train")
    (folder / "band/usr/share/band/bell.pat").unlink()
    with (
        pytest.warns(UserWarning, match="without 2 recordings"),
        pytest.raises(InvalidInputError, match=r"2 training recordings are missing.*no such file"),
    ):
        check_training_recordings(DebianSounds(folder), "train")


def test_second_run_renders_what_is_left(
    folder: Path, program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        render_packages(folder)
    bell = folder / "band/usr/share/band" / BELL[0]
    before = bell.stat().st_mtime_ns
    render_packages(folder)
    assert not DebianSounds(folder).missing
    assert bell.stat().st_mtime_ns == before


def test_renderings_of_another_version_are_replaced(folder: Path, program: Path) -> None:
    render_packages(folder)
    record = folder / "band/usr/share/band/font.sf2.rendered/rendering.json"
    record.write_text(json.dumps({"synthesizer": "fluidsynth 1.0", "version": 0}))
    (folder / "band/usr/share/band" / BELL[0]).unlink()
    missing = DebianSounds(folder).missing
    assert len(missing) == 3
    assert all("another version of audioprobe" in cause for cause in missing.values())
    render_packages(folder)
    assert not DebianSounds(folder).missing


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"version": "1"}'])
def test_damaged_record_counts_as_another_version(
    folder: Path, program: Path, damaged: str
) -> None:
    render_packages(folder)
    (folder / "band/usr/share/band/font.sf2.rendered/rendering.json").write_text(damaged)
    assert len(DebianSounds(folder).missing) == 2


def test_changed_and_missing_soundfonts_are_not_rendered(folder: Path, program: Path) -> None:
    (folder / "band/usr/share/band/font.sf2").write_bytes(b"another")
    (folder / "band/usr/share/band/bell.pat").unlink()
    render_packages(folder)
    missing = DebianSounds(folder, doubtful=True).missing
    assert len(missing) == 4
    assert all("differs from the file that was labelled" in missing[f"band/{f}"] for f in PIANO)
    assert all(missing[f"band/{file}"] == "the package has no such file" for file in BELL)
    assert not list(folder.rglob("*.rendered"))


def test_failure_of_fluidsynth_is_reported(folder: Path, program: Path) -> None:
    (program / "trouble").touch()
    with pytest.raises(RenderingError, match=r"piano-low\.flac: .*exit status 3: .*no such preset"):
        render_packages(folder)
    assert not list(folder.rglob("font.sf2.*"))


def test_silence_is_reported(folder: Path, program: Path) -> None:
    soundfile.write(program / "audio.wav", np.zeros((3200, 2)), 32_000, "FLOAT")
    with pytest.raises(RenderingError, match=r"piano-low\.flac: .*a peak of 0 at 32000 Hz"):
        render_packages(folder)
    (program / "audio.wav").unlink()
    with pytest.raises(RenderingError, match=r"piano-low\.flac: fluidsynth wrote no audio"):
        render_packages(folder)


@needs_dpkg
def test_fetch_stores_soundfonts_for_rendering(tmp_path: Path, served: Path, program: Path) -> None:
    lay_out(tmp_path / "source")
    (tmp_path / "source/usr/share/band/other.sf2").write_bytes(SOUNDFONT)
    build(tmp_path / "source", "band", served / "band.deb")
    out = tmp_path / "out"
    assert fetch_packages(out) == {"band": "fetched"}
    assert not (out / "band/usr/share/band/other.sf2").exists()
    assert set(DebianSounds(out).missing.values()) == {NOT_RENDERED}
    render_packages(out)
    assert not DebianSounds(out).missing


def test_unknown_package_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "band")
    render_packages(folder)
    with pytest.raises(InvalidInputError, match="got orchestra"):
        render_packages(folder, ["orchestra"])
