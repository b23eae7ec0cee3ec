"""What a run's folder records of its start and its sounds."""

import hashlib
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import parse_config
from audioprobe.io.run_folder import CONFIG, RunFolder
from audioprobe.models.cached import CachedModel
from audioprobe.results.provenance import now, versions
from audioprobe.training_data import training_notes
from audioprobe.types import Clip

T = TypeVar("T")

_DIGITS = 16
_SHOWN = 5  # clips that a sentence names

RESULTS = "results"
"""Folder of a run that holds a file for each of its parts."""


def started() -> dict[str, object]:
    """What is recorded of every start of a run."""
    return {"time": now(), "versions": versions(), "commit": commit()}


def commit() -> str:
    """The commit of the working directory, with "+" where files differ; "" where there is none."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


Say = Callable[[str], None]
"""Told in a sentence what a user should know of a start."""


def same_config(older: str, config: T) -> str | None:
    """Why a run by an older text of a configuration cannot go on; None where both say the same.

    Comments, the order of keys and defaults that are written out make no difference.
    """
    try:
        was = parse_config(type(config), tomllib.loads(older), "the older configuration")
    except (InvalidInputError, tomllib.TOMLDecodeError) as error:
        return str(error)
    return None if was == config else ""


def tell_changes(run: RunFolder, sounds: Mapping[str, Mapping[str, str]], say: Say) -> None:
    """Say which sounds are other ones than at the last start of a run."""
    for name, changed in run.changed_audio.items():
        shown = ", ".join(map(repr, changed[:_SHOWN]))
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        say(
            f"{name}: {len(changed)} of {len(sounds[name])} sounds changed since the last start: "
            f"{shown}{more}. Prompts with their sound are asked again, all other answers are kept."
        )


def tell_reuse(models: Sequence[CachedModel], n_before: int, say: Say) -> None:
    """Say how many prompts a run that goes on has asked, and how many answers it had.

    Args:
        models: that read from the run's folder.
        n_before: answers in the folder before this start; without any, nothing is said.
        say: told.
    """
    if n_before:
        n_kept, n_asked = sum(m.n_hits for m in models), sum(m.n_misses for m in models)
        say(f"{n_kept} prompts had an answer in the folder, {n_asked} were asked.")


def refuse_familiar(
    name: str, familiar: bool | None, found: Mapping[str, tuple[str, ...]], n_clips: int
) -> None:
    """Refuse sounds that are called unfamiliar to a model that was trained on them.

    Args:
        name: of the evaluation set.
        familiar: as in the configuration.
        found: ids of clips that a model was trained on, by the model.
        n_clips: clips in all.

    Raises:
        InvalidInputError: names the clips.
    """
    for note, clips in zip(
        training_notes(found, n_clips), filter(None, found.values()), strict=True
    ):
        if familiar is False:
            shown = ", ".join(map(repr, clips[:_SHOWN])) + (", ..." if clips[_SHOWN:] else "")
            raise InvalidInputError(
                f"{name}: familiar = false, but {note}: {shown}. Write familiar = true, leave "
                "these clips out, or write allow_training_clips = true to go on nevertheless."
            )


def clip_digests(clips: Iterable[Clip]) -> dict[str, str]:
    """What a run knows of each clip besides its sound, by id (16 hexadecimal digits).

    That is where it begins and ends in its file, and its labels.
    """
    return {
        clip.id: hashlib.sha256(
            f"{clip.start}\t{clip.duration}\t{clip.labels}".encode("utf-8", "surrogatepass")
        ).hexdigest()[:_DIGITS]
        for clip in clips
    }


def sound_digests(clips: Iterable[Clip]) -> dict[str, str]:
    """SHA-256 of the sound of each clip, by id (16 hexadecimal digits).

    It is that of the bytes of the file, which is read once however many clips it has, or of the
    samples of a sound in memory. A file that cannot be read has the cause instead.
    """
    of_file = cache(_file_digest)
    found = {}
    for clip in clips:
        if clip.waveform is not None:
            found[clip.id] = clip.waveform.digest()[:_DIGITS]
        elif clip.path is not None:
            found[clip.id] = of_file(clip.path)
    return found


def _file_digest(path: Path) -> str:
    if not path.is_file():
        return "no such file"
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:_DIGITS]
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def read_results(folder: Path, names: Sequence[str]) -> list[str]:
    """Texts of the results that a finished run left in its folder.

    Args:
        folder: of the run.
        names: of the results, without ".json".

    Raises:
        InvalidInputError: if one is not there, because the run is not at its end, or not readable.
    """
    paths = [folder / RESULTS / f"{name}.json" for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InvalidInputError(
            f"{folder}: {len(missing)} of {len(paths)} parts of the run have no result yet, the "
            f"first is {missing[0].name}. Go on with: audioprobe run {folder / CONFIG} "
            f"--out {folder}"
        )
    try:
        return [path.read_text(encoding="utf-8") for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{folder}: a result is not readable ({error}).") from error


def digest_of(clips: Iterable[Clip]) -> str:
    """Names, starts and labels of clips, in order (16 hexadecimal digits)."""
    content = hashlib.sha256()
    for clip in clips:
        content.update(f"{clip.id}\t{clip.start}\t{clip.labels}\n".encode("utf-8", "surrogatepass"))
    return content.hexdigest()[:_DIGITS]
