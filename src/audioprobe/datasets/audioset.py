"""Data set AudioSet (Gemmeke et al. 2017): published lists of segments, and local audio files."""

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audioprobe.audio.files import OTHER_SUFFIXES, find_sounds
from audioprobe.concepts.ontology import Ontology
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import read_rows
from audioprobe.types import Clip

_CLASS_COLUMNS = ("index", "mid", "display_name")
_SEGMENTS = "_segments.csv"
_COMMENTS = ("# ", "#\t")
_VIDEO = re.compile(r"[\w-]+", re.ASCII)
_TIMES = re.compile(r"(?:[-_. ](\d+(?:\.\d+)?)(?:[-_ ]+(\d+(?:\.\d+)?))?)?")
_TIME_TOLERANCE_S = 0.0005


class AudioSetSegment(NamedTuple):
    """A segment of a video: video id, start and end in seconds, and the ids of its classes."""

    video: str
    start: float
    end: float
    labels: tuple[str, ...]


class AudioSet(InMemoryDataset):
    """AudioSet: segments of 10 s with 527 classes; each segment file is a split.

    Audio files are searched in `folder` and its subfolders by the id of their video: `ID.wav` or
    `YID.wav`. The name may also contain the start, or start and end, in seconds or milliseconds:
    `ID_30.wav`, `YID_30.000_40.000.wav`, `ID_000030.wav`, `ID_30-40.wav`, `ID_30000.wav`. A file
    without a start in its name is used only if its video has a single segment. Segments without an
    audio file are listed in `missing`, because many videos are no longer available.

    The published labels are incomplete and do not include parent classes. If a clip does not have a
    label, the sound may still be present.

    Args:
        folder: folder of the audio files.
        segments: paths of the published files `NAME_segments.csv`; NAME is the name of the split.
        classes: path of the published file `class_labels_indices.csv`.
        ontology: path of the published file `ontology.json`; required if `propagate` is True.
        propagate: whether clips also get the ancestors of their labels that are among the classes.

    Raises:
        InvalidInputError: if a file is missing or does not have the published format (spreadsheet
            programs damage the files), or if a label is not a class.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        segments: Sequence[str | Path],
        classes: str | Path,
        ontology: str | Path | None = None,
        propagate: bool = False,
    ) -> None:
        if propagate and ontology is None:
            raise InvalidInputError(
                "propagate=True needs the ontology, got None. Pass ontology='.../ontology.json'."
            )
        if not segments or isinstance(segments, str):
            raise InvalidInputError(
                f"Expected a list of segment files, got {segments!r}. Pass, for example, "
                'segments=["eval_segments.csv"].'
            )
        self.folder = Path(folder).expanduser()
        names = {row["mid"]: row["display_name"] for row in read_rows(classes, _CLASS_COLUMNS)}
        ancestors: dict[str, set[str]] = {}
        if ontology and propagate:
            graph = Ontology.from_json(ontology)
            ancestors = {mid: set(graph.ancestors(mid)) for mid in names}
        listed = {p.name.removesuffix(_SEGMENTS): read_segments(p) for p in map(Path, segments)}
        files = _AudioFiles(self.folder, {s[:3] for items in listed.values() for s in items})
        clips = {
            split: [_clip(segment, names, ancestors, files) for segment in items]
            for split, items in listed.items()
        }
        super().__init__("AudioSet", clips, tuple(names.values()), options={"propagate": propagate})


def read_segments(path: str | Path) -> list[AudioSetSegment]:
    """Read the segments in a published file `NAME_segments.csv`.

    Raises:
        InvalidInputError: if the file cannot be read, a line does not have the published format, or
            a segment occurs twice. The message names the line.
    """
    file = Path(path).expanduser()
    lines: dict[tuple[str, float], int] = {}
    segments = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for number, cells in enumerate(csv.reader(stream, skipinitialspace=True), 1):
                if not any(cells) or cells[0].startswith(_COMMENTS):
                    continue
                place = f"{file}, line {number}"
                segment = _parsed_segment(cells, place)
                first = lines.setdefault((segment.video, segment.start), number)
                if first != number:
                    raise InvalidInputError(
                        f"{place}: expected each segment once, got the segment of line {first} "
                        "again. Use the published file."
                    )
                segments.append(segment)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{file}: cannot be read as a segment file ({error}).") from error
    return segments


def _parsed_segment(cells: list[str], place: str) -> AudioSetSegment:
    """Return the segment in a line of a segment file; raise if the line is malformed."""
    error = InvalidInputError(
        f"{place}: expected an id, start, end and labels as AudioSet publishes them, got "
        f"{','.join(cells)!r:.80}. Use the published file: spreadsheet programs damage it."
    )
    try:
        video, start, end, labels = (cell.strip() for cell in cells)
        segment = AudioSetSegment(video, float(start), float(end), tuple(labels.split(",")))
    except ValueError:
        raise error from None
    if not all(mid.startswith(("/m/", "/t/", "/g/")) for mid in segment.labels):
        raise error
    # Spreadsheet programs replace ids that begin with "-" or "=" by "#NAME?", and some by numbers.
    if not _VIDEO.fullmatch(video) or not 0 <= segment.start < segment.end < math.inf:
        raise error
    return segment


def _clip(
    segment: AudioSetSegment,
    names: Mapping[str, str],
    ancestors: Mapping[str, set[str]],
    files: "_AudioFiles",
) -> Clip:
    unknown = [mid for mid in segment.labels if mid not in names]
    if unknown:
        raise InvalidInputError(
            f"AudioSet: {segment.video} has the label {unknown[0]!r}, which is not a class. Use "
            "the published files of the same version."
        )
    labels = set(segment.labels).union(*(ancestors.get(mid, ()) for mid in segment.labels))
    return Clip(
        id=f"{segment.video}_{_seconds(segment.start)}",
        path=files.path_of(segment),
        labels=tuple(name for mid, name in names.items() if mid in labels),
        group=segment.video,
    )


class _AudioFiles:
    """Index of the audio files in a folder, keyed by the video ids in their names.

    `segments` contains (video id, start, end) of each segment in the data set.
    """

    def __init__(self, folder: Path, segments: set[tuple[str, float, float]]) -> None:
        if not folder.is_dir():
            raise InvalidInputError(f"{folder}: expected a folder of audio files, got no folder.")
        self._folder = folder
        self._n_segments = Counter(video for video, _, _ in segments)
        self._id_lengths = sorted({len(video) for video in self._n_segments})
        self._files: dict[str, list[tuple[Path, tuple[float, ...]]]] = {}
        readable_first = sorted(
            find_sounds(folder), key=lambda path: path.suffix.lower() in OTHER_SUFFIXES
        )
        for path in readable_first:
            for video, times in self._parsed_names(path.stem):
                self._files.setdefault(video, []).append((path, times))

    def path_of(self, segment: AudioSetSegment) -> Path:
        """Return the path of a segment's audio file; without a file, the path it should have."""
        is_only_segment = self._n_segments[segment.video] == 1
        files = self._files.get(segment.video, ())
        for path, times in sorted(files, key=lambda file: -len(file[1])):
            if _are_times_of(times, segment) if times else is_only_segment:
                return path
        start = "" if is_only_segment else f"_{_seconds(segment.start)}"
        return self._folder / f"{segment.video}{start}.wav"

    def _parsed_names(self, stem: str) -> list[tuple[str, tuple[float, ...]]]:
        """Return each known video id with which a file name begins, and the times after the id.

        There may be several ids, because ids differ in length and a leading "Y" may be a prefix.
        """
        parsed = []
        for name in (stem, stem[1:]) if stem[:1] == "Y" else (stem,):
            for length in self._id_lengths:
                times = _TIMES.fullmatch(name, length)
                if name[:length] in self._n_segments and times:
                    parsed.append((name[:length], tuple(float(t) for t in times.groups() if t)))
        return parsed


def _are_times_of(times: tuple[float, ...], segment: AudioSetSegment) -> bool:
    """Return whether times from a file name equal the start, or start and end, of a segment.

    The times are in seconds or in milliseconds.
    """
    expected = (segment.start, segment.end)[: len(times)]
    return any(
        all(abs(t / unit - s) < _TIME_TOLERANCE_S for t, s in zip(times, expected, strict=True))
        for unit in (1, 1000)
    )


def _seconds(seconds: float) -> str:
    """Format seconds with up to six decimals, without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
