"""Folder of an experiment, and its metadata: starts, clips, and clips used in training."""

import functools
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from audioprobe.audio.training_clips import training_clips
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import EvaluationClips
from audioprobe.io.config import parse_config
from audioprobe.io.file_digests import DIGITS, FileDigests, file_digest
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import CONFIG, AudioDigests, RunFolder, open_run
from audioprobe.models.cached import CachedModel
from audioprobe.parsing import parse_toml
from audioprobe.protocols import LanguageModel
from audioprobe.results.provenance import now, versions
from audioprobe.training_data import training_notes
from audioprobe.types import Clip

_SHOWN = 5  # maximum number of clips that a sentence names

FILE_DIGESTS = "file-digests.json"
"""Table of the digests of the audio files in the folder of a run; see `FileDigests`."""

RESULTS = "results"
"""Name of the folder with one result file for each part of a run."""

Notify = Callable[[str], None]
"""Callback that receives notices for the user, one sentence each."""


class ExperimentFolder:
    """Open folder of an experiment, which stores the responses of models and the results.

    Args:
        run: folder of the run.
        cache: path of a response cache that several runs share; "" uses no cache.
        digests: digests of the audio, by name of the evaluation set and then by clip id.

    Attributes:
        response_log: log of the responses in the folder.
        results: folder of the results.
        audio_digests: digests of the audio, by name of the evaluation set and then by clip id.
        n_reused: number of responses in finished results that were not computed again.
    """

    def __init__(self, run: RunFolder, cache: str, digests: AudioDigests) -> None:
        self.response_log = run.response_log
        self.results = run.path / RESULTS
        self.audio_digests = digests
        self.n_reused = 0
        self._run = run
        self._cache = cache
        self._models: list[CachedModel] = []
        self._n_before = len(run.response_log)

    def logged(self, model: LanguageModel) -> CachedModel:
        """Wrap a model so that it stores its responses in the log and cache, and reuses them."""
        if self._cache:
            model = CachedModel(model, Path(self._cache).expanduser())
        self._models.append(CachedModel(model, self.response_log))
        return self._models[-1]

    def store(self, name: str, content: str | Iterable[str]) -> None:
        """Write a file into the folder of results; see `atomic_write`."""
        self.results.mkdir(exist_ok=True)
        self._run.write(f"{RESULTS}/{name}", content)

    def notify_reuse(self, notify: Notify) -> None:
        """Report how many prompts of a resumed run reused a response, and how many were sent."""
        if self._n_before:
            n_hits = self.n_reused + sum(model.n_hits for model in self._models)
            n_misses = sum(model.n_misses for model in self._models)
            notify(f"{n_hits} prompts had a response in the folder, {n_misses} were sent.")


@contextmanager
def open_experiment(
    folder: str | Path,
    config: object,
    text: str,
    pairs: Sequence[tuple[EvaluationClips, LanguageModel]],
    *,
    pinned: Mapping[str, object],
    examples: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    cache: str,
    notify: Notify,
) -> Iterator[ExperimentFolder]:
    """Open the folder of an experiment, to start or to resume its run.

    Args:
        folder: folder of the run; an interrupted run resumes.
        config: configuration of the run.
        text: text of the configuration.
        pairs: evaluation sets, each with a model that is asked about its clips.
        pinned: JSON data about models and prompts; a run can resume only if they are unchanged.
        examples: digests by which changed audio of in-context examples is detected: by name of the
            examples, then by position.
        cache: path of a response cache that several runs share; "" uses no cache.
        notify: called with notices about changed audio, training clips and reused responses.

    Raises:
        InvalidInputError: for the reasons of `open_run`, or if a model was trained on clips that
            the config calls unfamiliar.
    """
    sets = {clips.name: clips for clips, _ in pairs}
    trained_on: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in sets}
    for clips, model in pairs:
        trained_on[clips.name] |= find_training_clips(clips, model)
    of_file = FileDigests(Path(folder) / FILE_DIGESTS)
    digests: dict[str, Mapping[str, str]] = {
        name: audio_digests(each.clips, of_file) for name, each in sets.items()
    }
    digests |= examples
    data = {name: json.loads(to_json(each.info)) for name, each in sets.items()}
    with open_run(
        folder,
        text,
        {
            **pinned,
            "data": data,
            "clips": {name: clip_digests(each.clips) for name, each in sets.items()},
        },
        {**run_start(), "training clips": trained_on},
        audio_digests=digests,
        incompatibility=lambda older: config_difference(older, config),
    ) as run:
        of_file.save()
        notify_changes(run, digests, notify)
        for name, each in sets.items():
            for note in training_notes(trained_on[name], len(each.clips)):
                notify(f"{name}: {note}.")
        opened = ExperimentFolder(run, cache, digests)
        yield opened
        opened.notify_reuse(notify)


