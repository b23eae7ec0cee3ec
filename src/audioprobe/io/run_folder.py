"""Folder of a run: its configuration, the versions of its inputs, its responses and results."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write, exclusive_lock
from audioprobe.io.cache import ResponseLog
from audioprobe.parsing import parse_json

CONFIG, MANIFEST, RESPONSES = "config.toml", "manifest.json", "responses.jsonl"
_MAX_DIFFERENCES = 5  # maximum number of differences in a message

AudioDigests = Mapping[str, Mapping[str, str]]
"""Digests of audio, by the name of the evaluation set and then by clip id."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Folder of one run, which no other process can open at the same time.

    Attributes:
        path: the folder.
        response_log: log of the responses received so far.
        changed_audio: ids of clips whose audio changed since the last start, by the name of the
            evaluation set.
    """

    path: Path
    response_log: ResponseLog
    changed_audio: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, name: str, content: str | Iterable[str]) -> Path:
        """Write a file in the folder, and return its path; see `atomic_write`."""
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
    """Open the folder of a run, to start the run or to resume it.

    Args:
        path: folder of the run, created if necessary.
        config: text of the configuration.
        pinned: all other data that determine the result (components, data, prompts), as plain JSON
            data. A run can be resumed only if they have not changed.
        start_info: information to record at every start (versions, time), as plain JSON data.
        audio_digests: digest of the audio of each clip, by evaluation set and clip id. They show
            whether the audio has changed when the run is resumed.
        allow_changed_audio: whether a run can be resumed if the audio of clips has changed.
        incompatibility: function that is called with the text of the configuration in the folder
            if it differs from `config`. It returns None if the run can be resumed with `config`;
            otherwise it returns the reason, which may be "". The default function returns "".
        overwrite: whether to replace another run in the folder. Stored responses are not deleted,
            because each belongs to a prompt and a model.
        advice: last sentence of the error message if the folder contains another run; "" means a
            general sentence.

    Raises:
        InvalidInputError: if the folder contains another run, other files or a damaged response
            log, or if another process is using it.
    """
    folder = Path(path)
    _create(folder)
    in_use = InvalidInputError(
        f"{folder}: another process is using this folder. Wait, or choose another folder."
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
        # The manifest is written last; a folder is a run only if it contains a manifest.
        atomic_write(folder / MANIFEST, _to_text(manifest))
        del manifest, pinned  # hundreds of megabytes for a million clips
        yield RunFolder(folder, ResponseLog(folder / RESPONSES), changed)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"{folder}: the folder of the run cannot be created ({error}). Choose another path."
        ) from error


def _check_config(
    folder: Path, config: str, incompatibility: Callable[[str], str | None], advice: str
) -> None:
    """Raise `InvalidInputError` if `config` cannot be used in a folder.

    Either the folder contains responses without a manifest, so that it is not a run; or it contains
    a run with another configuration, and `incompatibility` returns a reason.
    """
    if not (folder / MANIFEST).is_file():
        if (folder / RESPONSES).exists():
            raise InvalidInputError(
                f"{folder}: contains {RESPONSES} but no {MANIFEST}, so it is not a run. "
                "Choose another folder."
            )
        return
    try:
        previous = (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{folder / CONFIG}: the configuration of the run cannot be read ({error}). Restore "
            "this file, or choose another folder."
        ) from error
    reason = incompatibility(previous) if previous != config else None
    if reason is not None:
        general = (
            f"Continue with {folder / CONFIG}, or choose another folder; with a shared cache, no "
            "prompt is sent again."
        )
        raise InvalidInputError(
            f"{folder}: contains another configuration{f' ({reason})' if reason else ''}. "
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
    """Return the manifest with a new entry for this start, and the clips whose audio changed.

    The clips are a dictionary from evaluation set to clip ids.

    Raises:
        InvalidInputError: if the inputs of the run in the folder differ.
    """
    expected = json.loads(json.dumps(pinned, allow_nan=False))
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
            f"{folder}: contains a run with the same configuration, but different inputs: "
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
    """Yield a sentence for each difference between two values of plain JSON data."""
    if previous == current:
        return
    if not (isinstance(previous, Mapping) and isinstance(current, Mapping)):
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
    """Read the manifest of a run: the file that records its inputs and when it was started."""
    try:
        manifest = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: cannot be read as JSON ({error}).") from error
    if not _is_manifest(manifest):
        raise InvalidInputError(f"{path}: expected the manifest of a run. Choose another folder.")
    return manifest


def _is_manifest(content: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the JSON content of a file has the structure of a manifest."""
    if not isinstance(content, dict) or set(content) - {"sounds"} != {"pinned", "starts"}:
        return False
    sounds = content.get("sounds", {})
    return (
        isinstance(content["starts"], list)
        and isinstance(sounds, dict)
        and all(isinstance(digests, dict) for digests in sounds.values())
    )


def _to_text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
