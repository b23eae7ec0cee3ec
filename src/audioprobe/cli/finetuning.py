"""How the command `run` runs a study of fine-tuning."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from audioprobe.cli.app import EXIT_FAILED
from audioprobe.cli.console import terminal_width, write
from audioprobe.cli.progress import progress_bars
from audioprobe.errors import located
from audioprobe.io.text_table import printable

if TYPE_CHECKING:
    from audioprobe.experiments.finetuning.run import FinetuningRun


def run_study(text: str, source: str, folder: Path, *, n_workers: int, dry_run: bool) -> int:
    """Run, or go on with, a study of fine-tuning.

    Args:
        text: the configuration.
        source: where it comes from, for messages and titles.
        folder: of the run.
        n_workers: trainings at once.
        dry_run: only list the trainings.
    """
    from audioprobe.experiments.finetuning.config import parse_study
    from audioprobe.experiments.finetuning.run import FinetuningRun

    with located(source):
        prepared = FinetuningRun(parse_study(text, source), text)
    if dry_run:
        _show(prepared)
        return 0
    from audioprobe.training.trainer import get_accelerator

    with progress_bars() as bars:
        prepared(folder, bars, n_workers=n_workers)
    return tell_study(folder, Path(source).stem) if get_accelerator().is_main_process else 0


def tell_study(folder: Path, name: str, out: Path | None = None) -> int:
    """Write and show what a study gave so far, from its folder alone.

    Args:
        folder: of the run.
        name: in the title of the report.
        out: where to write; None takes the folder.
    """
    from audioprobe.experiments.finetuning.conclusions import conclusions
    from audioprobe.experiments.finetuning.outputs import REPORT, write_outcome
    from audioprobe.experiments.finetuning.storage import read_record
    from audioprobe.experiments.finetuning.tables import headline

    record, out = read_record(folder), out or folder
    out.mkdir(parents=True, exist_ok=True)
    found = write_outcome(record, out, name)
    write(headline(found).to_text(terminal_width()))
    for verdict in conclusions(found):
        write(printable(f"\n{verdict.question} {verdict.answer}"))
        for point, _ in verdict.points:
            write(printable(f"- {point}"))
    write(printable(f"\neverything is in {out}; look at {out / REPORT}"))
    return 0 if any(one.measured for one in record.findings[1:]) else EXIT_FAILED


def _show(prepared: "FinetuningRun") -> None:
    """Every training once, and what all of them draw from."""
    made = prepared.materials
    for name, clips in made.clips.items():
        n_labels = len({label for clip in clips for label in clip.labels or ()})
        write(printable(f"{name}: {len(clips)} clips of {n_labels} labels"))
    n_questions = sum(q.pair.relation != "identity" for q in made.probe.questions)
    write(f"concept probe: {n_questions} questions; reading: {len(made.measured)} passages\n")
    for name, n_seeds in Counter(cell.configuration for cell in prepared.cells).items():
        write(printable(f"  {name} ({n_seeds} seeds)"))
    write(f"\n{len(prepared.cells)} trainings")
