"""Studies of architectures in the commands `run` and `report`."""

from pathlib import Path
from typing import TYPE_CHECKING

from audioprobe.cli.app import EXIT_FAILED
from audioprobe.errors import located
from audioprobe.io.console import terminal_width, write
from audioprobe.io.text_table import Table, printable
from audioprobe.progress_bars import duration, progress_bars

if TYPE_CHECKING:
    from audioprobe.experiments.architectures.run import ArchitecturesRun
    from audioprobe.experiments.architectures.storage import ArchitecturesRecord
    from audioprobe.experiments.placement import Placement


def run_architectures(config: Path, folder: Path, placement: "Placement", *, dry_run: bool) -> int:
    """Run or resume a study of architectures.

    Args:
        config: path of the configuration.
        folder: folder of the study.
        placement: where arms are trained.
        dry_run: whether to only show the runs and an estimate of their duration.
    """
    from audioprobe.experiments.architectures.config import read_architectures
    from audioprobe.experiments.architectures.run import ArchitecturesRun

    with located(str(config)):
        text = config.read_text(encoding="utf-8-sig")
        prepared = ArchitecturesRun(read_architectures(config), text)
        if dry_run:
            _show(prepared, folder)
            return 0
        with progress_bars() as progress:
            record = prepared(folder, progress, placement=placement)
    return _report(record, folder, config.stem)


def report_architectures(folder: Path, name: str, out: Path | None = None) -> int:
    """Write and print the results of a study from its folder.

    Args:
        folder: folder of the study; the runs that are finished are reported.
        name: part of the report's title.
        out: output folder; None uses `folder`.
    """
    from audioprobe.experiments.architectures.storage import read_record

    record, target = read_record(folder), out or folder
    target.mkdir(parents=True, exist_ok=True)
    return _report(record, target, name)


def _report(record: "ArchitecturesRecord", folder: Path, name: str) -> int:
    """Write the outputs of a study and print the primary measure and the claims.

    Returns:
        The exit status: 0 if any question was answered, otherwise 1.
    """
    from audioprobe.experiments.architectures.outputs import REPORT, write_outputs

    tables = write_outputs(record, folder, name)
    for title in ("Primary", "Claims"):
        if title in tables:
            write(f"{title}\n\n{tables[title].to_text(terminal_width())}\n")
    if record.missing:
        runs = ", ".join(f"{arm} (seed {seed})" for arm, seed in record.missing)
        write(printable(f"\nruns without a result: {runs}"))
    write(printable(f"\nwrote {folder}; open {folder / REPORT}"))
    answered = any(not t.failure for result in record.results.values() for t in result.trials)
    return 0 if answered else EXIT_FAILED


def _show(prepared: "ArchitecturesRun", folder: Path) -> None:
    """Print arms, stages, number of questions, and an estimate of the duration."""
    from audioprobe.experiments.architectures.size import study_size

    config, size = prepared.config, study_size(prepared, folder)
    rows = []
    for arm in config.arms:
        steps = str(size.n_steps) if arm.budget == "examples" else "by operations"
        connector = arm.connector.kind if arm.input == "tokens" else ""
        seeds = str(config.n_seeds(arm)), str(size.remaining[arm.name])
        rows.append((arm.name, arm.input, connector, *seeds, steps))
    header = ("arm", "input", "connector", "seeds", "without a result", "steps")
    write(Table(header, tuple(rows), numeric=(3, 4, 5)).to_text(terminal_width()))
    write("")
    for name, n_steps in size.shared_steps.items():
        write(printable(f"shared stage {name}: {n_steps} steps, once per seed"))
    write(f"trials of learning rates: {size.n_trials}, of {config.rates.steps} steps each")
    if size.n_questions is None:
        write(printable(f"questions: not counted, because recordings are missing. {size.missing}"))
    else:
        write(f"questions per run: {size.n_questions:,}")
    n_remaining = size.remaining.total()
    write(f"runs: {len(prepared.runs)}, of which {n_remaining} have no result")
    questions = f"{config.seconds_per_question:g} s per question"
    if size.n_questions is None:
        questions = "without questions"
    speed = f"{config.seconds_per_step:g} s per step, {questions}"
    write(f"about {duration(size.seconds)} in one process, at {speed}")
