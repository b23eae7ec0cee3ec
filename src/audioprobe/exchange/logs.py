"""Read a log of any supported tool, and recognise the tool."""

import json
from dataclasses import replace
from pathlib import Path

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.exchange.lmms_eval import read_lmms_eval
from audioprobe.exchange.scored_log import ScoredLog
from audioprobe.exchange.sounds import public_text
from audioprobe.exchange.tables import public_names_of, public_questions
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import Condition


def read_log(
    path: str | Path,
    *,
    model: str = "",
    condition: Condition = "audio",
    metric: str = "",
    parse: bool = False,
) -> ScoredLog:
    """Read a log of lmms-eval, inspect_ai or a concept probe of this library.

    Args:
        path: samples of lmms-eval (.jsonl), a log of inspect_ai (.eval or .json), or a result of a
            concept probe (results/MODEL--SET.json).
        model: name of the model; "" takes the name in the log or of its folder.
        condition: condition of the prompts of lmms-eval, whose logs do not contain it.
        metric: name of the metric or scorer; "" takes the only one in the log.
        parse: whether responses are parsed again by the rules of `audioprobe.probing.answers`.

    Raises:
        InvalidInputError: if the file is missing, incomplete, or of another tool.
        MissingDependencyError: if a log of inspect_ai is read without the extra `exchange`.
    """
    file = Path(path)
    if not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise InvalidInputError(f"{file}: expected a log file, received {what}.")
    if file.suffix == ".jsonl":
        return read_lmms_eval(file, model=model, condition=condition, metric=metric, parse=parse)
    if file.suffix not in (".eval", ".json"):
        raise InvalidInputError(
            f"{file}: expected a log of lmms-eval (.jsonl), of inspect_ai (.eval, .json) or of a "
            f"concept probe (.json), received a file {file.suffix or 'without suffix'}."
        )
    if file.suffix == ".json" and _is_outcome(file):
        return read_outcome(file, model=model)
    inspect_log = optional_import("audioprobe.exchange.inspect_log", "exchange")
    log: ScoredLog = inspect_log.read_inspect_log(file, model=model, metric=metric, parse=parse)
    return log


def read_outcome(path: str | Path, *, model: str = "") -> ScoredLog:
    """Read the result of a concept probe of this library, with its default reading.

    Args:
        path: file results/MODEL--SET.json of a run.
        model: name of the model; "" takes the name of the file before "--".

    Raises:
        InvalidInputError: if the file is not such a result.
    """
    file = Path(path)
    outcome = ProbeOutcome.load(file)
    questions = [trial.question for trial in outcome.trials]
    names = public_names_of(questions)
    name, _, evaluation_set = file.stem.partition("--")
    return ScoredLog(
        path=str(file),
        tool="audioprobe",
        model=model or name,
        task=evaluation_set or file.stem,
        trials=tuple(
            replace(trial, question=question, failure=public_text(trial.failure, names))
            for trial, question in zip(outcome.trials, public_questions(questions), strict=True)
        ),
        reading=outcome.reading,
    )


def _is_outcome(file: Path) -> bool:
    """Return whether a JSON file has the keys of a `ProbeOutcome`.

    Raises:
        InvalidInputError: if the file is not complete JSON, or neither a probe nor of inspect_ai.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{file}: cannot be read as JSON ({error!s:.200}). Is the file complete?"
        ) from error
    keys = set(content) if isinstance(content, dict) else set()
    if {"trials", "captions", "provenance"} <= keys:
        return True
    if {"version", "eval"} <= keys:
        return False
    raise InvalidInputError(
        f"{file}: expected a log of inspect_ai (with the keys version and eval) or a result of a "
        f"concept probe (trials, captions, provenance), received {', '.join(sorted(keys)):.200}. "
        "The samples of lmms-eval are in a file DATE_samples_TASK.jsonl."
    )
