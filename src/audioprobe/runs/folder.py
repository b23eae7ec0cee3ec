"""The folder of a run: what was wanted, what it rests on, and whatever came of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audioprobe.disk import held, write_whole
from audioprobe.errors import InvalidInputError
from audioprobe.runs.journal import Journal

CONFIG, MANIFEST, RESPONSES = "config.toml", "manifest.json", "responses.jsonl"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder of one run, held by one process at a time; open it by `open_run`.

    Attributes:
        path: the folder.
        journal: the answers so far.
    """

    path: Path
    journal: Journal

    def write(self, name: str, content: str) -> Path:
        """A file of the run, complete or as it was before."""
        return write_whole(self.path / name, content)


@contextmanager
def open_run(
    path: str | Path,
    config: str,
    pinned: Mapping[str, object],
    start: Mapping[str, object] = MappingProxyType({}),
    *,
    refused: Callable[[str], str | None] = lambda _: "",
    overwrite: bool = False,
    advice: str = "",
) -> Iterator[RunFolder]:
    """Begin a run, or go on with one.

    Args:
        path: the folder; made if need be.
        config: text of the configuration.
        pinned: what else decides about a result (components, data, prompts); plain JSON data.
        start: what is only recorded, for every start anew (versions, time); plain JSON data.
        refused: why a run by another configuration, whose text it is given, cannot go on by this
            one; None where it can, and this one takes its place. Without, no other can.
        overwrite: whether this run takes the place of any other; the answers in the journal stay,
            for each belongs to its prompt and model.
        advice: what to do where the folder holds another run, for the message; "" says to go on
            with its configuration, or to name another folder.

    Raises:
        InvalidInputError: if the folder holds a run by another configuration or of something else
            pinned (names what differs), what is no run, a damaged journal, or a run under way in
            another process.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be a folder for a run ({error}).") from error
    refusal = InvalidInputError(
        f"{folder}: another process works in this folder. Wait for it, or name another folder."
    )
    with held(folder / "lock", refusal):
        if overwrite:
            (folder / MANIFEST).unlink(missing_ok=True)
        elif (folder / RESPONSES).exists() and not (folder / MANIFEST).is_file():
            raise InvalidInputError(
                f"{folder}: has {RESPONSES} and no {MANIFEST}, so it is no run of this library. "
                "Name another folder."
            )
        _pin(folder, config, pinned, start, refused=refused, advice=advice)
        yield RunFolder(folder, Journal(folder / RESPONSES))


def _pin(
    folder: Path,
    config: str,
    pinned: Mapping[str, object],
    start: Mapping[str, object],
    *,
    refused: Callable[[str], str | None],
    advice: str,
) -> None:
    """The manifest last: a folder without one holds nothing yet."""
    wanted = json.loads(_text(pinned))
    if not (folder / MANIFEST).is_file():
        write_whole(folder / CONFIG, config)
        manifest = {"pinned": wanted, "starts": [dict(start)]}
        write_whole(folder / MANIFEST, _text(manifest))
        return
    older = (folder / CONFIG).read_text(encoding="utf-8")
    why = refused(older) if older != config else None
    if why is not None:
        otherwise = (
            f"Go on with {folder / CONFIG}, or name another folder; answers are not asked again "
            "where both share a cache."
        )
        raise InvalidInputError(
            f"{folder}: holds a run of another configuration{f' ({why})' if why else ''}. "
            f"{advice or otherwise}"
        )
    manifest = _read(folder / MANIFEST)
    found = manifest["pinned"]
    differing = [k for k in sorted({*found, *wanted}) if found.get(k) != wanted.get(k)]
    if differing:
        first = differing[0]
        raise InvalidInputError(
            f"{folder}: holds a run of the same configuration over something else: "
            f"{', '.join(differing)} differ, {first} was {found.get(first)!r:.120} and is "
            f"{wanted.get(first)!r:.120}. {advice or 'Name another folder.'}"
        )
    write_whole(folder / CONFIG, config)
    manifest["starts"].append(dict(start))
    write_whole(folder / MANIFEST, _text(manifest))


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(manifest, dict) or set(manifest) != {"pinned", "starts"}:
        raise InvalidInputError(f"{path}: not the manifest of a run. Name another folder.")
    return manifest


def _text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
