"""Files of recorded activations: one safetensors array per site, and a table of prompts.

A folder contains `SITE.safetensors` with the array "states" in float32, `recording.json` with the
model, sites, spans and rows, and `prompts.csv` with one row per prompt. States of a span that a
prompt does not have, and of prompts that failed, are NaN.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.interpretability.activations import Pooling, States
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.parsing import parse_json
from audioprobe.sites import canonical_site
from audioprobe.types import BoolArray

CARD, TABLE = "recording.json", "prompts.csv"
COLUMNS = ("id", "question", "concept", "continuation", "seconds", "n_tokens", "failure", "digest")
"""Columns of the table of prompts."""

_ITEM_BYTES = 4  # float32
_ALIGNMENT = 8  # bytes; safetensors pads its header with spaces


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recording(TidyData):
    """Recorded activations; arrays stay on disk until they are used.

    Attributes:
        folder: folder of the files.
        sites: recorded sites, in the order of the forward pass.
        spans: recorded spans.
        pooling: how the positions of a span were pooled.
        rows: values of `COLUMNS` for each prompt.
    """

    folder: Path
    sites: tuple[str, ...]
    spans: tuple[str, ...]
    pooling: Pooling
    rows: tuple[tuple[object, ...], ...]

    @classmethod
    def open(cls, folder: str | Path) -> "Recording":
        """Open a complete recording.

        Raises:
            InvalidInputError: if the folder contains no recording, or an incomplete one.
        """
        path = Path(folder)
        card = read_card(path)
        if card is None:
            raise InvalidInputError(f"{path}: expected a recording, found no {CARD} in the folder.")
        n_rows, n_prompts = len(card["rows"]), card["settings"]["n_prompts"]
        if n_rows < n_prompts:
            raise InvalidInputError(
                f"{path}: expected a complete recording, got {n_rows} of {n_prompts} prompts. "
                "Call record again with the same arguments to complete it."
            )
        settings, rows = card["settings"], tuple(tuple(row) for row in card["rows"])
        sites = tuple(settings["shapes"])
        return cls(path, sites, tuple(settings["spans"]), settings["pooling"], rows)

    def __len__(self) -> int:
        return len(self.rows)

    def states(self, site: str, span: str) -> States:
        """Return the states of a span at a site.

        Args:
            site: a recorded site; names in TransformerLens and nnterp are accepted.
            span: a recorded span.

        Returns:
            Shape (n_prompts, width), or (n_prompts, n_positions, width) without pooling, where
            shorter spans end with NaN. Rows of missing states are NaN.

        Raises:
            InvalidInputError: if the site or the span was not recorded.
        """
        name = canonical_site(site)
        for what, value, known in (("site", name, self.sites), ("span", span, self.spans)):
            if value not in known:
                raise InvalidInputError(
                    f"Expected a recorded {what} ({', '.join(known)}), got {value!r}."
                    f"{did_you_mean(value, known)}"
                )
        array = open_array(self.folder / f"{name}.safetensors")
        return np.array(array[:, self.spans.index(span)])

    def missing(self, site: str, span: str) -> BoolArray:
        """Return whether the states of a prompt are missing, shape (n_prompts,)."""
        states = self.states(site, span).reshape(len(self), -1)
        return cast("BoolArray", np.isnan(states).all(axis=1))

    @property
    def failures(self) -> dict[int, str]:
        """Cause of the failure of each prompt that failed, keyed by its row."""
        column = COLUMNS.index("failure")
        return {n: str(row[column]) for n, row in enumerate(self.rows) if row[column]}

    def data(self) -> DataTable:
        """Return a table with one row per prompt."""
        return DataTable.from_rows(COLUMNS, self.rows)

    def __repr__(self) -> str:
        n_failed = len(self.failures)
        return (
            f"Recording({str(self.folder)!r}, {len(self)} prompts, {n_failed} failed, "
            f"{len(self.sites)} sites, {len(self.spans)} spans, pooling={self.pooling!r})"
        )


def read_card(folder: Path) -> dict[str, Any] | None:
    """Return the content of the card of a recording; None if the folder has none."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        card = parse_json(path.read_text(encoding="utf-8"))
        complete = isinstance(card, dict) and {"settings", "rows"} <= set(card)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: cannot be read as JSON ({error}).") from error
    if not complete:
        raise InvalidInputError(f"{path}: expected the card of a recording, got another file.")
    return dict(card)


def n_bytes(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return the size in bytes of arrays with these shapes, without headers."""
    return sum(_ITEM_BYTES * prod(shape) for shape in shapes.values())


def create_array(path: Path, shape: Sequence[int]) -> None:
    """Write a safetensors file with one array of float32 whose values are not set yet.

    The space is reserved now, because a full disk would later kill the process that writes into the
    mapped file.

    Raises:
        InvalidInputError: if the disk has too little space.
    """
    size = _ITEM_BYTES * prod(shape)
    entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, size]}
    header = json.dumps({"states": entry}).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    total = 8 + len(header) + size
    try:
        with path.open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little") + header)
            stream.truncate(total)
            if hasattr(os, "posix_fallocate"):  # not on Windows and macOS
                os.posix_fallocate(stream.fileno(), 0, total)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InvalidInputError(
            f"{path}: expected space for {total:,} bytes, which cannot be reserved ({error}). Free "
            "disk space, choose another folder, or record fewer sites and spans."
        ) from error


def open_array(path: Path, mode: Literal["r", "r+"] = "r") -> Any:  # noqa: ANN401 - a memmap
    """Open the array of a file that `create_array` wrote; values are read and written on disk."""
    try:
        with path.open("rb") as stream:
            # A damaged file may name any length; memory for it must not be reserved.
            length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
            # Other items than integers could also become a long text, by multiplication.
            shape = tuple(map(index, parse_json(stream.read(length))["states"]["shape"]))
        return np.memmap(path, np.dtype("<f4"), mode, offset=8 + length, shape=shape)
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"{path}: cannot be read as recorded states ({error}). Record them again."
        ) from error
