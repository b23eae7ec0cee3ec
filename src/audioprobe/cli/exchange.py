"""Commands that export a run for other tools, and analyse logs of other tools."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from audioprobe.cli.app import app
from audioprobe.cli.probe import read_probe_run
from audioprobe.cli.run import check_run_folder, classification_run, read_groups, run_kind
from audioprobe.errors import InvalidInputError, did_you_mean, optional_import
from audioprobe.io.console import note, terminal_width, write
from audioprobe.io.run_folder import CONFIG
from audioprobe.io.text_table import printable

if TYPE_CHECKING:
    from audioprobe.exchange import AudioTable, DatasetCard
    from audioprobe.experiments.probing.build import PlannedProbe
    from audioprobe.experiments.probing.run import ProbeRun
    from audioprobe.models.ltu.serving import ServedDtype


SourceArgument = Annotated[
    Path, Parameter(help="Folder of a run (--out of `run` or `probe`); for vllm, an LTU: mini.")
]
TargetOption = Annotated[
    Literal["huggingface", "inspect", "vllm"],
    Parameter(
        name=("--to", "--for"),
        help="huggingface: a data set for datasets.load_dataset. inspect: a task. vllm: a language "
        "model to serve.",
    ),
]
ModelOption = Annotated[
    str, Parameter(help="Only this model of the run [all; for inspect the first].")
]
QuestionsOption = Annotated[bool, Parameter(help="Export questions without answers.", negative=())]
LicenceOption = Annotated[
    str, Parameter(help='Licence of the recordings for the dataset card, such as "cc-by-4.0".')
]
BaseOption = Annotated[
    str | None, Parameter(help="For vllm: the LLaMA of a published LTU, as for `convert`.")
]
DtypeOption = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    Parameter(help="For vllm: data type of the weights [float32]."),
]


@app.command
def export(
    source: SourceArgument,
    /,
    *,
    to: TargetOption,
    out: Annotated[Path, Parameter(help="Folder to create.")],
    model: ModelOption = "",
    questions: QuestionsOption = False,
    licence: LicenceOption = "unknown",
    title: Annotated[str, Parameter(help="Title for the dataset card [name of SOURCE].")] = "",
    base: BaseOption = None,
    dtype: DtypeOption = None,
) -> int:
    """Export a run for other tools, or the language model of an LTU for a server.

    huggingface: OUT has Parquet files and a dataset card; `datasets.load_dataset("OUT")` reads it.
    Concept probes have one row per question and answer, classifications one row per clip. The
    audio is stored without loss; you need the right to share it. Needs the extra data.

    inspect: OUT/task.py asks the questions of a concept probe of any model of inspect_ai:
    `inspect eval OUT/task.py --model MODEL`. Read its log with `audioprobe analyze`.

    vllm: OUT has the language model of an LTU with LoRA merged. Start a server with the command
    that is printed, and use --model vllm-ltu:SOURCE.

    Example: audioprobe export runs/probe --to huggingface --out shared/ --licence cc0-1.0

    Example: audioprobe export runs/probe --to inspect --out task/

    Example: audioprobe export mini --to vllm --out served/
    """
    from audioprobe.exchange import DatasetCard

    _check_export_options(
        to,
        of_runs={
            "--model": model,
            "--questions": questions,
            "--licence": licence != "unknown",
            "--title": title,
        },
        of_models={"--base": base, "--dtype": dtype},
    )
    if to == "vllm":
        return _write_served_model(source, base, dtype or "float32", out)
    card = DatasetCard(title or source.resolve().name, licence)
    return _export_run(source, to, out, card, model=model, questions=questions)


def _export_run(
    source: Path, to: str, out: Path, card: "DatasetCard", *, model: str, questions: bool
) -> int:
    check_run_folder(source)
    config = source / CONFIG
    kind = run_kind(config)
    if kind == "probe":
        run = read_probe_run(config.read_text(encoding="utf-8-sig"), str(config))
        names = _model_names(run, model)
        if to == "inspect":
            return _write_tasks(run, names[0], out)
        tables = _question_tables(run, names) if questions else _trial_tables(run, names, source)
        return _write_dataset(tables, out, card)
    if kind == "classification" and to == "huggingface" and not (model or questions):
        return _write_dataset(_classification_tables(source), out, card)
    raise InvalidInputError(
        f"{source}: expected a run of concept probes, or of a classification with --to huggingface "
        f"and without --model and --questions; received a run of kind {kind!r}."
    )


@app.command
def analyze(
    logs: Annotated[
        list[str] | None,
        Parameter(help="Logs of one benchmark, as LOG or NAME=LOG with a name for the model."),
    ] = None,
    /,
    *,
    text: Annotated[
        list[str] | None,
        Parameter(
            help="Samples of lmms-eval whose prompts have no audio, as LOG or NAME=LOG.",
            negative=(),
        ),
    ] = None,
    metric: Annotated[
        str, Parameter(help="Metric or scorer, 0 or 1 per item [the only one in the log].")
    ] = "",
    parse: Annotated[
        bool,
        Parameter(help="Parse the responses again, by the rules of audioprobe.", negative=()),
    ] = False,
    groups: Annotated[
        Path | None,
        Parameter(help="Table with the columns item and group: groups are resampled together."),
    ] = None,
) -> int:
    """Analyse logs of lmms-eval, inspect_ai and concept probes: accuracy, gaps, differences.

    LOG is a file DATE_samples_TASK.jsonl of lmms-eval (`--log_samples`), a log of inspect_ai
    (.eval or .json; needs the extra exchange), or a result results/MODEL--SET.json of a run of
    concept probes. The output has the accuracy of each model and condition with 95 % intervals
    over items, groups or concepts; text minus audio, if a model has both; and the differences of
    all pairs of models on the same items, with p-values that are corrected for their number.

    Invalid answers and items without an answer are counted, and never count as wrong unless a
    column says so. --parse applies one set of rules to the responses of all tools, which may
    differ from the scores in the logs.

    Example: audioprobe analyze qwen/1101_samples_mmau.jsonl ltu/1102_samples_mmau.jsonl

    Example: audioprobe analyze logs/probe-of-gpt.eval ltu=runs/probe/results/model--clips.json
    """
    from audioprobe.exchange import analyze_logs, read_log

    if not (logs or text):
        raise InvalidInputError("Expected at least one log, received none. Pass LOG or NAME=LOG.")
    read = partial(read_log, metric=metric, parse=parse)
    named = [_named(argument) for argument in logs or ()]
    scored = [read(path, model=name) for name, path in named]
    named = [_named(argument) for argument in text or ()]
    scored += [read(path, model=name, condition="text") for name, path in named]
    for log in scored:
        note(f"{log.path}: {len(log.trials)} items of {log.tool}, model {log.model}")
    items = {trial.question.pair.target for log in scored for trial in log.trials}
    known = None if groups is None else read_groups(groups, "item", items)
    write(analyze_logs(scored, groups=known).to_text(terminal_width()))
    return 0


def _named(argument: str) -> tuple[str, str]:
    """Return the name and the path in NAME=LOG; the name is "" if there is none."""
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return "", argument
    return name.strip(), path


def _check_export_options(
    to: str, of_runs: Mapping[str, object], of_models: Mapping[str, object]
) -> None:
    """Raise `InvalidInputError` if an option was given that does not belong to the export.

    Args:
        to: format of the export.
        of_runs: values of the options of runs, falsy if they were not given.
        of_models: values of the options of language models, falsy if they were not given.
    """
    unused = of_runs if to == "vllm" else of_models
    given = [name for name, value in unused.items() if value]
    if given:
        raise InvalidInputError(f"--to {to} has no option {', '.join(given)}. Omit it.")


def _write_served_model(source: Path, base: str | None, dtype: "ServedDtype", out: Path) -> int:
    from audioprobe.models.ltu.checkpoint import load_ltu
    from audioprobe.models.ltu.serving import export_for_vllm

    served = export_for_vllm(load_ltu(source, base), out, dtype=dtype)
    write(printable(f"wrote {out} ({served.model.name}, {served.dtype})"))
    write(printable(f"start a server: {served.command(out)}"))
    write(printable(f"then use: --model vllm-ltu:{source}"))
    return 0


def _model_names(run: "ProbeRun", model: str) -> list[str]:
    """Return the names of the models of a run, or only `model` if it is not "".

    Raises:
        InvalidInputError: if the run has no such model.
    """
    names = list(dict.fromkeys(plan.model.name for plan in run.planned))
    if model and model not in names:
        raise InvalidInputError(
            f"--model: expected a model of the run ({', '.join(names)}), received {model!r}."
            f"{did_you_mean(model, names)}"
        )
    return [model] if model else names


def _question_tables(run: "ProbeRun", models: Sequence[str]) -> "dict[str, AudioTable]":
    from audioprobe.exchange import question_table

    return {
        plan.name: question_table(plan.questions).labelled(**_labels(plan))
        for plan in run.planned
        if plan.model.name in models
    }


def _trial_tables(run: "ProbeRun", models: Sequence[str], folder: Path) -> "dict[str, AudioTable]":
    from audioprobe.exchange import trial_table

    return {
        plan.name: trial_table(cell.outcome, plan.questions).labelled(**_labels(plan))
        for plan, cell in zip(run.planned, run.read(folder), strict=True)
        if plan.model.name in models
    }


def _labels(plan: "PlannedProbe") -> dict[str, str]:
    return {"model": plan.model.name, "evaluation_set": plan.evaluation_set}


def _classification_tables(folder: Path) -> "dict[str, AudioTable]":
    from audioprobe.exchange import classification_table

    run = classification_run(folder / CONFIG)
    clips = {each.name: each.clips for each, _ in run.questions}
    return {
        cell.name: classification_table(cell.result, clips[cell.evaluation_set]).labelled(
            model=run.config.model.name,
            evaluation_set=cell.evaluation_set,
            prompt_level=cell.prompt_level,
        )
        for cell in run.read(folder)
    }


def _write_dataset(tables: "Mapping[str, AudioTable]", out: Path, card: "DatasetCard") -> int:
    huggingface = optional_import("audioprobe.exchange.huggingface", "data")
    written = huggingface.write_huggingface(tables, out, card)
    write(f"{written.n_rows} rows, {written.n_sounds} with audio")
    for cause, n in written.audio_failures.items():
        write(printable(f"{n} rows without audio: {cause}"))
    write(printable(f"wrote {out}; read it with datasets.load_dataset({str(out)!r})"))
    return 0


def _write_tasks(run: "ProbeRun", model: str, out: Path) -> int:
    """Write one task for each evaluation set of a model; several get folders in `out`."""
    from audioprobe.exchange import write_inspect
    from audioprobe.exchange.inspect_folder import TASK

    plans = [plan for plan in run.planned if plan.model.name == model]
    for plan in plans:
        folder = out / plan.evaluation_set if len(plans) > 1 else out
        probe = plan.questions
        content = write_inspect(probe.questions, probe.sounds, folder, seed=probe.seed)
        write(printable(f"{plan.evaluation_set}: {len(content.questions)} questions"))
        for cause, n in content.left_out.items():
            write(printable(f"  {n} left out: {cause}"))
        if content.clipped:
            write(f"  {len(content.clipped)} sounds have samples beyond full scale; clipped")
        write(printable(f"wrote {folder}; run: inspect eval {folder / TASK} --model MODEL"))
    return 0
