"""Command that divides annotated clips into splits without leaks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.cli.inputs import ColumnsOption, FolderOption, annotated_clips, columns_of
from audioprobe.errors import InvalidInputError
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.text_table import Table
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from audioprobe.types import Clip


@app.command
def split(
    table: Annotated[Path, Parameter(help="Table of annotated clips, as for `classify --table`.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="CSV file for the clips with their splits.")],
    by: Annotated[
        str | None,
        Parameter(help="Column of the groups (site, recorder) to keep together [group, if any]."),
    ] = None,
    shares: Annotated[
        str, Parameter(help="Share of the clips in each split.")
    ] = "train=0.7,validation=0.15,test=0.15",
    columns: ColumnsOption = None,
    folder: FolderOption = None,
    copies: Annotated[
        bool, Parameter(help="Search for near copies, and keep them together.")
    ] = True,
    seed: Annotated[int, Parameter(help="Random seed of groups of equal size.")] = 0,
) -> int:
    """Divide annotated clips into splits; groups and near copies of recordings stay together.

    A model that was trained on a site, or on a copy of a recording, may recognise it instead of the
    species. The labels are spread over the splits as evenly as whole groups allow. The new table
    can be used everywhere in place of the old one.

    Example: audioprobe split annotations.csv --by site --out splits.csv
    """
    from audioprobe.datasets.near_copies import near_copies
    from audioprobe.datasets.splitting import split_by_group, write_split_table

    wanted = _shares(shares)
    roles = columns_of(columns) | ({"group": by} if by else {})
    clips, labels = annotated_clips(table, folder, roles, split=None)
    together: list[tuple[str, str]] = []
    if copies:
        with progress_bars() as progress:
            near = near_copies(clips, progress=progress)
        together = [(pair.first, pair.second) for pair in near.pairs]
        for clip_id, cause in near.not_compared.items():
            note(f"{clip_id} was not compared: {cause}")
    splits = split_by_group(clips, wanted, together=together, seed=seed)
    note(f"wrote {write_split_table(clips, splits, out)}")
    write(_table(clips, labels, splits, wanted).to_text(terminal_width()))
    copies_text = f", {len(together)} pairs of near copies were kept together" if copies else ""
    write(f"\n{len(clips)} clips in {_n_groups(clips)} groups{copies_text}.")
    return 0


def _shares(text: str) -> dict[str, float]:
    """Return the share of each split from a text such as "train=0.8,test=0.2"."""
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError as error:
            raise InvalidInputError(
                f"--shares: expected NAME=SHARE, such as train=0.8,test=0.2; received {part!r}."
            ) from error
    return shares


def _n_groups(clips: "Sequence[Clip]") -> int:
    return len({clip.id if clip.group is None else (clip.group,) for clip in clips})


def _table(
    clips: "Sequence[Clip]",
    labels: Sequence[str],
    splits: Mapping[str, str],
    shares: Mapping[str, float],
) -> Table:
    """Return a table with one row per split: clips, groups, and labels without a clip."""
    rows = []
    for name in shares:
        inside = [clip for clip in clips if splits[clip.id] == name]
        counts = Counter(label for clip in inside for label in clip.labels or ())
        absent = ", ".join(label for label in labels if not counts[label])
        rows.append((name, str(len(inside)), str(_n_groups(inside)), absent or "none"))
    return Table(("split", "clips", "groups", "labels without a clip"), tuple(rows), (1, 2))
