"""Interpretability studies in the commands `run` and `report`."""

from pathlib import Path
from typing import TYPE_CHECKING

from audioprobe.cli.app import EXIT_FAILED
from audioprobe.errors import located
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from audioprobe.experiments.interpretability.run import InterpretabilityRun
    from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
    from audioprobe.experiments.placement import Placement

_SHOWN = 5  # number of questions that a dry run shows per evaluation set


def run_interpretability(
    config: Path, folder: Path, placement: "Placement", *, dry_run: bool
) -> int:
    """Run or resume an interpretability study.

    Args:
        config: path of the configuration.
        folder: folder of the study.
        placement: where questions are answered and measurements made.
        dry_run: whether to only show questions, measurements and their number of prompts.
    """
    from audioprobe.experiments.interpretability.config import read_interpretability
    from audioprobe.experiments.interpretability.run import InterpretabilityRun

    with located(str(config)):
        text = config.read_text(encoding="utf-8-sig")
        prepared = InterpretabilityRun(read_interpretability(config), text)
        if dry_run:
            _show(prepared)
            return 0
        with progress_bars() as progress:
            record = prepared(folder, progress, placement=placement, notify=note)
    return _report(record, folder, config.stem)


def report_interpretability(folder: Path, name: str, out: Path | None = None) -> int:
    """Write and print the results of a study from the stored numbers in its folder.

    Args:
        folder: folder of the study; the measurements that are finished are reported.
        name: part of the report's title.
        out: output folder; None uses `folder`.
    """
    from audioprobe.experiments.interpretability.storage import read_record

    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    return _report(read_record(folder), target, name)


def _report(record: "InterpretabilityRecord", folder: Path, name: str) -> int:
    """Write the outputs of a study and print its conclusions.

    Returns:
        The exit status: 0 if any question was answered, otherwise 1.
    """
    from audioprobe.experiments.interpretability.answers import ACCURACIES
    from audioprobe.experiments.interpretability.outputs import REPORT, write_outputs

    tables = write_outputs(record, folder, name)
    write(tables["Answers"].only(ACCURACIES).to_text(terminal_width()))
    write(tables["Conclusions"].to_text(terminal_width()))
    write(printable(f"\nwrote {folder}; open {folder / REPORT}"))
    answered = any(not trial.audio.failure for trial in record.trials.trials)
    return 0 if answered else EXIT_FAILED


def _show(prepared: "InterpretabilityRun") -> None:
    """Print the questions of each evaluation set, and the size of the study."""
    from audioprobe.experiments.interpretability.trials import role_name

    for sentence in prepared.plan.notes:
        write(printable(sentence))
    for planned in prepared.plan.sets:
        roles = ", ".join(f"{role_name(r)}: {n}" for r, n in planned.n_by_role().items())
        write(printable(f"{planned.clips.name}: {planned.n_matched} matched questions"))
        write(printable(f"  pairs of a true and a false relation, {roles}"))
        questions = planned.probe.questions
        for question in questions[:: max(1, len(questions) // _SHOWN)][:_SHOWN]:
            write(printable(f"  {question.condition}: {question.text} [{question.audio}]"))
    write("\nforward passes over one prompt:")
    passes = prepared.n_passes
    for name, n in passes.items():
        write(printable(f"  {name}: {n:,}"))
    seconds = prepared.config.seconds_per_prompt
    hours = sum(passes.values()) * seconds / 3600
    write(f"about {hours:.1f} hours at {seconds:g} s per prompt, and some minutes of statistics")
