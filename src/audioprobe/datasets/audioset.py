"""AudioSet (Gemmeke et al. 2017): the published segments, and what sounds one still has."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.audio.files import SUFFIXES
from audioprobe.concepts.ontology import Ontology
from audioprobe.datasets.listed import Listed
from audioprobe.datasets.tables import read_rows
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

_CLASS_COLUMNS = ("index", "mid", "display_name")
_SEGMENTS = "_segments.csv"
_COMMENTS = ("# ", "#\t")
_VIDEO = re.compile(r"[\w-]+", re.ASCII)


class AudioSet(Listed):
    """Segments of 10 s with labels of 527 classes; a split for each file of segments.

    Clips are files of their own, anywhere below `folder`, named by the id of their video: `ID.wav`,
    `YID.wav`, or either with `_START` or `_START_END` in seconds or milliseconds. Videos vanish: a
    segment without a file is in `missing`. Its labels are not propagated to their parents as
    published, and far from every sound in a clip is labelled: a negative is uncertain.

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
        files = _files(self.folder)
        clips: dict[str, list[Clip]] = {}
        for path in map(Path, segments):
            clips[path.name.removesuffix(_SEGMENTS)] = [
                _clip(segment, names, above, files, self.folder) for segment in read_segments(path)
            ]
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
    files: Mapping[str, Path],
    folder: Path,
) -> Clip:
    video, start, end, mids = segment
    unknown = [mid for mid in mids if mid not in names]
    if unknown:
        raise InvalidInputError(f"AudioSet: {video} has the label {unknown[0]!r}, no class.")
    labelled = {*mids, *(higher for mid in mids for higher in above.get(mid, ()))}
    return Clip(
        id=f"{video}_{start:g}",
        path=next(
            (files[stem] for stem in _stems(video, start, end) if stem in files),
            folder / f"{video}.wav",
        ),
        labels=tuple(name for mid, name in names.items() if mid in labelled),
        group=video,
    )


def _stems(video: str, start: float, end: float) -> list[str]:
    """What a file may be called, without its suffix."""
    ms, ms_end = round(1000 * start), round(1000 * end)
    tails = ("", f"_{start:g}", f"_{start:g}_{end:g}", f"_{ms}", f"_{ms}_{ms_end}")
    return [f"{head}{video}{tail}" for tail in tails for head in ("", "Y")]


def _files(folder: Path) -> dict[str, Path]:
    """Every sound file below a folder, by its name without suffix."""
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: expected the folder of AudioSet's sound files.")
    return {p.stem: p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES}


def _above(ontology: Ontology, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The classes above each class; nodes that are no classes are passed through."""
    return {mid: frozenset(ontology.ancestors(mid)) & frozenset(names) for mid in names}
