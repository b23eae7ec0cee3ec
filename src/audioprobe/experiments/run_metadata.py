"""Metadata in the folder of an experiment: starts, clips, clips used in training, and results."""

import hashlib
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from audioprobe.audio.training_clips import training_clips
from audioprobe.errors import InvalidInputError
from audioprobe.io.config import parse_config
from audioprobe.io.run_folder import CONFIG, RunFolder, open_run
from audioprobe.models.cached import CachedModel
from audioprobe.protocols import LanguageModel
from audioprobe.results.provenance import now, versions
from audioprobe.training_data import training_notes
from audioprobe.types import Clip

T = TypeVar("T")

_DIGITS = 16  # number of hexadecimal digits of a digest
_SHOWN = 5  # maximum number of clips that a sentence names

RESULTS = "results"
"""Name of the folder with one result file for each part of a run."""

Notify = Callable[[str], None]
"""Callback that receives notices for the user, one sentence each."""

TrainingClips = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Ids of clips that a model was trained on, by evaluation set and name of the training data."""


@contextmanager
def open_experiment(
    folder: str | Path,
    config: object,
    text: str,
    *,
    pinned: Mapping[str, object],
    digests: Mapping[str, Mapping[str, str]],
    trained_on: TrainingClips,
    n_clips: Mapping[str, int],
    notify: Notify,
) -> Iterator[RunFolder]:
    """Open the folder of an experiment and report what changed since its last start.

    Args:
        folder: folder of the run; an interrupted run resumes.
        config: configuration of the run.
        text: text of the configuration.
        pinned: everything else that results depend on, as JSON data.
        digests: digests of the audio, by evaluation set and clip.
        trained_on: clips that a model was trained on.
        n_clips: number of clips, by evaluation set.
        notify: called with notices about changed audio and training clips.

    Raises:
        InvalidInputError: see `open_run`.
    """
    start = {**run_start(), "training clips": trained_on}
    with open_run(
        folder,
        text,
        pinned,
        start,
        audio_digests=digests,
        incompatibility=lambda older: config_difference(older, config),
    ) as run:
        notify_changes(run, digests, notify)
        for name, n in n_clips.items():
            for note in training_notes(trained_on[name], n):
                notify(f"{name}: {note}.")
        yield run


def run_start() -> dict[str, object]:
    """Return the data recorded at every start of a run: time, versions and commit."""
    return {"time": now(), "versions": versions(), "commit": _commit()}


def _commit() -> str:
    """Return the commit of the working directory, with "+" if files differ; "" if unknown."""
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return process.stdout.strip() if process.returncode == 0 else ""


def config_difference(older: str, config: object) -> str | None:
    """Return why a run with an older config text cannot resume; None if both configs are equal.

    Comments, the order of keys and explicitly written default values make no difference.
    """
    try:
        before = parse_config(type(config), tomllib.loads(older), "the older configuration")
    except (InvalidInputError, tomllib.TOMLDecodeError) as error:
        return str(error)
    return None if before == config else ""


def notify_changes(
    run: RunFolder, digests: Mapping[str, Mapping[str, str]], notify: Notify
) -> None:
    """Report the clips whose audio differs from that of the last start of a run."""
    for name, changed in run.changed_audio.items():
        shown = ", ".join(map(repr, changed[:_SHOWN]))
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        notify(
            f"{name}: the audio of {len(changed)} of {len(digests[name])} clips changed since the "
            f"last start: {shown}{more}. Their prompts are sent again; all other responses are "
            "reused."
        )


def notify_reuse(models: Sequence[CachedModel], n_before: int, notify: Notify) -> None:
    """Report how many prompts of a resumed run were sent, and how many responses were reused.

    Args:
        models: models that reuse responses from the run's folder.
        n_before: number of responses in the folder before this start; if 0, nothing is reported.
        notify: called with the notice.
    """
    if n_before:
        n_hits, n_misses = sum(m.n_hits for m in models), sum(m.n_misses for m in models)
        notify(f"{n_hits} prompts had a response in the folder, {n_misses} were sent.")


def find_training_clips(
    name: str,
    clips: Sequence[Clip],
    model: LanguageModel,
    *,
    familiar: bool | None,
    allowed: bool,
) -> dict[str, tuple[str, ...]]:
    """Return the ids of clips that a model was trained on, by name of the training data.

    Args:
        name: name of the evaluation set.
        clips: clips of the evaluation set.
        model: model; if it does not state its training data, the result is empty.
        familiar: whether the config says that the model was trained on such audio; None if unknown.
        allowed: whether to continue if the config says "not familiar" but clips were used in
            training.

    Raises:
        InvalidInputError: if `familiar` is false, clips were used in training, and `allowed` is
            false.
    """
    trained_on = training_clips(clips, model)
    if familiar is False and not allowed:
        notes = training_notes(trained_on, len(clips))
        for note, ids in zip(notes, filter(None, trained_on.values()), strict=True):
            shown = ", ".join(map(repr, ids[:_SHOWN])) + (", ..." if ids[_SHOWN:] else "")
            raise InvalidInputError(
                f"{name}: familiar = false, but {note}: {shown}. Set familiar = true, remove these "
                "clips, or set allow_training_clips = true to continue."
            )
    return trained_on


def clip_digests(clips: Iterable[Clip]) -> dict[str, str]:
    """Return a digest of each clip's position in its file and labels, by id (16 hex digits)."""
    return {
        clip.id: hashlib.sha256(
            f"{clip.start}\t{clip.duration}\t{clip.labels}".encode("utf-8", "surrogatepass")
        ).hexdigest()[:_DIGITS]
        for clip in clips
    }


def audio_digests(clips: Iterable[Clip]) -> dict[str, str]:
    """Return the SHA-256 of each clip's audio, by id (16 hex digits).

    A clip of a file has the digest of the file's bytes (each file is read once); a clip in memory
    has the digest of its samples. For an unreadable file, the value is the cause of the failure.
    """
    of_file = cache(_file_digest)
    digests = {}
    for clip in clips:
        if clip.waveform is not None:
            digests[clip.id] = clip.waveform.digest()[:_DIGITS]
        elif clip.path is not None:
            digests[clip.id] = of_file(clip.path)
    return digests


def _file_digest(path: Path) -> str:
    if not path.is_file():
        return "no such file"
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:_DIGITS]
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def read_results(folder: Path, names: Sequence[str]) -> list[str]:
    """Read the result files of a finished run.

    Args:
        folder: folder of the run.
        names: names of the result files, without ".json".

    Returns:
        The text of each file, in the order of `names`.

    Raises:
        InvalidInputError: if a result is missing (the run is not finished) or unreadable.
    """
    paths = [folder / RESULTS / f"{name}.json" for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InvalidInputError(
            f"{folder}: {len(missing)} of {len(paths)} parts of the run have no result yet; the "
            f"first is {missing[0].name}. Resume with: audioprobe run {folder / CONFIG} "
            f"--out {folder}"
        )
    try:
        return [path.read_text(encoding="utf-8") for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{folder}: a result is not readable ({error}). Repeat the run."
        ) from error


def clips_digest(clips: Iterable[Clip]) -> str:
    """Return a digest of the ids, starts and labels of clips, in order (16 hex digits)."""
    content = hashlib.sha256()
    for clip in clips:
        content.update(f"{clip.id}\t{clip.start}\t{clip.labels}\n".encode("utf-8", "surrogatepass"))
    return content.hexdigest()[:_DIGITS]
