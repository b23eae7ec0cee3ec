"""The folder of a run: its configuration, the versions of its inputs, and its outputs."""

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
_MAX_DIFFERENCES = 5  # that a message names

AudioDigests = Mapping[str, Mapping[str, str]]
"""Digests of sounds: by the name of the evaluation set, then by clip id."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, locked by one process; created by `open_run`.

    Attributes:
        path: the folder.
        response_log: the responses so far.
        changed_audio: ids of the clips whose sound has changed since the last start, by the name of
            the evaluation set. Responses to other clips remain valid.
    """

    path: Path
    response_log: ResponseLog
    changed_audio: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, name: str, content: str) -> Path:
        """Write a file atomically and return its path."""
        return atomic_write(self.path / name, content)


@contextmanager
def open_run(
    path: str | Path,
    config: str,
    pinned: Mapping[str, object],
    start_info: Mapping[str, object] = MappingProxyType({}),
    *,
    audio_digests: AudioDigests = MappingProxyType({}),
    allow_changed_audio: bool = True,
    incompatibility: Callable[[str], str | None] = lambda _: "",
    overwrite: bool = False,
    advice: str = "",
) -> Iterator[RunFolder]:
    """Start a run, or resume one.

    Args:
        path: the folder; created if it does not exist.
        config: text of the configuration.
        pinned: everything else that determines the result (components, data, prompts); plain JSON
            data, which must be equal when a run is resumed.
        start_info: what is recorded at every start (versions, time); plain JSON data.
        audio_digests: digests of the sounds.
        allow_changed_audio: whether a run is resumed if sounds have changed since the last start,
            see `RunFolder.changed_audio`. False raises an error that names the clips.
        incompatibility: given the text of a different configuration in the folder, returns the
            reason why that run cannot be resumed ("" without a reason), or None if it can; then the
            new configuration replaces it. By default no other configuration is accepted.
        overwrite: whether this run replaces any other; stored responses are kept, since each
            belongs to its prompt and model.
        advice: what to do if the folder holds another run, for the message; "" is a general advice.

    Raises:
        InvalidInputError: if the folder holds a run with another configuration or other pinned data
            (names the differences), files that are not a run, a damaged response log, or a run that
            is in progress in another process.
    """
    folder = Path(path)
    _create(folder)
    in_use = InvalidInputError(
        f"{folder}: another process is using this folder. Wait for it, or choose another folder."
    )
    with exclusive_lock(folder / "lock", in_use):
        if overwrite:
            (folder / MANIFEST).unlink(missing_ok=True)
        else:
            _check_config(folder, config, incompatibility, advice)
        manifest, changed = _updated_manifest(
            folder,
            pinned,
            start_info,
            audio_digests,
            allow_changed_audio=allow_changed_audio,
            advice=advice,
        )
        atomic_write(folder / CONFIG, config)
        # The manifest is written last: a folder without one does not hold a run yet.
        atomic_write(folder / MANIFEST, _to_text(manifest))
        yield RunFolder(folder, ResponseLog(folder / RESPONSES), changed)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"{folder}: the folder of the run cannot be created ({error}). Choose another folder."
        ) from error


def _check_config(
    folder: Path, config: str, incompatibility: Callable[[str], str | None], advice: str
) -> None:
    if not (folder / MANIFEST).is_file():
        if (folder / RESPONSES).exists():
            raise InvalidInputError(
                f"{folder}: contains {RESPONSES} but no {MANIFEST}, so it is not a run. "
                "Choose another folder."
            )
        return
    previous = (folder / CONFIG).read_text(encoding="utf-8")
    reason = incompatibility(previous) if previous != config else None
    if reason is not None:
        general = (
            f"Continue with {folder / CONFIG}, or choose another folder; with a shared cache, no "
            "prompt is asked again."
        )
        raise InvalidInputError(
            f"{folder}: holds a run with another configuration{f' ({reason})' if reason else ''}. "
            f"{advice or general}"
        )


def _updated_manifest(
    folder: Path,
    pinned: Mapping[str, object],
    start_info: Mapping[str, object],
    digests: AudioDigests,
    *,
    allow_changed_audio: bool,
    advice: str,
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Return the manifest with this start, and the changed clips as in `RunFolder`."""
    expected = json.loads(_to_text(pinned))
    current = {name: dict(by_clip) for name, by_clip in digests.items()}
    if not (folder / MANIFEST).is_file():
        return {"pinned": expected, "starts": [dict(start_info)], "sounds": current}, {}
    manifest = _read_manifest(folder / MANIFEST)
    previous = manifest.get("sounds", {})
    differences = list(_differences(manifest["pinned"], expected))
    if previous and not allow_changed_audio:
        differences = [*_differences(previous, digests), *differences]
    if differences:
        n_more = len(differences) - _MAX_DIFFERENCES
        raise InvalidInputError(
            f"{folder}: holds a run with the same configuration and other inputs: "
            f"{'; '.join(differences[:_MAX_DIFFERENCES])}"
            f"{f'; and {n_more} more' if n_more > 0 else ''}. "
            f"{advice or 'Restore the inputs, or choose another folder.'}"
        )
    changed = {
        name: ids
        for name, by_clip in digests.items()
        if name in previous
        and (ids := tuple(c for c, digest in by_clip.items() if previous[name].get(c) != digest))
    }
    start = {**start_info, **({"changed sounds": changed} if changed else {})}
    return {**manifest, "starts": [*manifest["starts"], start], "sounds": current}, changed


def _differences(previous: object, current: object, where: str = "") -> Iterator[str]:
    """Yield the differences between plain JSON data, each with its location."""
    if not (isinstance(previous, Mapping) and isinstance(current, Mapping)):
        if previous != current:
            yield f"{where} was {previous!r:.120} and is {current!r:.120}"
        return
    for key in sorted({*previous, *current}):
        location = f"{where}: {key}" if where else key
        if key not in current:
            yield f"{location} is missing"
        elif key not in previous:
            yield f"{location} is new"
        else:
            yield from _differences(previous[key], current[key], location)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(manifest, dict) or set(manifest) - {"sounds"} != {"pinned", "starts"}:
        raise InvalidInputError(f"{path}: not the manifest of a run. Choose another folder.")
    return manifest


def _to_text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
