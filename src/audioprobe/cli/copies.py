"""Command that searches data for near copies of recordings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import Table, printable
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from audioprobe.datasets.near_copies import NearCopies
    from audioprobe.types import Clip

Part = Literal["split", "group"]


@app.command
def check_copies(
    data: Annotated[
        str,
        Parameter(
            help="A folder of audio files, a table of clips (as for `Manifest`), or a data set "
            "NAME:ARGUMENT, see `backends`."
        ),
    ],
    /,
    *,
    by: Annotated[
        Part | None,
        Parameter(
            help='Compare clips of different splits or groups ["split" if there are several]. In a '
            "folder, the group is the first subfolder."
        ),
    ] = None,
    within: Annotated[
        bool, Parameter(help="Compare clips of the same split or group, too.", negative=())
    ] = False,
    threshold: Annotated[
        float, Parameter(help="Minimum similarity, greater than 0 and at most 1.")
    ] = 0.5,
    json: Annotated[bool, Parameter(help="Print JSON instead of tables.", negative=())] = False,
) -> int:
    """List recordings that contain the same part of one original recording.

    Such near copies in two splits are leaks: a model may recognise them from training. They are
    found if level, sample rate, codec, start or end are changed, or if weak noise is added; not if
    speed or pitch is changed. Strokes of one cymbal, or notes of synthesizers, may be similar, too.
    2,400 recordings take about two minutes.

    The exit status is 0 if there is no pair between two splits (or groups), 1 if there is one, 2
    for invalid input. If all clips are in one split or group, every pair counts.

    Example: audioprobe check-copies debian-sounds:sounds/

    Example: audioprobe check-copies clips.csv --by group --json
    """
    from audioprobe.datasets.near_copies import near_copies

    clips, parts, kind = _clips_and_parts(data, by)
    is_divided = len(set(parts.values())) > 1
    with progress_bars() as progress:
        result = near_copies(
            clips,
            parts=parts if is_divided and not within else None,
            threshold=threshold,
            progress=progress,
        )
    write(_json(result, parts) if json else _text(result, parts, kind, len(clips)))
    leaks = [p for p in result.pairs if not is_divided or parts[p.first] != parts[p.second]]
    return EXIT_FAILED if leaks else 0


def _clips_and_parts(data: str, by: Part | None) -> "tuple[Sequence[Clip], dict[str, str], Part]":
    """Return the clips, the split or group of each clip id, and which of both it is.

    A clip without a group is a group of its own.

    Raises:
        InvalidInputError: if there is no such data, or no audio in it.
    """
    from audioprobe.audio.sources import clips_of
    from audioprobe.datasets.manifest import Manifest
    from audioprobe.registry import load
    from audioprobe.types import Clip

    path = Path(data).expanduser()
    if path.is_dir() and by != "split":
        files = [Path(clip.id).relative_to(path) for clip in clips_of(path)]
        groups = {
            file.as_posix(): ("." if file.name == str(file) else file.parts[0]) for file in files
        }
        return [Clip(id=clip_id, path=path / clip_id) for clip_id in groups], groups, "group"
    if path.is_dir():
        dataset = load("dataset", "folder", folder=path, splits=True)
    else:
        dataset = Manifest(path) if path.is_file() else load("dataset", data)
    clips_by_split = {split: dataset.clips(split) for split in dataset.splits}
    clips = tuple(clip for items in clips_by_split.values() for clip in items)
    if by == "group" or (by is None and len(clips_by_split) == 1):
        return clips, {c.id: c.id if c.group is None else c.group for c in clips}, "group"
    parts = {clip.id: split for split, items in clips_by_split.items() for clip in items}
    return clips, parts, "split"


def _text(result: "NearCopies", parts: Mapping[str, str], kind: str, n_clips: int) -> str:
    """Return tables of the pairs, and the clips that were not compared, as text."""
    width = terminal_width()
    n_between = sum(parts[pair.first] != parts[pair.second] for pair in result.pairs)
    lines = [f"not compared  {clip_id}: {why}" for clip_id, why in result.not_compared.items()]
    if result.pairs:
        between = Counter(tuple(sorted((parts[p.first], parts[p.second]))) for p in result.pairs)
        rows = [(*names, str(n)) for names, n in between.most_common()]
        header = (kind, f"other {kind}", "pairs")
        lines += [Table(header, tuple(rows), numeric=(2,)).to_text(width), ""]
        lines += [_pairs_table(result, parts, kind).to_text(width), ""]
    n_compared = n_clips - len(result.not_compared)
    n_inside = len(result.pairs) - n_between
    lines.append(
        f"near copies: {n_between} between two {kind}s, {n_inside} within one; {n_compared} of "
        f"{n_clips} clips compared"
    )
    return "\n".join(line if "\n" in line else printable(line) for line in lines)


def _pairs_table(result: "NearCopies", parts: Mapping[str, str], kind: str) -> Table:
    """Return a table of the pairs; pairs between different splits or groups come first."""
    pairs = sorted(result.pairs, key=lambda pair: parts[pair.first] == parts[pair.second])
    rows = tuple(
        (
            f"{pair.similarity:.2f}",
            f"{pair.offset:+.3f}",
            pair.first,
            parts[pair.first],
            pair.second,
            parts[pair.second],
        )
        for pair in pairs
    )
    header = ("similarity", "offset (s)", "clip", kind, "other clip", f"other {kind}")
    return Table(header, rows, numeric=(0, 1))


def _json(result: "NearCopies", parts: Mapping[str, str]) -> str:
    """Return the pairs, with the split or group of each clip, as JSON."""
    from audioprobe.io.json_codec import to_json

    pairs = [
        {
            "first": pair.first,
            "first_part": parts[pair.first],
            "second": pair.second,
            "second_part": parts[pair.second],
            "similarity": pair.similarity,
            "offset": pair.offset,
        }
        for pair in result.pairs
    ]
    return to_json({"pairs": pairs, "not_compared": dict(result.not_compared)})
