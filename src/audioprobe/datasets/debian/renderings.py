"""Recordings that are rendered from soundfonts (.sf2) and instrument patches (.pat) of packages.

The soundfont or patch file X is stored unchanged. The folder `X.rendered` beside it contains the
recordings, and `rendering.json` with the versions of the synthesizer and of the pieces.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import rmtree

import numpy as np
import soundfile

from audioprobe.audio.transforms import resample
from audioprobe.datasets.debian.download import fetch_lock
from audioprobe.datasets.debian.fluidsynth import (
    RATE_HZ,
    fluidsynth_version,
    missing_tools,
    render_midi,
)
from audioprobe.datasets.debian.patches import read_patch
from audioprobe.datasets.debian.scores import duration, instruments, midi_file, score
from audioprobe.datasets.debian.tables import DebianPackage, recordings, select_packages
from audioprobe.errors import InvalidInputError, RenderingError, located
from audioprobe.io.atomic import staged_directory
from audioprobe.parsing import parse_json
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import FloatArray, Waveform

VERSION = 1
"""Version of the pieces; greater if the recordings of the same soundfont become different."""

NOT_RENDERED = (
    "was not rendered from its soundfont. Install what is needed (apt install fluidsynth; pip "
    "install 'audioprobe[soundfonts]'), and run the same fetch-sounds again"
)
"""Cause of a missing recording if fluidsynth or mido was not installed during the fetch."""

_SUFFIX = ".rendered"
_RECORD = "rendering.json"
_SOUNDFONT = ".sf2"
_ALL_SAMPLES = "notes"  # name of the recording of all samples of a patch
_MAX_NOTE_S = 1.2  # of a sample among others
_FADE_S = 0.03
_PEAK = 0.5


def rendered_from(file: str) -> str | None:
    """Return the soundfont or patch file of a rendered recording; None for other recordings.

    `file` is the path of a recording in `labels.csv`.
    """
    source, mark, _ = file.partition(f"{_SUFFIX}/")
    return source if mark else None


def rendering_problem(source: Path, name: str) -> str:
    """Return why a rendered recording cannot be used; "" if it can.

    Args:
        source: soundfont or patch file, whose hash is not checked here.
        name: file name of the recording.
    """
    folder = _target(source)
    if not folder.is_dir():
        return NOT_RENDERED
    if _record(folder).get("version") != VERSION or not (folder / name).is_file():
        return "was rendered by another version of audioprobe; run the same fetch-sounds again"
    return ""


def synthesizer(source: Path) -> str:
    """Return name and version of the program that rendered `source`; "" if it was not rendered."""
    return str(_record(_target(source)).get("synthesizer", ""))


def file_digest(path: Path) -> str:
    """Return the SHA-256 hash of a file as hexadecimal digits.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def render_packages(
    folder: str | Path,
    packages: Iterable[str] | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
) -> None:
    """Render the recordings of fetched soundfonts and patches that are not rendered yet.

    Soundfonts are left as they are if fluidsynth or mido is not installed. So are files that
    differ from the labelled version. `DebianSounds.missing` lists their recordings.

    Args:
        folder: folder of the fetched packages.
        packages: names of packages; None means all.
        progress: called after every soundfont or patch with the number of rendered recordings.

    Raises:
        InvalidInputError: for an unknown package, a damaged patch, or if another process uses the
            folder.
        RenderingError: if fluidsynth fails or writes silence. The message names the recording.
    """
    folder = Path(folder).expanduser()
    selected = select_packages(packages)
    with fetch_lock(folder):
        waiting = [item for package in selected for item in _waiting(package, folder)]
        total, done = sum(len(names) for _, names in waiting), 0
        for source, names in waiting:
            _render(source, names)
            done += len(names)
            progress(ProgressEvent(stage="rendered", done=done, total=total))


def _waiting(package: DebianPackage, folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each soundfont or patch of a package that has to be rendered, with the file names."""
    names: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    for recording in recordings():
        source = rendered_from(recording.file)
        if recording.package == package.name and source is not None:
            names.setdefault(source, []).append(Path(recording.file).name)
            digests[source] = recording.sha256
    can_synthesize = not missing_tools()
    for source, files in names.items():
        path = folder / package.name / package.folder / source
        if (
            path.is_file()
            and (can_synthesize or path.suffix != _SOUNDFONT)
            and any(rendering_problem(path, name) for name in files)
            and file_digest(path).startswith(digests[source])
        ):
            yield path, files


def _render(source: Path, names: Iterable[str]) -> None:
    """Create the folder of rendered recordings of a soundfont or patch, or replace it."""
    if source.suffix == _SOUNDFONT:
        program, rendered = f"fluidsynth {fluidsynth_version()}", _soundfont_pieces(source, names)
    else:
        program, rendered = "audioprobe", _patch_pieces(source, names)
    target = _target(source)
    if target.is_dir():
        rmtree(target)
    with staged_directory(target) as folder:
        for name, samples in rendered:
            soundfile.write(folder / name, samples, RATE_HZ, subtype="PCM_16")
        record = {"synthesizer": program, "version": VERSION}
        (folder / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def _soundfont_pieces(source: Path, names: Iterable[str]) -> Iterator[tuple[str, FloatArray]]:
    """Yield file name and samples of pieces; a name is that of an instrument and of a piece."""
    for name in names:
        instrument_name, _, piece = Path(name).stem.rpartition("-")
        instrument = instruments()[instrument_name]
        notes = score(instrument, piece)
        try:
            samples = render_midi(source, midi_file(instrument, notes))
        except RenderingError as error:
            raise RenderingError(f"{source}, {name}: {error}") from error
        yield name, _with_length(samples, round(duration(notes) * RATE_HZ))


def _patch_pieces(source: Path, names: Iterable[str]) -> Iterator[tuple[str, FloatArray]]:
    """Yield file name and samples of pieces: one sample, or all samples one after another.

    The sample in `note-1.flac` has the lowest pitch.
    """
    with located(str(source)):
        samples = [
            _scaled(resample(Waveform(sample.samples, sample.rate), RATE_HZ).samples)
            for sample in read_patch(source.read_bytes())
        ]
    for name in names:
        piece, _, number = Path(name).stem.partition("-")
        if piece == _ALL_SAMPLES:
            longest = round(_MAX_NOTE_S * RATE_HZ)
            notes = [_with_length(note, min(len(note), longest)) for note in samples]
            yield name, np.concatenate(notes)
        else:
            note = samples[int(number) - 1]
            yield name, _with_length(note, len(note))


def _scaled(samples: FloatArray) -> FloatArray:
    """Return samples with a peak of 0.5."""
    peak = float(np.abs(samples).max())
    if not peak > 0:
        raise InvalidInputError("Expected sound in each sample, got silence. Use another patch.")
    scaled: FloatArray = samples * np.float32(_PEAK / peak)
    return scaled


def _with_length(samples: FloatArray, n: int) -> FloatArray:
    """Return samples cut or filled up to `n`, whose last 30 ms fade."""
    fitted: FloatArray = np.pad(samples[:n], (0, max(0, n - len(samples))))
    fade = min(n, round(_FADE_S * RATE_HZ))
    fitted[n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return fitted


def _target(source: Path) -> Path:
    return source.with_name(f"{source.name}{_SUFFIX}")


def _record(folder: Path) -> dict[str, object]:
    """Return the record of a folder of renderings; empty if it is missing or damaged."""
    try:
        record = parse_json((folder / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