def run_start() -> dict[str, object]:
    """Return the current time, the package versions and the git commit, to record at a start."""
    return {"time": now(), "versions": versions(), "commit": _commit()}


def _commit() -> str:
    """Return the git commit of the working directory; "" if it is unknown.

    The text ends with "+" if there are uncommitted changes.
    """
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
    """Return the reason why a run cannot be resumed with `config`; None if it can.

    Comments, the order of keys, and whether default values are written out make no difference.

    Args:
        older: text of the configuration in the folder of the run.
        config: new configuration.

    Returns:
        None if the values are equal, "" if they differ, or the error message if `older` is invalid.
    """
    try:
        before = parse_config(type(config), parse_toml(older), "the older configuration")
    except ValueError as error:  # also an InvalidInputError
        return str(error)
    return None if before == config else ""


def notify_changes(
    run: RunFolder, digests: Mapping[str, Mapping[str, str]], notify: Notify
) -> None:
    """Notify the user of clips whose audio has changed since the run was last started.

    Args:
        run: opened folder of the run; it contains the ids of the changed clips.
        digests: audio digests by name of the evaluation set or examples, then by clip; only their
            numbers are used, for the message.
        notify: called once for each evaluation set, or set of examples, with changed clips.
    """
    for name, changed in run.changed_audio.items():
        shown = ", ".join(map(repr, changed[:_SHOWN]))
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        notify(
            f"{name}: the audio of {len(changed)} of {len(digests[name])} clips changed since the "
            f"last start: {shown}{more}. Their prompts are sent again; all other responses are "
            "reused."
        )


def find_training_clips(clips: EvaluationClips, model: LanguageModel) -> dict[str, tuple[str, ...]]:
    """Return the ids of the clips that a model was trained on, by name of the trained model.

    The result is {} if the training data of the model are unknown.

    Raises:
        InvalidInputError: if the model was trained on some of the clips although the config states
            `familiar = false`, without `allow_training_clips = true`.
    """
    trained_on = training_clips(clips.clips, model)
    if clips.familiar is False and not clips.allow_training_clips:
        notes = training_notes(trained_on, len(clips.clips))
        for note, ids in zip(notes, filter(None, trained_on.values()), strict=True):
            shown = ", ".join(map(repr, ids[:_SHOWN])) + (", ..." if ids[_SHOWN:] else "")
            raise InvalidInputError(
                f"{clips.name}: familiar = false, but {note}: {shown}. Set familiar = true, remove "
                "these clips, or set allow_training_clips = true to continue."
            )
    return trained_on


def clip_digests(clips: Iterable[Clip]) -> dict[str, str]:
    """Return a digest of each clip's start, duration and labels, to detect changes, by clip id."""
    return {
        clip.id: hashlib.sha256(
            f"{clip.start}\t{clip.duration}\t{clip.labels}".encode("utf-8", "surrogatepass")
        ).hexdigest()[:DIGITS]
        for clip in clips
    }


def audio_digests(
    clips: Iterable[Clip], file_digest: Callable[[Path], str] = file_digest
) -> dict[str, str]:
    """Return a digest of each clip's audio, by clip id, to detect changed audio.

    A digest is 16 hexadecimal digits of the SHA-256 of the file, or of the samples of a clip in
    memory. If the file cannot be read, the value is the error text, such as "no such file".

    Args:
        clips: the clips.
        file_digest: function that returns the digest of a file; it is called once per file.
    """
    of_file = functools.cache(file_digest)
    digests = {}
    for clip in clips:
        if clip.waveform is not None:
            digests[clip.id] = clip.waveform.digest()[:DIGITS]
        elif clip.path is not None:
            digests[clip.id] = of_file(clip.path)
    return digests


def result_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the paths of the result files of a finished run, in the order of `names`.

    Args:
        folder: folder of the run.
        names: names of the result files, without ".json".

    Raises:
        InvalidInputError: if a result is missing (the run is not finished).
    """
    paths = [folder / RESULTS / f"{name}.json" for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InvalidInputError(
            f"{folder}: {len(missing)} of {len(paths)} parts of the run have no result yet; the "
            f"first is {missing[0].name}. Resume with: audioprobe run {folder / CONFIG} "
            f"--out {folder}"
        )
    return paths


def read_result(path: Path) -> str:
    """Return the content of a result file.

    Raises:
        InvalidInputError: if the file is unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path}: the result is not readable ({error}). Repeat the run."
        ) from error
