"""Read logs of inspect_ai (.eval, .json); importing this module requires the extra `exchange`."""

import zipfile
from pathlib import Path

from audioprobe.errors import InvalidInputError, located, needs_extra
from audioprobe.exchange.inspect_task import question_of
from audioprobe.exchange.scored_log import LogItem, ScoredLog, binary_score, chosen_name
from audioprobe.probing.question_asker import parse_response
from audioprobe.probing.trial import ProbeQuestion, Trial

with needs_extra("exchange"):
    from inspect_ai.log import EvalError, EvalLog, EvalSample, read_eval_log
    from inspect_ai.model import ContentAudio
    from inspect_ai.scorer import NOANSWER

_INVALID = frozenset(("invalid_response_format", "refusal", "no_response"))
_MAX_CAUSE = 200  # characters of an error message
_UNUSED = {"messages", "events", "store", "attachments"}
_ADVICE = "Choose a score that is C or I, or 1 or 0, with --metric (argument `metric`)."


def read_inspect_log(
    path: str | Path, *, model: str = "", metric: str = "", parse: bool = False
) -> ScoredLog:
    """Read a log of inspect_ai with its own `read_eval_log`.

    Samples of a task of this library become the trials that they were made from: their responses
    are parsed by the rules of `audioprobe.probing.answers`. Samples of other tasks keep the score
    of their scorer: "C", "I", or numbers 1 and 0; "N", and responses that the scorer could not
    parse, are invalid answers. Samples with an error or without a score are failures. Epochs are
    repetitions of an item.

    Args:
        path: log file, .eval or .json.
        model: name of the model; "" takes the name in the log.
        metric: name of the scorer; "" takes the only one.
        parse: whether responses to multiple-choice questions of other tasks are parsed again.

    Raises:
        InvalidInputError: if the file is not such a log, has no samples, or has scores between 0
            and 1.
    """
    log = _read(Path(path))
    if not log.samples:
        raise InvalidInputError(
            f"{path}: expected a log with samples, received none (status {log.status!r}). Run the "
            "evaluation again without --no-log-samples."
        )
    with located(str(path)):
        questions = [question_of(sample.metadata) for sample in log.samples]
        others = [s for s, q in zip(log.samples, questions, strict=True) if q is None]
        names = (name for sample in others for name in sample.scores or ())
        scorer = "" if parse or not others else chosen_name(names, metric, "scores", "scorer")
        trials = tuple(
            _other_trial(sample, scorer) if question is None else _probe_trial(sample, question)
            for sample, question in zip(log.samples, questions, strict=True)
        )
    if len(others) < len(questions) and any(sample.epoch > 1 for sample in log.samples):
        raise InvalidInputError(
            f"{path}: expected one epoch of a concept probe, received several. Run it with "
            "--epochs 1: its questions have several wordings."
        )
    ids = log.eval.dataset.sample_ids
    n_expected = (len(ids) if ids else 0) * (log.eval.config.epochs or 1)
    return ScoredLog(
        path=str(path),
        tool="inspect_ai",
        model=model or log.eval.model,
        task=log.eval.task,
        trials=trials,
        n_missing=max(0, n_expected - len(trials)),
    )


def _read(path: Path) -> EvalLog:
    try:
        return read_eval_log(path, exclude_fields=_UNUSED)
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        cause = " ".join(str(error).split())
        raise InvalidInputError(
            f"{path}: expected a log of inspect_ai, which its read_eval_log can read; received "
            f"another or an incomplete file ({type(error).__name__}: {cause:.200})."
        ) from error


def _probe_trial(sample: EvalSample, question: ProbeQuestion) -> Trial:
    if sample.error:
        return Trial(question=question, failure=_cause(sample.error))
    response = sample.output.completion
    return Trial(question=question, response=response, parsed=parse_response(response, question))


def _other_trial(sample: EvalSample, scorer: str) -> Trial:
    """Return the trial of a sample of another task; a scorer "" means to parse the response."""
    item, response = _item(sample), sample.output.completion
    failure = _cause(sample.error) if sample.error else ""
    if not scorer:
        return item.parsed_trial(response, failure)
    score = (sample.scores or {}).get(scorer)
    if failure or score is None:
        cause = failure or "the scorer gave no score"
        return item.trial(response, is_correct=None, failure=cause)
    if score.value == NOANSWER or score.reason in _INVALID:
        return item.trial(response, is_correct=None)
    is_correct = binary_score(score.value, f"sample {sample.id}", _ADVICE)
    cause = f"the scorer gave no score ({score.reason})" if is_correct is None else ""
    return item.trial(score.answer or response, is_correct=is_correct, failure=cause)


def _cause(error: EvalError) -> str:
    return " ".join(error.message.split())[:_MAX_CAUSE] or "error"


def _item(sample: EvalSample) -> LogItem:
    contents: list[object] = []
    texts = [sample.input] if isinstance(sample.input, str) else []
    for message in sample.input if isinstance(sample.input, list) else ():
        texts.append(message.text)
        contents += message.content if isinstance(message.content, list) else []
    has_audio = any(isinstance(content, ContentAudio) for content in contents)
    target = sample.target if isinstance(sample.target, str) else ", ".join(sample.target)
    return LogItem(
        id=str(sample.id),
        condition="audio" if has_audio else "text",
        text="\n".join(texts),
        target=target,
        choices=tuple(sample.choices or ()),
        repetition=sample.epoch - 1,
    )
