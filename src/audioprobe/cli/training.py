"""Commands that fetch what to learn from, train, and examine."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app, shipped
from audioprobe.cli.console import terminal_width, write
from audioprobe.cli.progress import duration, progress_bars
from audioprobe.io.text_table import printable

_SHIPPED = shipped("audioprobe.small_ltu", "recipes")

RecordingsOption = Annotated[
    Path | None, Parameter(help="Folder of `fetch-sounds` [in the user's cache directory].")
]


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
    from audioprobe.datasets import debian

    names = None if packages is None else [name.strip() for name in packages.split(",")]
    if summary:
        write(debian.summary_text(names, width=terminal_width()))
        return 0
    folder = out or debian.default_folder()
    with progress_bars() as progress:
        results = debian.fetch_packages(folder, names, progress=progress)
    text, complete = debian.fetch_report(folder, results)
    write(text)
    return 0 if complete else EXIT_FAILED


@app.command
def train(
    recipe: Annotated[
        str,
        Parameter(help=f"A file of TOML, or the name of one that ships: {', '.join(_SHIPPED)}."),
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder of this training; one that was stopped goes on.")],
    recordings: RecordingsOption = None,
    workers: Annotated[int, Parameter(help="Processes that make scenes.")] = 2,
) -> int:
    """Train a small LTU from nothing but a LLaMA: encoder first, then the model in stages.

    The model is in OUT/ltu, for `LTU.from_pretrained`. Stopped anywhere, the same command goes on
    to the weights that it would have reached. "quick" shows every part at work, in about four
    minutes on one core; "mini" takes hours, and needs the recordings of `fetch-sounds`.

    Example: audioprobe train quick --out quick/
    """
    from audioprobe.small_ltu.curriculum import Curriculum
    from audioprobe.small_ltu.recipe import read_recipe

    chosen = read_recipe(recipe)
    began = time.monotonic()
    with progress_bars() as bars:
        training = Curriculum(chosen, out, recordings=recordings, workers=workers, progress=bars)
        folder = training.train()
    write(printable(f"wrote {folder} in {duration(time.monotonic() - began)}"))
    return 0


@app.command
def examine(
    folder: Annotated[Path, Parameter(help="Of a training that has ended.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of the results [FOLDER/evaluation].")
    ] = None,
    recordings: RecordingsOption = None,
) -> int:
    """Measure what a training has made, on scenes and recordings that it never saw.

    Every number comes with an interval, and where questions could be guessed, with what a guesser
    reaches who never listens. Parts that are in the folder are not measured again, so a stopped
    exam goes on. That of "quick" takes about twelve minutes on one core.

    Example: audioprobe examine quick/
    """
    from audioprobe.scorers.embedding import EmbeddingScorer
    from audioprobe.small_ltu.evaluation.evaluation import SmallLTUEvaluation
    from audioprobe.small_ltu.evaluation.results import results_table

    began, target = time.monotonic(), out or folder / "evaluation"
    with progress_bars() as bars:
        exam = SmallLTUEvaluation(
            folder,
            target,
            EmbeddingScorer.local(),
            recordings=recordings,
            progress=bars,
        )
        findings = exam()
    write(results_table(findings).to_text(terminal_width()))
    write(printable(f"\nwrote {target} in {duration(time.monotonic() - began)}"))
    return 0
