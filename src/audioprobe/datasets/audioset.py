"""AudioSet (Gemmeke et al. 2017): the published segments, and what sounds one still has."""

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audioprobe.audio.search import OTHER_SUFFIXES, find_sounds
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
_SAME_TIME_S = 0.0005


class AudioSet(InMemoryDataset):
    """Segments of 10 s with labels of 527 classes; a split for each file of segments.

    Clips are files of their own, anywhere below `folder`, named by the id of their video: `ID.wav`,
    `YID.wav`, or either with a start, or a start and an end: `ID_30.wav`, `YID_30.000_40.000.wav`,
    `ID_000030.wav`, `ID_30-40.wav`, `ID_30000.wav`. The numbers count as seconds, or as
    milliseconds. A file without a start is taken for a segment only if its video has no other.
    Videos vanish: a segment without a file is in `missing`. Labels are not propagated to their
    parents as published, and far from every sound in a clip is labelled: a negative is uncertain.

    Args:
        folder: of the sound files.
        segments: files `NAME_segments.csv` as published; the split is NAME.
        classes: `class_labels_indices.csv` as published.
        ontology: `ontology.json` as published; wanted by `propagate`.
        propagate: label a clip with every class above its own, too.

    Raises:
        InvalidInputError: if a file is not there or is another one (a copy that went through a
            spreadsheet is refused), or a label is no class.
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
            raise InvalidInputError("To propagate labels, give the path of ontology.json.")
        if not segments or isinstance(segments, str):
            raise InvalidInputError(
                "AudioSet needs a list of files of segments, such as eval_segments.csv."
            )
        self.folder = Path(folder).expanduser()
        names = {row["mid"]: row["display_name"] for row in read_rows(classes, _CLASS_COLUMNS)}
        above = _above(Ontology.from_json(ontology), names) if ontology and propagate else {}
        listed = {p.name.removesuffix(_SEGMENTS): read_segments(p) for p in map(Path, segments)}
        files = _Files(self.folder, {s[:3] for items in listed.values() for s in items})
        clips = {
            split: [_clip(segment, names, above, files) for segment in items]
            for split, items in listed.items()
        }
        super().__init__("AudioSet", clips, tuple(names.values()), options={"propagate": propagate})


def read_segments(path: str | Path) -> list[tuple[str, float, float, tuple[str, ...]]]:
    """Id of the video, start and end in seconds, and ids of the labels, of every segment.

    Raises:
        InvalidInputError: if it cannot be read, a line is not as published, or a segment is there
            twice; names the line.
    """
    file = Path(path).expanduser()
    lines: dict[tuple[str, float], int] = {}
    segments = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for number, cells in enumerate(csv.reader(stream, skipinitialspace=True), 1):
                if not any(cells) or cells[0].startswith(_COMMENTS):
                    continue
                where = f"{file}, line {number}"
                segment = _segment(cells, where)
                first = lines.setdefault(segment[:2], number)
                if first != number:
                    raise InvalidInputError(f"{where}: the same segment as in line {first}.")
                segments.append(segment)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{file}: cannot be read as segments ({error}).") from error
    return segments


def _segment(cells: list[str], where: str) -> tuple[str, float, float, tuple[str, ...]]:
    refusal = InvalidInputError(
        f"{where}: expected an id, start, end and labels as AudioSet publishes them, got "
        f"{','.join(cells)!r:.80}. A copy that a spreadsheet has saved is no longer so."
    )
    try:
        video, start, end, labels = (cell.strip() for cell in cells)
        mids, seconds = tuple(labels.split(",")), (float(start), float(end))
    except ValueError:
        raise refusal from None
    if not all(mid.startswith(("/m/", "/t/", "/g/")) for mid in mids):
        raise refusal
    # A spreadsheet shows ids that begin with "-" or "=" as "#NAME?", and others as numbers.
    if not _VIDEO.fullmatch(video) or not 0 <= seconds[0] < seconds[1] < math.inf:
        raise refusal
    return video, *seconds, mids


def _clip(
    segment: tuple[str, float, float, tuple[str, ...]],
    names: Mapping[str, str],
    above: Mapping[str, frozenset[str]],
    files: "_Files",
) -> Clip:
    video, start, end, mids = segment
    unknown = [mid for mid in mids if mid not in names]
    if unknown:
        raise InvalidInputError(f"AudioSet: {video} has the label {unknown[0]!r}, no class.")
    labelled = {*mids, *(higher for mid in mids for higher in above.get(mid, ()))}
    return Clip(
        id=f"{video}_{_plain(start)}",
        path=files.of(video, start, end),
        labels=tuple(name for mid, name in names.items() if mid in labelled),
        group=video,
    )


def _plain(seconds: float) -> str:
    """A time to the microsecond without zeros at its end."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


class _NamedClass(NamedTuple):
    """A sound file and the times in its name."""

    path: Path
    times: tuple[float, ...]  # none, the start, or the start and the end

    def fits(self, start: float, end: float) -> bool:
        """Whether the times are those of a segment, in seconds or milliseconds."""
        segment = (start, end)[: len(self.times)]
        return any(
            all(abs(t / unit - s) < _SAME_TIME_S for t, s in zip(self.times, segment, strict=True))
            for unit in (1, 1000)
        )


class _Files:
    """The sound files below a folder by the videos they are named after.

    Args:
        folder: that is searched.
        segments: id of the video, start and end of every segment that a file may be of.
    """

    def __init__(self, folder: Path, segments: set[tuple[str, float, float]]) -> None:
        if not folder.is_dir():
            raise InvalidInputError(f"{folder}: expected the folder of AudioSet's sound files.")
        self._folder = folder
        self._n_segments = Counter(video for video, _, _ in segments)
        self._lengths = sorted({len(video) for video in self._n_segments})
        self._named: dict[str, list[_NamedClass]] = {}
        for path in sorted(find_sounds(folder), key=_must_be_converted):
            for video, times in self._meanings(path.stem):
                self._named.setdefault(video, []).append(_NamedClass(path, times))

    def of(self, video: str, start: float, end: float) -> Path:
        """The file of a segment, or where one would be that is not there."""
        for named in sorted(self._named.get(video, ()), key=lambda named: -len(named.times)):
            if named.times and named.fits(start, end):
                return named.path
            if not named.times and self._n_segments[video] == 1:
                return named.path
        one = self._n_segments[video] == 1
        return self._folder / (f"{video}.wav" if one else f"{video}_{_plain(start)}.wav")

    def _meanings(self, stem: str) -> list[tuple[str, tuple[float, ...]]]:
        """Videos that a file may be named after, and the times that follow."""
        found = []
        for name in (stem, stem[1:]) if stem[:1] == "Y" else (stem,):
            for length in self._lengths:
                times = _TIMES.fullmatch(name, length)
                if name[:length] in self._n_segments and times:
                    found.append((name[:length], tuple(float(t) for t in times.groups() if t)))
        return found


def _must_be_converted(path: Path) -> bool:
    return path.suffix.lower() in OTHER_SUFFIXES


def _above(ontology: Ontology, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The classes above each class; nodes that are no classes are passed through."""
    return {mid: frozenset(ontology.ancestors(mid)) & frozenset(names) for mid in names}
