"""Write the output of a classification: first files, then standard output."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioprobe.cli.app import EXIT_FAILED
from audioprobe.errors import InvalidInputError
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.run_folder import CONFIG, MANIFEST, AudioDigests, RunFolder, open_run

if TYPE_CHECKING:
    from audioprobe.results import ClassificationResult

RESULT_FILES = ("result.json", "scores.csv")  # written by `ClassificationResult.save`
KINDS = ("classify", "demo")
"""Values of `kind` in the configs that these commands write into a folder."""

_ADVICE = "Choose another folder, or pass --overwrite to replace its content."


class Output:
    """Destinations of a result; they are checked before the clips are captioned.

    Args:
        out: folder for the result and the responses; None if no folder is written.
        plot: file for a plot of the scores; None if no plot is drawn.
        as_json: whether the result is printed as JSON.
        overwrite: whether another result in the folder may be replaced.

    Raises:
        InvalidInputError: if a folder or file cannot be written, or the folder contains other files
            that would be overwritten.
    """

    def __init__(
        self, out: Path | None, plot: Path | None, *, as_json: bool, overwrite: bool
    ) -> None:
        self._draw = None if plot is None else _drawer(plot)
        self._out = out
        self.as_json = as_json
        self._overwrite = overwrite
        if out is not None:
            _make_folder(out)
            _refuse_others(out, overwrite=overwrite)

    @contextmanager
    def run(
        self,
        config: Mapping[str, Any],
        pinned: Callable[[], Mapping[str, object]],
        sounds: AudioDigests,
    ) -> Iterator[RunFolder | None]:
        """Lock the output folder while clips are captioned (a context manager).

        Args:
            config: arguments of the command, as TOML data.
            pinned: function that returns everything else that the result depends on, as JSON data.
            sounds: digests of the audio.

        Yields:
            The folder; None if there is no output folder.

        Raises:
            InvalidInputError: if the folder contains another result.
        """
        if self._out is None:
            yield None
            return
        import tomli_w

        from audioprobe.experiments.run_metadata import notify_changes, run_start

        text = tomli_w.dumps(_in_utf8(config))
        with open_run(
            self._out,
            text,
            pinned(),
            run_start(),
            audio_digests=sounds,
            overwrite=self._overwrite,
            advice=_ADVICE,
        ) as run:
            notify_changes(run, sounds, note)
            if self._overwrite:  # an old result would look like the result of this config
                for name in RESULT_FILES:
                    (run.path / name).unlink(missing_ok=True)
            n_kept = len(run.response_log)
            if n_kept:
                note(f"{run.path}: {n_kept} captions are reused")
            try:
                yield run
            except KeyboardInterrupt:
                n_captions = len(run.response_log)
                note(f"{run.path}: {n_captions} captions are kept; the same command resumes")
                raise

    def write(self, result: "ClassificationResult", before: Sequence[str] = ()) -> int:
        """Save the result, then print it.

        Args:
            result: result of the clips.
            before: texts to print before the result; ignored if the result is printed as JSON.

        Returns:
            The exit status.
        """
        written = [] if self._out is None else list(result.save(self._out))
        if self._draw is not None and result.clip_ids:
            written.append(self._draw(result))
        for path in written:
            note(f"wrote {path}")
        if self.as_json:
            write(result.to_json())
        else:
            for text in before:
                write(text)
            write(result.to_text(width=terminal_width()))
            if result.truth and result.clip_ids:
                write(f"\n{result.evaluate()}")
        return 0 if result.clip_ids else EXIT_FAILED


def _refuse_others(out: Path, *, overwrite: bool) -> None:
    """Raise if a classification would overwrite other files in the folder.

    These are a run of another kind, or results without a manifest unless `overwrite` is set.
    """
    from audioprobe.io.config import read_toml

    if (out / MANIFEST).is_file():
        kind = read_toml(out / CONFIG).get("kind")
        if kind not in KINDS:
            raise InvalidInputError(
                f"{out}: expected an empty folder or a result of this command, received a run of "
                f"kind {kind!r}. Choose another folder."
            )
        return
    existing = [name for name in RESULT_FILES if (out / name).exists()]
    if existing and not overwrite:
        raise InvalidInputError(f"{out}: {existing[0]} already exists. {_ADVICE}")


def _drawer(plot: Path) -> "Callable[[ClassificationResult], Path]":
    from audioprobe.plots.canvas import check_format, off_screen, save_figure
    from audioprobe.results.plotting import plot_scores

    check_format(plot)
    if plot.is_dir():
        raise InvalidInputError(f"{plot}: expected a file to draw into, received a folder.")
    _make_folder(plot.parent)
    return lambda result: save_figure(plot_scores(result, off_screen), plot)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be a folder for results ({error}).") from error


def _in_utf8(value: Any) -> Any:  # noqa: ANN401 - plain TOML data
    """Return TOML data in which characters that UTF-8 cannot encode are replaced by escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {key: _in_utf8(item) for key, item in value.items()}
    return [_in_utf8(item) for item in value] if isinstance(value, list) else value
