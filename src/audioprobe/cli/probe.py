"""Command that probes a model's concepts in text and in audio."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from audioprobe.cli.app import EXIT_FAILED, EmbedOption, app
from audioprobe.cli.inputs import WindowingOption, windowing_of
from audioprobe.errors import located
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.text_table import printable
from audioprobe.progress_bars import progress_bars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from audioprobe.experiments.placement import Placement
    from audioprobe.experiments.probing.run import ProbeCell, ProbeRun

SHIPPED = "shipped"
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_OUT = Path("probe")
_SHOWN = 20  # number of questions that a dry run shows per model and evaluation set


PairsOption: TypeAlias = Annotated[
    str, Parameter(help="Relations: hypernym, synonym, or both with a comma.")
]
ClipsOption: TypeAlias = Annotated[
    str, Parameter(help='Clips: a folder, a table of labels, "shipped", or "" for text only.')
]
ConditionsOption: TypeAlias = Annotated[
    str,
    Parameter(
        help="Conditions, with commas: text, audio, caption, wrong clip, silence, noise, no audio, "
        "spoken word, window, conflicting text [all that the clips allow, but the last two]."
    ),
]
NegativesOption: TypeAlias = Annotated[
    str, Parameter(help="How wrong pairs are drawn: random, popular, sibling, adversarial.")
]
WordingsOption: TypeAlias = Annotated[
    str, Parameter(help="plain, instructed (for chat models), or a TOML file.")
]
SpokenOption: TypeAlias = Annotated[
    str, Parameter(help="espeak-ng, or a folder of recorded words: adds spoken words.")
]
JudgeOption: TypeAlias = Annotated[
    str, Parameter(help="A model that also classifies free answers, by its name [none].")
]
SamplesOption: TypeAlias = Annotated[
    int, Parameter(help="Sampled responses per question, with seeds 0, 1, ...; 0 asks for none.")
]


@app.command
def probe(
    *,
    model: Annotated[str, Parameter(help="Name as `audioprobe backends` lists it.")] = "ltu:mini",
    pairs: PairsOption = "hypernym",
    clips: ClipsOption = SHIPPED,
    conditions: ConditionsOption = "",
    negatives: NegativesOption = "random",
    forms: Annotated[str, Parameter(help="yes-no, negated, choice, reversed.")] = "yes-no",
    wordings: WordingsOption = "plain",
    spoken: SpokenOption = "",
    judge: JudgeOption = "",
    samples: SamplesOption = 0,
    temperature: Annotated[float, Parameter(help="Sampling temperature of the samples.")] = 1.0,
    n_orders: Annotated[int, Parameter(help="Orders of the options of a choice, 1 to 4.")] = 1,
    n_windows: Annotated[int, Parameter(help="Windows of a clip (condition window).")] = 4,
    n_clips: Annotated[int, Parameter(help="Maximum number of clips per concept; 0 uses all.")] = 2,
    windowing: WindowingOption = None,
    out: Annotated[Path, Parameter(help="Folder of the run; an interrupted run resumes.")] = _OUT,
    embed_audio: EmbedOption = False,
    seed: Annotated[int, Parameter(help="Random seed of wrong pairs, orders and noise.")] = 0,
    dry_run: Annotated[
        bool, Parameter(help="Only show some questions, and their number.", negative=())
    ] = False,
) -> int:
    """Ask a model the same questions about concepts in text and in audio.

    Every correct pair (a crow, a bird) has a wrong pair for the same class. A model that always
    answers yes, or guesses by base rates, therefore has an accuracy of one half. OUT/report.html
    compares the conditions and gives a diagnosis. The same command resumes an interrupted run.
    OUT/config.toml contains these options; copy and extend this file for `audioprobe run`, with
    more models and clips.

    Example: audioprobe probe --model ltu:mini --pairs hypernym --out probe
    """
    import tomli_w

    prompting: dict[str, Any] = {"wordings": wordings}
    if samples:
        prompting |= {"samples": samples, "sampling": {"temperature": temperature}}
    spec = {"name": "model", "model": {"name": model}, "conditions": _split(conditions)}
    config = {
        "kind": "probe",
        "seed": seed,
        "n_clips": n_clips,
        "n_orders": n_orders,
        "n_windows": n_windows,
        "spoken": spoken,
        "pairs": _split(pairs),
        "forms": _split(forms),
        "negatives": _split(negatives),
        "models": [{**spec, "prompting": prompting}],
        "evaluation_sets": _evaluation_sets(clips),
        **({"judge": {"name": judge}} if judge else {}),
        **({"windowing": {"length": "crop", **windowing_of(windowing)}} if windowing else {}),
    }
    return run_probe(tomli_w.dumps(config), "options", out, embed=embed_audio, dry_run=dry_run)


def run_probe(
    text: str,
    source: str,
    folder: Path,
    placement: "Placement | None" = None,
    *,
    embed: bool,
    dry_run: bool,
) -> int:
    """Run or resume concept probes.

    Args:
        text: text of the configuration.
        source: path of the configuration, for messages and titles.
        folder: folder of the run.
        placement: where the models run; None runs them in this process.
        embed: whether the pages contain the audio itself instead of links to files.
        dry_run: whether to only show the questions.
    """
    from audioprobe.experiments.placement import HERE

    prepared = read_probe_run(text, source)
    if dry_run:
        _show(prepared)
        return 0
    with progress_bars() as progress, located(source):
        cells = prepared(folder, progress, placement=placement or HERE, notify=note)
    return report_probe(prepared, cells, folder, Path(source).stem, embed=embed)


def read_probe_run(text: str, source: str) -> "ProbeRun":
    """Return the run that a TOML text describes; `source` is its path for error messages."""
    from audioprobe.experiments.probing.config import ProbeConfig
    from audioprobe.experiments.probing.run import ProbeRun
    from audioprobe.io.config import parse_config_text

    with located(source):
        return ProbeRun(parse_config_text(ProbeConfig, text, source), text)


def report_probe(
    prepared: "ProbeRun", cells: "Sequence[ProbeCell]", folder: Path, name: str, *, embed: bool
) -> int:
    """Write the outputs of concept probes, and print a summary.

    Returns:
        The exit status: 0 if any question was answered, otherwise 1.
    """
    from audioprobe.experiments.probing.outputs import write_outputs

    write_outputs(prepared, cells, folder, name, embed=embed)
    _show_results(cells)
    write(printable(f"\nwrote {folder}; open {folder / 'report.html'}"))
    answered = any(not trial.failure for cell in cells for trial in cell.outcome.trials)
    return 0 if answered else EXIT_FAILED


def _evaluation_sets(clips: str) -> list[dict[str, Any]]:
    if clips == SHIPPED:
        return [{"name": "recordings", "dataset": {"name": "recordings"}}]
    if Path(clips).suffix.lower() in TABLES:
        return [{"name": "clips", "dataset": {"name": f"manifest:{clips}"}}]
    return [{"name": "clips", "folder": clips}] if clips else []


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _show(prepared: "ProbeRun") -> None:
    n_questions = 0
    for plan in prepared.planned:
        questions = plan.questions.questions
        n_questions += len(questions)
        write(printable(f"{plan.model.name}, {plan.evaluation_set}:"))
        for question in questions[:: max(1, len(questions) // _SHOWN)]:
            write(printable(f"  {question.condition}: {question.text} [{question.audio}]"))
        if plan.clips is not None:
            _show_unused(len(plan.clips.clips), plan.questions.unused_clips())
    write(f"\n{n_questions} questions; equal questions are asked once")


def _show_unused(n_clips: int, unused: "Mapping[str, str]") -> None:
    """Print the clips without questions, and the reason for each clip."""
    if not unused:
        return
    write(f"  {len(unused)} of {n_clips} clips have no questions:")
    for clip, reason in list(unused.items())[:_SHOWN]:
        write(printable(f"    {clip}: {reason}"))
    if len(unused) > _SHOWN:
        write(f"    ... and {len(unused) - _SHOWN} more")


def _show_results(cells: "Sequence[ProbeCell]") -> None:
    from audioprobe.experiments.probing.tables import headline
    from audioprobe.probing.scores import SHORT_HEADER

    width = terminal_width()
    for cell in cells:
        diagnosis = cell.outcome.diagnosis()
        write(printable(f"{cell.model}, {cell.evaluation_set}: {diagnosis.name}"))
        table = cell.outcome.table("relation", "condition")
        write(table.only(("relation", "condition", *SHORT_HEADER)).to_text(width))
        measures = cell.outcome.measures()
        if measures.rows:
            write(measures.to_text(width))
        write(f"{cell.outcome.modality_gap()}")
        for sentence in cell.outcome.notes():
            write(sentence)
        write("")
    if len(cells) > 1:
        write(headline(cells).to_text(width))
