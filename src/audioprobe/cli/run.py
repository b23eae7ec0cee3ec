"""Commands that run an experiment, report on a finished run, and compare two results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, EmbedOption, app, shipped
from audioprobe.errors import InvalidInputError, located
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.run_folder import CONFIG, MANIFEST
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun

_SHIPPED = shipped("audioprobe.experiments", "configs")
_SHOWN = 600  # number of characters of a prompt that a dry run shows
_CHARACTERS_PER_TOKEN = 4  # approximately, in English text
KINDS = ("classification", "probe", "finetuning", "interpretability", "architectures")
_TRAINS = ("finetuning", "architectures")

OnOption: TypeAlias = Annotated[
    str, Parameter(help='A Ray cluster: "ray" starts one here; "auto" or "HOST:PORT" finds one.')
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    Parameter(help="Processes that work at the same time [2 to train or on Ray, otherwise 1]."),
]
GpusOption: TypeAlias = Annotated[
    float | None,
    Parameter(help="GPUs of each worker on Ray, or a share of one [1 if there are GPUs]."),
]


@app.command
def run(
    config: Annotated[
        str, Parameter(help=f"A TOML file, or the name of a shipped config: {', '.join(_SHIPPED)}.")
    ],
    /,
    *,
    out: Annotated[
        Path | None,
        Parameter(help="Folder of the run [runs/NAME]; an interrupted run resumes."),
    ] = None,
    on: OnOption = "",
    workers: WorkersOption = None,
    gpus: GpusOption = None,
    embed_audio: EmbedOption = False,
    dry_run: Annotated[
        bool, Parameter(help="Only show prompts or training runs and their number.", negative=())
    ] = False,
) -> int:
    """Run an experiment: classification, probes, or a study of models (see the shipped configs).

    OUT/report.html is the report, OUT/summary.md and .tex have its tables, and OUT/scores.parquet
    or OUT/trials.parquet has all data. Each response is written to OUT/responses.jsonl at once: the
    same command resumes an interrupted run and repeats no prompt.

    Example: audioprobe run recordings --out runs/recordings
    """
    from audioprobe.cli.architectures import run_architectures
    from audioprobe.cli.finetuning import run_study
    from audioprobe.cli.interpretability import run_interpretability
    from audioprobe.cli.probe import run_probe
    from audioprobe.experiments.components import SHIPPED_CONFIGS
    from audioprobe.experiments.placement import Placement
    from audioprobe.io.config import find_config

    path = find_config(config, SHIPPED_CONFIGS)
    folder = out or Path("runs") / path.stem
    kind = run_kind(path)
    n_workers = workers if workers is not None else 2 if on or kind in _TRAINS else 1
    placement = Placement(n_workers, on, gpus)
    text = path.read_text(encoding="utf-8-sig")
    if kind == "probe":
        return run_probe(text, str(path), folder, placement, embed=embed_audio, dry_run=dry_run)
    if kind == "interpretability":
        return run_interpretability(path, folder, placement, dry_run=dry_run)
    if kind == "architectures":
        return run_architectures(path, folder, placement, dry_run=dry_run)
    if kind == "finetuning":
        return run_study(text, str(path), folder, placement, dry_run=dry_run)
    prepared = classification_run(path)
    if dry_run:
        _show(prepared)
        return 0
    with progress_bars() as progress, located(str(path)):
        cells = prepared(folder, progress, placement=placement, notify=note)
    return _report_classification(prepared, cells, folder, path.stem, embed=embed_audio)


@app.command
def report(
    folder: Annotated[Path, Parameter(help="Folder of a run: the --out of `run` or `probe`.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Folder to write to [FOLDER].")] = None,
    name: Annotated[str, Parameter(help="Name in the title [name of FOLDER].")] = "",
    embed_audio: EmbedOption = False,
) -> int:
    """Compute the tables and the report of a run again from its folder; no model is used.

    The reports of classification and concept probes show audio, which must still exist. The report
    of a study needs only its folder, and contains the training runs or measurements that finished.

    Example: audioprobe report runs/recordings --out again
    """
    from audioprobe.cli.architectures import report_architectures
    from audioprobe.cli.finetuning import report_study
    from audioprobe.cli.interpretability import report_interpretability
    from audioprobe.cli.probe import read_probe_run, report_probe

    check_run_folder(folder)
    config, target = folder / CONFIG, out or folder
    title = name or folder.resolve().name
    kind = run_kind(config)
    if kind == "finetuning":
        return report_study(folder, title, out)
    if kind == "interpretability":
        return report_interpretability(folder, title, out)
    if kind == "architectures":
        return report_architectures(folder, title, out)
    if kind == "probe":
        text = config.read_text(encoding="utf-8-sig")
        probe = read_probe_run(text, str(config))
        results = probe.read(folder)
        target.mkdir(parents=True, exist_ok=True)
        return report_probe(probe, results, target, title, embed=embed_audio)
    prepared = classification_run(config)
    cells = prepared.read(folder)
    target.mkdir(parents=True, exist_ok=True)
    return _report_classification(prepared, cells, target, title, embed=embed_audio)


@app.command
def compare(
    first: Annotated[Path, Parameter(help="A result.json, or a file results/*.json of a run.")],
    second: Annotated[Path, Parameter(help="Another result of the same clips and labels.")],
    /,
    *more: Annotated[Path, Parameter(help="Further results, for a ranking of all of them.")],
    groups: Annotated[
        Path | None,
        Parameter(
            help="Table with the columns clip and group (site, recorder): clips of a group are "
            "permuted together [the groups in the results]."
        ),
    ] = None,
) -> int:
    """Compare two results of the same clips: differences, p-values and detectable differences.

    Differences are first minus second: AUC by label (DeLong, or permutations of whole groups; with
    Holm and Benjamini-Hochberg corrections), macro AUC (permutation), and the share of clips whose
    best label is correct (McNemar, or sign flips of whole groups). With three or more results, the
    output is a ranking by macro AUC, and the p-values of all pairs are corrected together.

    Example: audioprobe compare run/results/test--caption.json run/results/test--labels.json
    """
    from audioprobe.results import ClassificationResult
    from audioprobe.results.compare import compare as compare_results
    from audioprobe.results.leaderboard import compare_many

    paths = (first, second, *more)
    results = [ClassificationResult.load(path) for path in paths]
    clips = {clip_id for result in results for clip_id in result.clip_ids}
    known = None if groups is None else read_groups(groups, "clip", clips)
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if more:
        ranking = compare_many(dict(zip(names, results, strict=True)), groups=known)
        write(ranking.to_text(terminal_width()))
    else:
        pair = compare_results(*results, groups=known, names=(names[0], names[1]))
        write(pair.to_text(terminal_width()))
    return 0


def read_groups(path: Path, column: str, ids: set[str]) -> dict[str, str]:
    """Return the group of each id, from a table with the columns `column` and "group".

    Args:
        path: the table.
        column: what the ids identify: "clip" or "item".
        ids: ids that need a group.

    Raises:
        InvalidInputError: if the table contains none of `ids`.
    """
    from audioprobe.io.tables import read_rows

    rows = read_rows(path, (column, "group"))
    groups = {str(row[column]): str(row["group"]) for row in rows if row["group"]}
    if not ids & groups.keys():
        raise InvalidInputError(
            f"{path}: expected {column} ids such as {min(ids, default='')!r} in the column "
            f"{column!r}; received {min(groups, default='')!r}."
        )
    return groups


def run_kind(config: Path) -> str:
    """Return the kind of experiment of a config.

    Raises:
        InvalidInputError: if the kind is unknown.
    """
    from audioprobe.io.config import read_toml

    kind = read_toml(config).get("kind")
    if kind not in KINDS:
        raise InvalidInputError(
            f"{config}: expected kind = {', '.join(map(repr, KINDS))}; received {kind!r}."
        )
    return str(kind)


_OTHER_FOLDERS = {
    "result.json": "the result of `classify` or `demo`, whose table is scores.csv",
    "recipe.json": "a trained model: use `audioprobe evaluate-ltu`",
}
"""Content of folders that other commands write, by the file that identifies it."""


def check_run_folder(folder: Path) -> None:
    """Check that a folder contains a run.

    Raises:
        InvalidInputError: if the folder contains no run; the message says what the folder contains
            instead, if known.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: no such folder. Pass the folder of a run.")
    for file, content in _OTHER_FOLDERS.items():
        if (folder / file).is_file():
            raise InvalidInputError(f"{folder}: expected the folder of a run, received {content}.")
    for file in (CONFIG, MANIFEST):
        if not (folder / file).is_file():
            raise InvalidInputError(
                f"{folder}: expected the folder of a run; it has no {file}. Pass the --out of "
                "`audioprobe run` or `probe`."
            )


