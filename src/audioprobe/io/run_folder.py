"""The folder of a run: what was wanted, what it rests on, and whatever came of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write, exclusive_lock
from audioprobe.io.response_log import ResponseLog

CONFIG, MANIFEST, RESPONSES = "config.toml", "manifest.json", "responses.jsonl"
_SHOWN = 5  # differences that a message names

Digests = Mapping[str, Mapping[str, str]]
"""Digests of sounds: by the name of the evaluation set, then by clip id."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder of one run, held by one process at a time; open it by `open_run`.

    Attributes:
        path: the folder.
        journal: the answers so far.
        changed: ids of the clips whose sound is another one than at the last start, by the name of
            the evaluation set. Answers about other clips remain valid.
    """

    path: Path
    journal: ResponseLog
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, name: str, content: str) -> Path:
        """A file of the run, complete or as it was before."""
        return atomic_write(self.path / name, content)


@contextmanager
def open_run(
    path: str | Path,
    config: str,
    pinned: Mapping[str, object],
    start: Mapping[str, object] = MappingProxyType({}),
    *,
    sounds: Digests = MappingProxyType({}),
    sounds_may_change: bool = True,
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
        sounds: digests of the sounds.
        sounds_may_change: whether the run can go on where a sound is another one than at the last
            start, because answers are kept by the sound that they are about; see
            `RunFolder.changed`. False refuses, and names the clips.
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
    with exclusive_lock(folder / "lock", refusal):
        if overwrite:
            (folder / MANIFEST).unlink(missing_ok=True)
        else:
            _check(folder, config, refused, advice)
        manifest, changed = _manifest(
            folder, pinned, start, sounds, sounds_may_change=sounds_may_change, advice=advice
        )
        atomic_write(folder / CONFIG, config)
        # The manifest last: a folder without one holds nothing yet.
        atomic_write(folder / MANIFEST, _text(manifest))
        yield RunFolder(folder, ResponseLog(folder / RESPONSES), changed)


def _check(folder: Path, config: str, refused: Callable[[str], str | None], advice: str) -> None:
    """Refuse a folder of another configuration, or of no run."""
    if not (folder / MANIFEST).is_file():
        if (folder / RESPONSES).exists():
            raise InvalidInputError(
                f"{folder}: has {RESPONSES} and no {MANIFEST}, so it is no run of this library. "
                "Name another folder."
            )
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


def _manifest(
    folder: Path,
    pinned: Mapping[str, object],
    start: Mapping[str, object],
    sounds: Digests,
    *,
    sounds_may_change: bool,
    advice: str,
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The manifest with this start, and clips whose sound has changed, as in `RunFolder`."""
    wanted = json.loads(_text(pinned))
    now = {name: dict(digests) for name, digests in sounds.items()}
    if not (folder / MANIFEST).is_file():
        return {"pinned": wanted, "starts": [dict(start)], "sounds": now}, {}
    manifest = _read(folder / MANIFEST)
    was = manifest.get("sounds", {})
    differences = list(_differences(manifest["pinned"], wanted))
    if was and not sounds_may_change:
        differences = [*_differences(was, sounds), *differences]
    if differences:
        more = len(differences) - _SHOWN
        raise InvalidInputError(
            f"{folder}: holds a run of the same configuration over something else: "
            f"{'; '.join(differences[:_SHOWN])}{f'; and {more} more' if more > 0 else ''}. "
            f"{advice or 'Restore what was there, or name another folder.'}"
        )
    changed = _changed(was, sounds)
    manifest["starts"].append({**start, **({"changed sounds": changed} if changed else {})})
    return {**manifest, "sounds": now}, changed


def _changed(was: Digests, now: Digests) -> dict[str, tuple[str, ...]]:
    """Ids of the clips that have another digest than before, by evaluation set."""
    found = {
        name: tuple(clip for clip, digest in digests.items() if was[name].get(clip) != digest)
        for name, digests in now.items()
        if name in was
    }
    return {name: clips for name, clips in found.items() if clips}


def _differences(was: object, now: object, where: str = "") -> Iterator[str]:
    """What of plain JSON data is not as before, each with its place."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        if was != now:
            yield f"{where} was {was!r:.120} and is {now!r:.120}"
        return
    for key in sorted({*was, *now}):
        place = f"{where}: {key}" if where else key
        if key not in now:
            yield f"{place} is gone"
        elif key not in was:
            yield f"{place} is new"
        else:
            yield from _differences(was[key], now[key], place)


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(manifest, dict) or set(manifest) - {"sounds"} != {"pinned", "starts"}:
        raise InvalidInputError(f"{path}: not the manifest of a run. Name another folder.")
    return manifest


def _text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
