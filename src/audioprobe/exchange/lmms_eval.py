"""Read the samples of lmms-eval: the JSON lines that its option `--log_samples` writes."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.exchange.scored_log import LogItem, ScoredLog, binary_score, chosen_name
from audioprobe.probing.trial import Condition, Trial

_REQUIRED = ("doc_id", "target", "filtered_resps")
_NO_METRICS = frozenset((
    *_REQUIRED, "doc", "arguments", "resps", "token_counts", "doc_hash", "prompt_hash",
    "target_hash", "input", "input_media", "filter", "metrics", "submission",
))  # fmt: skip
_SCORES = ("overall", "score", "correct", "accuracy")  # keys of a metric that is a dictionary
_NAME = re.compile(r"(?:.*_)?samples_(.+)\.jsonl")
_ADVICE = "Choose a metric that is 0 or 1 per item with --metric (argument `metric`)."


def read_lmms_eval(
    path: str | Path,
    *,
    model: str = "",
    condition: Condition = "audio",
    metric: str = "",
    parse: bool = False,
) -> ScoredLog:
    """Read one file of samples of lmms-eval.

    Empty responses are invalid answers; items without a value of the metric are failures. Some
    tasks of lmms-eval choose a random option if they cannot parse a response, which its log does
    not show: `parse` applies the rules of this library instead.

    Args:
        path: file DATE_samples_TASK.jsonl.
        model: name of the model; "" takes the name of the folder, as lmms-eval names it.
        condition: condition of the prompts, which the file does not contain.
        metric: key of the metric, such as "accuracy" or "accuracy.overall"; "" takes the only one.
        parse: whether responses are parsed again, for prompts that list options after letters.

    Raises:
        InvalidInputError: if the file is not such a file, a line is incomplete, an item occurs
            twice, or scores are not 0 or 1.
    """
    file = Path(path)
    trials: dict[str, Trial] = {}
    samples = _lines(file)
    score_of = None if parse else _score_reader([sample for _, sample in samples], metric, file)
    for number, sample in samples:
        place = f"{file}, line {number}"
        item = LogItem(
            id=str(sample["doc_id"]),
            condition=condition,
            text=_text(sample.get("input", "")),
            target=_text(sample["target"]),
        )
        if item.id in trials:
            raise InvalidInputError(
                f"{place}: expected each doc_id once, received {item.id} again. Two evaluations "
                "may have written this file: run one again, into another folder."
            )
        response = _text(sample["filtered_resps"])
        if score_of is None:
            trials[item.id] = item.parsed_trial(response)
            continue
        score = binary_score(score_of(sample), place, _ADVICE)
        failure = "lmms-eval gave no score" if score is None else ""
        trials[item.id] = item.trial(response, is_correct=score, failure=failure)
    name = _NAME.fullmatch(file.name)
    return ScoredLog(
        path=str(file),
        tool="lmms-eval",
        model=model or file.resolve().parent.name,
        task=name[1] if name else file.stem,
        trials=tuple(trials.values()),
    )


def _lines(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the number and content of each line, from 1."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: cannot be read as a text in UTF-8 ({error}).") from error
    samples = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                f"{file}, line {number}: expected a sample of lmms-eval in JSON, received "
                f"{line[:40]!r} ({error}). If the evaluation was stopped, run it again."
            ) from error
        missing = [k for k in _REQUIRED if not isinstance(sample, Mapping) or k not in sample]
        if missing:
            keys = ", ".join(map(str, sample)) if isinstance(sample, Mapping) else "no keys"
            raise InvalidInputError(
                f"{file}, line {number}: expected a sample of lmms-eval with "
                f"{', '.join(_REQUIRED)}; {missing[0]!r} is missing, received {keys:.200}. Pass a "
                "file DATE_samples_TASK.jsonl that the option --log_samples wrote."
            )
        samples.append((number, sample))
    if not samples:
        raise InvalidInputError(f"{file}: expected samples of lmms-eval, received an empty file.")
    return samples


def _score_reader(
    samples: Sequence[Mapping[str, Any]], metric: str, file: Path
) -> Callable[[Mapping[str, Any]], object]:
    """Return a function that returns the value of the metric of a sample; None if it has none.

    The metric, and the key of its value if it is a dictionary, are those of all samples.
    """
    names = (key for sample in samples for key in sample if key not in _NO_METRICS)
    wanted, _, part = metric.partition(".")
    name = chosen_name(names, wanted, str(file), "metric")
    parts = [s[name] for s in samples if isinstance(s.get(name), Mapping)]
    keys = dict.fromkeys(key for value in parts for key in value)
    usual = next((key for key in _SCORES if key in keys), "")
    key = chosen_name(keys, part or usual, f"{file}: {name}", "value") if keys else ""

    def score(sample: Mapping[str, Any]) -> object:
        value = sample.get(name)
        return value.get(key) if isinstance(value, Mapping) else value

    return score


def _text(value: object) -> str:
    """Return the text of a value that may be a text, a list with one text, or other JSON."""
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
