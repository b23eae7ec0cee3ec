"""Clips and labels that the user names on the command line."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audioprobe.errors import InvalidInputError
from audioprobe.io.console import note
from audioprobe.io.text_table import printable

if TYPE_CHECKING:
    from audioprobe.types import Clip

ColumnsOption = Annotated[
    str | None,
    Parameter(
        help="Columns of the table with names of their own, as ROLE=COLUMN: "
        "path=filename,labels=species,group=site."
    ),
]
FolderOption = Annotated[
    Path | None, Parameter(help="Folder of the recordings [the folder of the table].")
]
WindowingOption = Annotated[
    str | None,
    Parameter(
        help="How recordings are read, as NAME=VALUE: channels=first, length=crop (pad, whole, "
        "windows), seconds=5, sample_rate=16000, pooling=mean, incomplete=accept."
    ),
]
_LABEL_FILES = (".txt", ".csv", ".tsv")  # no label ends with these


def annotated_clips(
    table: Path, folder: Path | None, columns: Mapping[str, str], split: str | None
) -> "tuple[Sequence[Clip], tuple[str, ...]]":
    """Return the clips of a table and its labels; clips that are left out are reported.

    Args:
        table: table of the user, or of an annotation program; see `datasets.Manifest`.
        folder: folder of the recordings; None means the folder of the table.
        columns: columns with names of their own by role, such as {"labels": "species"}.
        split: split of the table; None means all splits.

    Raises:
        InvalidInputError: if the table, a column or the split is invalid, or no file exists.
    """
    from audioprobe.datasets import Manifest

    dataset = Manifest(table, folder, columns=columns)
    splits = dataset.splits if split is None else (split,)
    clips = [clip for name in splits for clip in dataset.clips(name)]
    for problem, left_out in (("has no file", dataset.missing), ("is left out", dataset.left_out)):
        if left_out:
            name, cause = next(iter(left_out.items()))
            more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
            note(f"{printable(name)} {problem}: {printable(cause)}{more}")
    return clips, dataset.labels


def columns_of(text: str | None) -> dict[str, str]:
    """Return the column of each role from a text such as "path=filename,labels=species"."""
    return _assignments(text, "--columns: expected ROLE=COLUMN, such as path=filename")


def windowing_of(text: str | None) -> dict[str, str]:
    """Return the options in a text such as "length=crop,seconds=5", for `Windowing`."""
    return _assignments(text, "--windowing: expected NAME=VALUE, such as length=crop,seconds=5")


def _assignments(text: str | None, expected: str) -> dict[str, str]:
    """Return the values by name in a text such as "name=value,other=value"."""
    values = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidInputError(f"{expected}; received {part!r}.")
        values[name.strip()] = value.strip()
    return values


def expanded(sounds: Sequence[str]) -> list[str]:
    """Return the paths after replacing each pattern such as "*.wav" by the matching files."""
    paths: list[str] = []
    for sound in sounds:
        if Path(sound).exists() or not glob.has_magic(sound):
            paths.append(sound)
            continue
        matching = sorted(glob.glob(sound, recursive=True))  # noqa: PTH207 - takes any pattern
        if not matching:
            raise InvalidInputError(f"{sound}: no file or folder matches this pattern.")
        paths += matching
    return paths


def labels_of(listed: str | None, file: Path | None) -> tuple[str, ...]:
    """Return the labels in a list with commas, in the file after "@", or in `file`."""
    if (listed is None) == (file is None):
        raise InvalidInputError("Pass either --labels crow,drum,bell or --labels @labels.txt.")
    if listed is None:
        assert file is not None  # noqa: S101 - one of the two is
        return _labels_in(file)
    if listed.startswith("@"):
        return _labels_in(Path(listed[1:]).expanduser())
    for name in (listed, *listed.split(",")):
        _refuse_file_name(name.strip())
    return tuple(label.strip() for label in listed.split(","))


def _refuse_file_name(label: str) -> None:
    """Raise an error with advice if the user passed a file name instead of a label."""
    suffix = Path(label).suffix.lower()
    if suffix in _LABEL_FILES or (suffix and _is_file(label)):
        raise InvalidInputError(
            f"Expected labels, received the file name {label!r}. To read labels from it, pass "
            f"--labels @{label}"
        )


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long, or with characters that are not allowed
        return False


def _labels_in(file: Path) -> tuple[str, ...]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{file}: not a readable text file of labels, expected UTF-8 ({error})."
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file}: not a readable text file of labels ({error}).") from error
    lines = (line.strip() for line in text.split("\n"))
    labels = tuple(line for line in lines if line and not line.startswith("#"))
    if not labels:
        raise InvalidInputError(f"{file}: expected one label per line, received none.")
    return labels
