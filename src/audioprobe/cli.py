"""The command line: classify sounds, list backends, examine the machine."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.progress import DownloadColumn

from audioprobe import __version__
from audioprobe.errors import AudioProbeError, InvalidInputError
from audioprobe.registry import available, load
from audioprobe.tables import Table, printable
from audioprobe.terminal import progress_bar, stage_bars, terminal_width, write

if TYPE_CHECKING:
    from audioprobe.results import ClassificationResult

DEFAULT_MODEL = "tag-captioner:birdnet"
DEFAULT_SCORER = "embedding"

EXIT_FAILED = 1  # the run ended, but no clip could be scored
EXIT_REFUSED = 2  # the input or the installation is at fault
EXIT_INTERRUPTED = 130  # as shells report Ctrl-C

app = App(
    name="audioprobe",
    version=__version__,
    help="Find out what audio language models really hear.",
    suppress_keyboard_interrupt=False,  # main tells of it
)

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
    return _classify(sounds, names, model, scorer, out=out, plot=plot, as_json=json)


@app.command
def demo(
    *,
    model: ModelOption = DEFAULT_MODEL,
    scorer: ScorerOption = DEFAULT_SCORER,
    out: OutOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> int:
    """Classify the 22 real recordings that ship with the library, and compare with their labels."""
    from audioprobe.datasets.recordings import Recordings

    recordings = Recordings()
    return _classify(
        recordings.clips(), recordings.labels, model, scorer, out=out, plot=plot, as_json=json
    )


@app.command
def convert(
    checkpoint: Annotated[Path, Parameter(help="The trained file (.bin or .safetensors).")],
    /,
    *,
    base: Annotated[str, Parameter(help="Folder or hub name of the LLaMA that it was trained on.")],
    out: Annotated[Path, Parameter(help="The folder to write; must not be there yet.")],
    whisper: Annotated[
        str | None,
        Parameter(help="For LTU-AS: folder or hub name of its Whisper [openai/whisper-large]."),
    ] = None,
) -> int:
    """Write a published LTU, its base included, as one folder of safetensors.

    The folder loads in one call, `LTU.from_pretrained("OUT")`, or by `--model ltu:OUT`, and records
    the origin and hash of what it was made from.

    Example: audioprobe convert ltu_ori_paper.bin --base lmsys/vicuna-7b-v1.1 --out ltu-7b/
    """
    from audioprobe.language_models.conversion import convert_ltu

    folder = convert_ltu(checkpoint, out, base=base, whisper=whisper)
    write(printable(f"wrote {folder}"))
    return 0


@app.command
def fetch_sounds(
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder to fetch to [in the user's cache directory].")
    ] = None,
    packages: Annotated[str | None, Parameter(help="Names, with commas between [all].")] = None,
    summary: Annotated[bool, Parameter(help="Only print what there is.", negative=())] = False,
) -> int:
    """Fetch real recordings from Debian packages, 1.4 GB in all, for `DebianSounds`.

    Needs apt-get and dpkg-deb, but no root: nothing is installed. Packages in the folder are kept,
    so an interrupted run goes on. The exit status is 1 if a recording is missing.

    Example: audioprobe fetch-sounds --packages scratch,xboard --out sounds/
    """
    from audioprobe.datasets.debian import fetch, listing, table

    names = None if packages is None else [name.strip() for name in packages.split(",")]
    if summary:
        write(listing.contents(names, width=terminal_width()))
        return 0
    folder = out or table.default_folder()
    with progress_bar("bytes", DownloadColumn()) as progress:
        text, complete = listing.report(folder, fetch.fetch(folder, names, progress=progress))
    write(text)
    return 0 if complete else EXIT_FAILED


@app.command
def train(
    recipe: Annotated[str, Parameter(help="A file of TOML, or the name of one that ships: mini.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder of this training; one that was stopped goes on.")],
    recordings: Annotated[
        Path | None, Parameter(help="Folder of `fetch-sounds` [in the user's cache directory].")
    ] = None,
    workers: Annotated[int, Parameter(help="Processes that make scenes.")] = 2,
) -> int:
    """Train a small LTU from nothing but a LLaMA: encoder first, then the model in stages.

    The model is in OUT/ltu, for `LTU.from_pretrained`. Stopped anywhere, the same command goes on
    to the weights that it would have reached. "quick" shows every part at work in a minute or two;
    "mini" takes hours, and needs the recordings of `fetch-sounds`.

    Example: audioprobe train quick --out quick/
    """
    from audioprobe.training.curriculum import Curriculum
    from audioprobe.training.recipe import read_recipe

    chosen = read_recipe(recipe)
    with stage_bars() as bars:
        training = Curriculum(chosen, out, recordings=recordings, workers=workers, progress=bars)
        folder = training.train()
    write(printable(f"wrote {folder}"))
    return 0


@app.command
def backends() -> int:
    """List the installed backends, and what each unusable one needs."""
    rows = tuple(
        (b.kind.replace("_", " "), b.name, b.distribution, b.install or "ready")
        for b in available()
    )
    table = Table(("kind", "name", "from", "state, or how to make it ready"), rows)
    write(table.to_text(terminal_width()))
    return 0


@app.command
def doctor(
    *,
    offline: Annotated[
        bool, Parameter(help="Do not try to reach the model hub.", negative=())
    ] = False,
) -> int:
    """Examine machine, versions, weights and network, and say what to do about each problem.

    The exit status is 0 if the demo can run here, 1 if not.
    """
    from audioprobe.doctor import examine

    findings = examine(ask_network=not offline)
    for finding in findings:  # no table: a path that is folded cannot be copied
        write(printable(f"{finding.state:9}{finding.subject}: {finding.found}"))
        if finding.mend:
            write(printable(f"{'':9}-> {finding.mend}"))
    return EXIT_FAILED if any(f.state == "problem" for f in findings) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors raised on purpose are one line on standard error."""
    try:
        status = app(arguments, result_action="return_value")
    except (AudioProbeError, OSError) as error:
        sys.stderr.write(f"audioprobe: {printable(str(error))}\n")
        status = EXIT_REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("audioprobe: interrupted.\n")
        status = EXIT_INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)


def _classify(
    sounds: object,
    labels: Sequence[str],
    model: str,
    scorer: str,
    *,
    out: Path | None,
    plot: Path | None,
    as_json: bool,
) -> int:
    from audioprobe.classifiers.caption import CaptionClassifier

    # What cannot be written is told before hours of captioning.
    draw = None if plot is None else _drawer(plot)
    if out is not None:
        _make_folder(out)
    classifier = CaptionClassifier(load("language_model", model), load("scorer", scorer))
    with progress_bar() as progress:
        result = classifier(sounds, labels, progress=progress)  # type: ignore[arg-type]
    if as_json:
        write(result.to_json())
    else:
        write(result.to_text(width=terminal_width()))
        if result.truth and result.clip_ids:
            write(f"\n{result.evaluate()}")
    written = [] if out is None else list(result.save(out))
    if draw is not None and result.clip_ids:
        written.append(draw(result))
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
