"""Fine-tuning studies in the commands `run` and `report`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from audioprobe.cli.app import EXIT_FAILED
from audioprobe.errors import located
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from audioprobe.experiments.finetuning.run import FinetuningRun
    from audioprobe.experiments.placement import Placement


def run_study(
    text: str, source: str, folder: Path, placement: "Placement", *, dry_run: bool
) -> int:
    """Run or continue a fine-tuning study.

    Args:
        text: text of the configuration.
        source: path of the configuration, for messages and titles.
        folder: output folder.
        placement: where runs are trained.
        dry_run: whether to only list the training runs.
    """
    from audioprobe.experiments.finetuning.config import parse_study
    from audioprobe.experiments.finetuning.run import FinetuningRun

    with located(source):
        prepared = FinetuningRun(parse_study(text, source), text)
    if dry_run:
        _list_runs(prepared)
        return 0
    from audioprobe.training.trainer import get_accelerator

    with progress_bars() as bars:
        prepared(folder, bars, placement=placement)
    return report_study(folder, Path(source).stem) if get_accelerator().is_main_process else 0


def report_study(folder: Path, name: str, out: Path | None = None) -> int:
    """Write and print the results of a study from its folder.

    Args:
        folder: folder of the study. Incomplete studies are reported with the runs finished so far.
        name: part of the report's title.
        out: output folder; None uses `folder`.
    """
    from audioprobe.experiments.finetuning.conclusions import conclusions_table
    from audioprobe.experiments.finetuning.outputs import REPORT, write_outputs
    from audioprobe.experiments.finetuning.storage import read_record
    from audioprobe.experiments.finetuning.tables import headline

    record, out = read_record(folder), out or folder
    out.mkdir(parents=True, exist_ok=True)
    summary = write_outputs(record, out, name)
    write(headline(summary).to_text(terminal_width()))
    for question, answer in conclusions_table(summary).rows:
        write(printable(f"\n{question} {answer}"))
    write(printable(f"\nAll results are in {out}; open {out / REPORT}"))
    return 0 if any(run.measurements for run in record.runs) else EXIT_FAILED


def _list_runs(prepared: "FinetuningRun") -> None:
    """Print the sizes of the data of a study, and the number of seeds of each configuration."""
    materials = prepared.materials
    for name, clips in materials.clips.items():
        n_labels = len({label for clip in clips for label in clip.labels or ()})
        write(printable(f"{name}: {len(clips)} clips of {n_labels} labels"))
    n_questions = sum(q.pair.relation != "identity" for q in materials.probe.questions)
    n_passages = len(materials.evaluation_texts)
    write(f"concept probe: {n_questions} questions; text loss: {n_passages} passages\n")
    for name, n_seeds in Counter(run.configuration for run in prepared.runs).items():
        write(printable(f"  {name} ({n_seeds} seeds)"))
    write(f"\n{len(prepared.runs)} training runs")
