"""Commands that classify sounds."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.errors import InvalidInputError
from audioprobe.registry import available, load
from audioprobe.tables import printable
from audioprobe.terminal import progress_bar, terminal_width, write

if TYPE_CHECKING:
    from audioprobe.protocols import Scorer
    from audioprobe.results import ClassificationResult

DEFAULT_MODEL = "ltu:mini"
BESIDE = "tag-captioner:birdnet"
DEFAULT_SCORER = "embedding"

ModelOption = Annotated[
    str, Parameter(help="Who listens: a language model's NAME or NAME:ARGUMENT, see `backends`.")
]
ScorerOption = Annotated[
    str,
    Parameter(
        help='Who compares captions with labels: "embedding" (all-MiniLM-L6-v2 on this '
        'machine), "embedding:openai:text-embedding-ada-002", "keyword".'
    ),
]
OutOption = Annotated[
    Path | None, Parameter(help="Folder for result.json (everything) and scores.csv.")
]
PlotOption = Annotated[
    Path | None, Parameter(help="Draw the scores into this file (.png, .svg or .pdf).")
]
JsonOption = Annotated[
    bool, Parameter(help="Print the whole result as JSON, and no table.", negative=())
]


@app.command
def classify(
    sounds: Annotated[
        list[str], Parameter(help="Sound files, or folders that are searched through.")
    ],
    /,
    *,
    labels: Annotated[str | None, Parameter(help="Class names, with commas between them.")] = None,
    labels_file: Annotated[
        Path | None, Parameter(help="A text file with one class name a line.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    scorer: ScorerOption = DEFAULT_SCORER,
    out: OutOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> int:
    """Caption sounds and score the captions against labels.

    Recordings longer than 10 s are heard in windows of 10 s, whose scores are pooled by their
    maximum. A sound that cannot be read is listed with its cause. The exit status is 0 if a sound
    was scored, 1 if none could be, 2 if something must be mended first.

    Example: audioprobe classify meadow.wav street/ --labels crow,rain,truck --out run/
    """
    names = _labels(labels, labels_file)
    output = _Output(out, plot, json)
    return output.write(_classified(sounds, names, model, scorer))


@app.command
def demo(
    *,
    model: ModelOption = DEFAULT_MODEL,
    beside: Annotated[
        str | None,
        Parameter(help="Another listener, whose captions stand beside [BirdNET, if it is there]."),
    ] = None,
    scorer: ScorerOption = DEFAULT_SCORER,
    out: OutOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> int:
    """Classify the 22 real recordings that ship with the library, and compare with their labels."""
    from audioprobe.datasets.recordings import Recordings
    from audioprobe.results.comparison import captions_beside

    recordings, output = Recordings(), _Output(out, plot, json)
    judge = load("scorer", scorer)  # once, for both listeners
    result = _classified(recordings.clips(), recordings.labels, model, judge)
    peer = None if json else _peer(beside, model)
    if peer is None:
        return output.write(result)
    other = _classified(recordings.clips(), recordings.labels, peer, judge)
    write(captions_beside({model: result, peer: other}).to_text(terminal_width()))
    write(f"\nBy the captions of {printable(peer)}:\n\n{other.evaluate()}")
    write(f"\nBy the captions of {printable(model)}:\n")
    return output.write(result)


def _peer(named: str | None, model: str) -> str | None:
    """BirdNET where nothing is named, it listens not already, and its extra is installed."""
    if named is not None:
        return named
    ready = {backend.name for backend in available() if not backend.install}
    return BESIDE if "birdnet" in ready and model != BESIDE else None


def _classified(
    sounds: object, labels: Sequence[str], model: str, scorer: "Scorer | str"
) -> "ClassificationResult":
    from audioprobe.audio.sources import clips_of
    from audioprobe.classifiers.caption import CaptionClassifier
    from audioprobe.scorers.labels import checked_labels

    # What is wrong with the input is told before a model is loaded.
    clips = clips_of(sounds)  # type: ignore[arg-type]
    checked_labels(labels)
    classifier = CaptionClassifier(model, scorer)
    with progress_bar() as progress:
        return classifier(clips, labels, progress=progress)


class _Output:
    """Where a result goes. What cannot be written is told before hours of captioning."""

    def __init__(self, out: Path | None, plot: Path | None, as_json: bool) -> None:
        self._draw = None if plot is None else _drawer(plot)
        if out is not None:
            _make_folder(out)
        self._out = out
        self._as_json = as_json

    def write(self, result: "ClassificationResult") -> int:
        """Print and save it.

        Returns:
            The exit status.
        """
        if self._as_json:
            write(result.to_json())
        else:
            write(result.to_text(width=terminal_width()))
            if result.truth and result.clip_ids:
                write(f"\n{result.evaluate()}")
        written = [] if self._out is None else list(result.save(self._out))
        if self._draw is not None and result.clip_ids:
            written.append(self._draw(result))
        for path in written:
            sys.stderr.write(f"wrote {printable(str(path))}\n")
        return 0 if result.clip_ids else EXIT_FAILED


def _drawer(plot: Path) -> "Callable[[ClassificationResult], Path]":
    from audioprobe.reports.score_map import check_format, save_score_map

    check_format(plot)
    if plot.is_dir():
        raise InvalidInputError(f"{plot}: a folder, expected a file to draw into.")
    _make_folder(plot.parent)
    return lambda result: save_score_map(result, plot)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be a folder for results ({error}).") from error


def _labels(listed: str | None, file: Path | None) -> tuple[str, ...]:
    if (listed is None) == (file is None):
        raise InvalidInputError("Give either --labels crow,drum,bell or --labels-file labels.txt.")
    if listed is not None:
        return tuple(label.strip() for label in listed.split(","))
    assert file is not None  # noqa: S101 - one of the two is
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: not a readable text file of labels ({error}).") from error
    return tuple(line.strip() for line in lines if line.strip())
