"""The command that runs an experiment from its configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app, shipped
from audioprobe.cli.console import note, terminal_width, write
from audioprobe.cli.progress import progress_bars
from audioprobe.errors import InvalidInputError, located
from audioprobe.io.text_table import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun

_SHIPPED = shipped("audioprobe.experiments", "configs")
_SHOWN = 600  # characters of a prompt
_PER_TOKEN = 4  # characters of English, roughly, whatever the tokenizer


@app.command
def run(
    config: Annotated[
        str,
        Parameter(help=f"A file of TOML, or the name of one that ships: {', '.join(_SHIPPED)}."),
    ],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of the run [runs/NAME]; one that was stopped goes on.")
    ] = None,
    on: Annotated[
        str,
        Parameter(help='Ask on a Ray cluster: "ray" on this machine, or "ray://HOST:PORT".'),
    ] = "",
    workers: Annotated[
        int, Parameter(help="Models that a cluster holds at once, or trainings at once.")
    ] = 2,
    embed_audio: Annotated[
        bool, Parameter(help="Put the sounds that the report shows into it.", negative=())
    ] = False,
    dry_run: Annotated[
        bool, Parameter(help="Only show what would be asked, and how often.", negative=())
    ] = False,
) -> int:
    """Run an experiment: captions scored, concepts asked in words and in sound, or models tuned.

    OUT/report.html shows what came of it, OUT/summary.md and .tex have its tables, and
    OUT/scores.parquet or OUT/trials.parquet has everything. Each answer is in OUT/responses.jsonl
    before the next question is asked: stopped at any moment, the same command goes on and asks
    nothing twice.

    Example: audioprobe run recordings --out runs/recordings
    """
    from audioprobe.cli.finetuning import run_study
    from audioprobe.cli.probe import run_probe
    from audioprobe.experiments.classification.config import SHIPPED
    from audioprobe.io.config import find_config, read_toml

    path = find_config(config, SHIPPED)
    folder = out or Path("runs") / path.stem
    kind = read_toml(path).get("kind")
    if kind == "probe":
        if on:
            raise InvalidInputError("Concept probes ask in this process: leave out --on.")
        text = path.read_text(encoding="utf-8-sig")
        return run_probe(text, str(path), folder, embed=embed_audio, dry_run=dry_run)
    if kind == "finetuning":
        if on:
            raise InvalidInputError("Studies of fine-tuning train on this machine: leave out --on.")
        text = path.read_text(encoding="utf-8-sig")
        return run_study(text, str(path), folder, n_workers=workers, dry_run=dry_run)
    if kind != "classification":
        raise InvalidInputError(
            f"{path}: expected kind = 'classification', 'probe' or 'finetuning', got {kind!r}."
        )
    return _classify(path, folder, on, workers, embed=embed_audio, dry_run=dry_run)


def _classify(
    path: Path, folder: Path, on: str, n_workers: int, *, embed: bool, dry_run: bool
) -> int:
    from audioprobe.experiments.classification.config import read_classification
    from audioprobe.experiments.classification.run import ClassificationRun

    with located(str(path)):
        text = path.read_text(encoding="utf-8-sig")
        prepared = ClassificationRun(read_classification(path), text)
    if dry_run:
        _show(prepared)
        return 0
    with progress_bars() as bars, located(str(path)):
        cells = prepared(folder, progress=bars, on=on, n_workers=n_workers, say=note)
    return tell_classification(prepared, cells, folder, path.stem, embed=embed)


def tell_classification(
    prepared: "ClassificationRun",
    cells: "Sequence[ClassificationCell]",
    folder: Path,
    name: str,
    *,
    embed: bool,
) -> int:
    """Write and show what a run gave; the arguments are those of `write_outcome`."""
    from audioprobe.experiments.classification.outputs import write_outcome
    from audioprobe.experiments.classification.tables import headline, notes

    scores = write_outcome(prepared, cells, folder, name, embed=embed)
    write(headline(scores).to_text(terminal_width()))
    for sentence in notes(scores, prepared.config.bootstrap.level):
        write(sentence)
    write(printable(f"\neverything is in {folder}; look at {folder / 'report.html'}"))
    return 0 if any(score.n_clips for score in scores) else EXIT_FAILED


@app.command
def compare(
    first: Annotated[Path, Parameter(help="A result.json, or one of a run's results/*.json.")],
    second: Annotated[Path, Parameter(help="Another, of the same clips and labels.")],
    /,
    *,
    groups: Annotated[
        Path | None,
        Parameter(
            help="Table with the columns clip and group (site, recorder): clips of a group are "
            "exchanged together [the groups that the results have]."
        ),
    ] = None,
) -> int:
    """Compare two results of the same clips: difference, p-value, and what could have been found.

    Differences are first minus second: of AUC by label (DeLong, or permutations of whole groups;
    with Holm's and Benjamini and Hochberg's corrections), of the macro AUC (permutation), and of
    the share of clips whose best label is right (McNemar, or sign flips of whole groups).

    Example: audioprobe compare run/results/test--caption.json run/results/test--labels.json
    """
    from audioprobe.results import ClassificationResult
    from audioprobe.results.compare import compare as compared

    one, other = map(ClassificationResult.load, (first, second))
    known = None if groups is None else _read_groups(groups, {*one.clip_ids, *other.clip_ids})
    names = (first.stem, second.stem) if first.stem != second.stem else (str(first), str(second))
    found = compared(one, other, groups=known, names=names)
    write(found.to_text(terminal_width()))
    return 0


def _read_groups(path: Path, clips: set[str]) -> dict[str, str]:
    """The groups of a table, by id of the clip."""
    from audioprobe.io.tables import read_rows

    rows = read_rows(path, ("clip", "group"))
    known = {str(row["clip"]): str(row["group"]) for row in rows if row["group"]}
    if not clips & known.keys():
        raise InvalidInputError(
            f"{path}: expected ids of clips such as {min(clips, default='')!r} in the column "
            f"'clip', got none of them, but {min(known, default='')!r}."
        )
    return known


def _show(prepared: "ClassificationRun") -> None:
    """What would be asked of each part of the sounds."""
    for sounds, questions in prepared.questions:
        write(f"{printable(sounds.name)}: {len(sounds.clips)} clips, {len(sounds.labels)} labels")
        for question in questions:
            text = question.text[:_SHOWN] + ("..." if len(question.text) > _SHOWN else "")
            write(f"\n  {question.name}, with {len(question.examples)} examples:")
            write("\n".join(f"    {printable(line)}" for line in text.splitlines()))
    n_calls = sum(len(s.clips) * len(questions) for s, questions in prepared.questions)
    n_characters = sum(len(s.clips) * q.n_characters for s, qs in prepared.questions for q in qs)
    write(f"\n{n_calls} calls or more: a clip over 10 s is heard in windows of 10 s")
    write(f"about {n_characters // _PER_TOKEN:,} tokens of text are sent, and what sounds take")