def classification_run(config: Path) -> "ClassificationRun":
    """Return the run that the configuration of a classification describes."""
    from audioprobe.experiments.classification.config import read_classification
    from audioprobe.experiments.classification.run import ClassificationRun

    with located(str(config)):
        text = config.read_text(encoding="utf-8-sig")
        return ClassificationRun(read_classification(config), text)


def _report_classification(
    prepared: "ClassificationRun",
    cells: "Sequence[ClassificationCell]",
    folder: Path,
    name: str,
    *,
    embed: bool,
) -> int:
    """Write the outputs of a classification run, and print a summary.

    Returns:
        The exit status: 0 if any clip has scores, otherwise 1.
    """
    from audioprobe.experiments.classification.outputs import write_outputs
    from audioprobe.experiments.classification.tables import headline, notes

    scores = write_outputs(prepared, cells, folder, name, embed=embed)
    write(headline(scores).to_text(terminal_width()))
    for sentence in notes(scores, prepared.config.bootstrap.level):
        write(sentence)
    write(printable(f"\nwrote {folder}; open {folder / 'report.html'}"))
    return 0 if any(score.n_clips for score in scores) else EXIT_FAILED


def _show(prepared: "ClassificationRun") -> None:
    """Print the prompts of each evaluation set, and the total number of calls and text tokens."""
    n_calls = n_characters = 0
    for clips, questions in prepared.questions:
        write(f"{printable(clips.name)}: {len(clips.clips)} clips, {len(clips.labels)} labels")
        for question in questions:
            text = question.text[:_SHOWN] + ("..." if len(question.text) > _SHOWN else "")
            write(f"\n  {question.name}, with {len(question.examples)} examples:")
            write("\n".join(f"    {printable(line)}" for line in text.splitlines()))
            n_of_question = len(clips.clips) * len(prepared.config.decodings)
            n_calls += n_of_question
            n_characters += n_of_question * question.n_characters
    windowing = prepared.config.windowing
    more = ""
    if windowing.length == "windows":
        more = f" or more: a clip over {windowing.seconds:g} s is captioned in several windows"
    write(f"\n{n_calls} calls{more}")
    write(f"about {n_characters // _CHARACTERS_PER_TOKEN:,} tokens of text, plus those of audio")
