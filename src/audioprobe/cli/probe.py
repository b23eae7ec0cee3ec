"""Asking a model about concepts, in words and in sound: by a command, or from a configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, app
from audioprobe.cli.console import note, terminal_width, write
from audioprobe.cli.progress import progress_bars
from audioprobe.errors import located
from audioprobe.io.text_table import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from audioprobe.experiments.probing.run import ProbeCell, ProbeRun

SHIPPED = "shipped"
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_SHOWN = 20  # questions of a dry run, of each listener and sounds


@app.command
def probe(
    *,
    model: Annotated[str, Parameter(help="Name as `audioprobe backends` lists it.")] = "ltu:mini",
    pairs: Annotated[
        str, Parameter(help="What to ask for: hypernym, synonym, or both with a comma.")
    ] = "hypernym",
    clips: Annotated[
        str, Parameter(help='Sounds: a folder, a labelled table, "shipped", or "" for text.')
    ] = SHIPPED,
    conditions: Annotated[
        str, Parameter(help="Under which to ask, with commas [all that clips allow].")
    ] = "",
    negatives: Annotated[
        str, Parameter(help="How wrong pairs are drawn: random, popular, sibling, adversarial.")
    ] = "random",
    forms: Annotated[str, Parameter(help="yes-no, negated, choice.")] = "yes-no",
    wordings: Annotated[
        str, Parameter(help="plain, instructed (for chat models), or a file of TOML.")
    ] = "plain",
    spoken: Annotated[
        str, Parameter(help="espeak-ng, or a folder of recorded words, to ask by spoken words too.")
    ] = "",
    judge: Annotated[
        str, Parameter(help="A model that reads free answers too, by its name [none].")
    ] = "",
    n_clips: Annotated[int, Parameter(help="Clips of each concept at most; 0 takes all.")] = 2,
    out: Annotated[Path, Parameter(help="Folder of the run; one that was stopped goes on.")] = Path(
        "probe"
    ),
    embed_audio: Annotated[
        bool, Parameter(help="Put the sounds that the report shows into it.", negative=())
    ] = False,
    seed: Annotated[int, Parameter(help="Of wrong pairs, orders and noise.")] = 0,
    dry_run: Annotated[
        bool, Parameter(help="Only show some questions, and how many there are.", negative=())
    ] = False,
) -> int:
    """Does a model know what it hears? The same questions of the word and of the sound.

    Every right pair (a crow, a bird) has a wrong one for the same class, so that saying yes, or
    guessing by base rates, is right half of the time. OUT/report.html compares the conditions, and
    names the kind of listener. Stopped at any moment, the same command goes on. OUT/config.toml
    says the same as these options: a copy of it, for more models and sounds, goes to `audioprobe
    run`.

    Example: audioprobe probe --model ltu:mini --pairs hypernym --out probe
    """
    import tomli_w

    config = {"kind": "probe", "seed": seed, "n_clips": n_clips, "spoken": spoken}
    config |= {"pairs": _split(pairs), "forms": _split(forms), "negatives": _split(negatives)}
    config |= {"listeners": [_listener(model, conditions, wordings)], "sounds": _sounds(clips)}
    config |= {"judge": {"name": judge}} if judge else {}
    text = tomli_w.dumps(config)
    return run_probe(text, "options", out, embed=embed_audio, dry_run=dry_run)


def _listener(model: str, conditions: str, wordings: str) -> dict[str, Any]:
    asked = {"conditions": _split(conditions), "options": {"wordings": wordings}}
    return {"name": "model", "model": {"name": model}, **asked}


def run_probe(text: str, source: str, folder: Path, *, embed: bool, dry_run: bool) -> int:
    """Run, or go on with, concept probes.

    Args:
        text: the configuration.
        source: where it comes from, for messages and titles.
        folder: of the run.
        embed: put sounds into the pages.
        dry_run: only show questions.
    """
    import tomllib

    from audioprobe.experiments.probing.config import ProbeConfig
    from audioprobe.experiments.probing.run import ProbeRun
    from audioprobe.io.config import parse_config

    with located(source):
        prepared = ProbeRun(parse_config(ProbeConfig, tomllib.loads(text), source), text)
    if dry_run:
        _show(prepared)
        return 0
    with progress_bars() as bars, located(source):
        cells = prepared(folder, bars, say=note)
    return tell_probe(prepared, cells, folder, Path(source).stem, embed=embed)


def tell_probe(
    prepared: "ProbeRun", cells: "Sequence[ProbeCell]", folder: Path, name: str, *, embed: bool
) -> int:
    """Write and show what a run gave; the arguments are those of `write_outcome`."""
    from audioprobe.experiments.probing.outputs import write_outcome

    write_outcome(prepared, cells, folder, name, embed=embed)
    _tell(cells)
    write(printable(f"\neverything is in {folder}; look at {folder / 'report.html'}"))
    answered = any(not trial.failure for cell in cells for trial in cell.outcome.trials)
    return 0 if answered else EXIT_FAILED


def _sounds(clips: str) -> list[dict[str, Any]]:
    if clips == SHIPPED:
        return [{"name": "recordings", "dataset": {"name": "recordings"}}]
    if Path(clips).suffix.lower() in TABLES:  # labelled clips
        return [{"name": "sounds", "dataset": {"name": f"manifest:{clips}"}}]
    return [{"name": "sounds", "folder": clips}] if clips else []


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _show(prepared: "ProbeRun") -> None:
    n_questions = 0
    for one in prepared.planned:
        questions = one.asked.questions
        n_questions += len(questions)
        write(printable(f"{one.listener.name}, {one.sounds}:"))
        for question in questions[:: max(1, len(questions) // _SHOWN)]:
            write(printable(f"  {question.condition}: {question.text} [{question.audio}]"))
        if one.heard is not None:
            _tell_unasked(len(one.heard.clips), one.asked.unused_clips())
    write(f"\n{n_questions} questions; equal ones are asked once")


def _tell_unasked(n_clips: int, unasked: "Mapping[str, str]") -> None:
    """Which clips no question is about, and why."""
    if not unasked:
        return
    write(f"  {len(unasked)} of {n_clips} clips are not asked about:")
    for clip, reason in list(unasked.items())[:_SHOWN]:
        write(printable(f"    {clip}: {reason}"))
    if len(unasked) > _SHOWN:
        write(f"    ... and {len(unasked) - _SHOWN} more")


def _tell(cells: "Sequence[ProbeCell]") -> None:
    from audioprobe.experiments.probing.tables import headline
    from audioprobe.probing.scores import SHORT_HEADER

    width = terminal_width()
    for cell in cells:
        found = cell.outcome.diagnosis()
        write(printable(f"{cell.listener}, {cell.sounds}: {found.name}"))
        table = cell.outcome.table("relation", "condition")
        write(table.only(("relation", "condition", *SHORT_HEADER)).to_text(width))
        write(f"{cell.outcome.modality_gap()}")
        for sentence in cell.outcome.notes():
            write(sentence)
        write("")
    if len(cells) > 1:
        write(headline(cells).to_text(width))
