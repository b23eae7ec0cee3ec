"""Analyse trials from logs: accuracy, modality gap, repetitions, and differences of models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.exchange.log_analysis import LogAnalysis, LogDifference, LogScore, question_name
from audioprobe.exchange.scored_log import ScoredLog
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.significance import holm
from audioprobe.probing.accuracy_difference import accuracy_difference, valid_answers
from audioprobe.probing.consistency import Consistency, consistency
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.scores import score
from audioprobe.probing.trial import (
    CONDITIONS,
    FORMS,
    AnswerReading,
    Condition,
    Trial,
    count_failures,
)

_BOOTSTRAP = Bootstrap()
_Part: TypeAlias = tuple[str, Condition, RelationKind]  # model, condition and relation


def analyze_logs(
    logs: Sequence[ScoredLog],
    *,
    groups: Mapping[str, str] | None = None,
    bootstrap: Bootstrap = _BOOTSTRAP,
) -> LogAnalysis:
    """Analyse the trials of one benchmark, from one or several models and conditions.

    Args:
        logs: the logs. Logs with the same model name are joined; each has other conditions.
        groups: group (recording, site, speaker) by item id, for items of other benchmarks; None
            makes each item its own cluster. Concept probes have their concepts as clusters.
        bootstrap: how confidence intervals are computed; permutations use its seed, too.

    Raises:
        InvalidInputError: if there is no log, an item has no group, two logs have the same model
            and condition, an item has different targets, or a model is read in two ways.
    """
    joined = _joined(logs, groups)
    readings = _readings(logs)
    parts = {
        (model, *key): part
        for model, trials in joined.items()
        for key, part in _by_condition(trials).items()
    }
    scores = tuple(
        LogScore(
            model=model,
            condition=condition,
            relation=relation,
            score=score(part, readings[model], bootstrap),
            repeated=_repeated(part, readings[model], bootstrap),
        )
        for (model, condition, relation), part in parts.items()
    )
    differences = [
        *_gaps(joined, readings, bootstrap),
        *_model_differences(parts, readings, bootstrap),
    ]
    corrected = holm([d.permutation.p_value if d.permutation else None for d in differences])
    return LogAnalysis(
        scores=scores,
        differences=tuple(replace(d, holm=p) for d, p in zip(differences, corrected, strict=True)),
        failures={m: causes for m, t in joined.items() if (causes := count_failures(t))},
        n_missing=_missing(logs),
        unit=_unit(joined, groups),
    )


def _joined(
    logs: Sequence[ScoredLog], groups: Mapping[str, str] | None
) -> dict[str, tuple[Trial, ...]]:
    """Return the trials of each model; the concept of an item of another benchmark is its group."""
    if not logs:
        raise InvalidInputError("Expected at least one log, received none.")
    joined: dict[str, list[Trial]] = {}
    origins: dict[tuple[str, Condition], str] = {}
    answers: dict[str, tuple[str, str]] = {}
    for log in logs:
        for condition in log.conditions:
            earlier = origins.setdefault((log.model, condition), log.path)
            if earlier != log.path:
                raise InvalidInputError(
                    f"{log.path} and {earlier}: expected one log of the model {log.model!r} in the "
                    f"condition {condition!r}, received two. Pass logs of one benchmark, and give "
                    "different models different names (NAME=LOG)."
                )
        trials = joined.setdefault(log.model, [])
        for trial in log.trials:
            _check_target(trial, log.path, answers)
            trials.append(_grouped(trial, log.path, groups))
    return {model: tuple(trials) for model, trials in joined.items()}


def _check_target(trial: Trial, path: str, answers: dict[str, tuple[str, str]]) -> None:
    """Check that an item of another benchmark has the same correct answer in all logs."""
    question = trial.question
    if question.pair.relation != "other" or trial.failure:
        return
    item, answer = question.pair.target, question.options[question.correct]
    before, where = answers.setdefault(item, (answer, path))
    if before != answer:
        raise InvalidInputError(
            f"{path}: item {item} has the correct answer {answer!r:.60}, but {before!r:.60} in "
            f"{where}. Pass logs of the same version of one benchmark."
        )


def _grouped(trial: Trial, path: str, groups: Mapping[str, str] | None) -> Trial:
    pair = trial.question.pair
    if groups is None or pair.relation != "other":
        return trial
    if pair.target not in groups:
        raise InvalidInputError(
            f"{path}: item {pair.target} has no group. Add it to the table of groups."
        )
    question = replace(trial.question, pair=replace(pair, concept=groups[pair.target]))
    return replace(trial, question=question)


def _readings(logs: Sequence[ScoredLog]) -> dict[str, AnswerReading]:
    readings: dict[str, AnswerReading] = {}
    for log in logs:
        if readings.setdefault(log.model, log.reading) != log.reading:
            raise InvalidInputError(
                f"{log.path}: the answers of {log.model!r} are read by {log.reading}, but by "
                f"{readings[log.model]} in another log. Give the models different names (NAME=LOG)."
            )
    return readings


def _by_condition(
    trials: Sequence[Trial],
) -> dict[tuple[Condition, RelationKind], list[Trial]]:
    """Return the trials by condition and relation, in the order of the conditions."""
    parts: dict[tuple[Condition, RelationKind], list[Trial]] = {}
    for trial in trials:
        key = trial.question.condition, trial.question.pair.relation
        parts.setdefault(key, []).append(trial)
    return {key: parts[key] for key in sorted(parts, key=lambda key: CONDITIONS.index(key[0]))}


def _repeated(
    trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap
) -> Consistency | None:
    results = (consistency(trials, reading, bootstrap, form=form) for form in FORMS)
    return next((result for result in results if result.n), None)


def _gaps(
    joined: Mapping[str, Sequence[Trial]],
    readings: Mapping[str, AnswerReading],
    bootstrap: Bootstrap,
) -> Iterator[LogDifference]:
    """Yield text minus audio for each model that has both conditions."""
    for model, trials in joined.items():
        if {"text", "audio"} <= {trial.question.condition for trial in trials}:
            gap = modality_gap(trials, readings[model], bootstrap)
            yield LogDifference(
                name=f"{model}: text minus audio",
                difference=gap.difference,
                permutation=gap.permutation,
                mcnemar=gap.mcnemar,
            )


def _model_differences(
    parts: Mapping[_Part, Sequence[Trial]],
    readings: Mapping[str, AnswerReading],
    bootstrap: Bootstrap,
) -> Iterator[LogDifference]:
    """Yield the difference of each pair of models, for each condition and relation of both."""
    models = list(dict.fromkeys(model for model, _, _ in parts))
    for first, second in combinations(models, 2):
        for model, condition, relation in parts:
            if model != first or (second, condition, relation) not in parts:
                continue
            a, b = (
                valid_answers(parts[name, condition, relation], readings[name])
                for name in (first, second)
            )
            result = accuracy_difference(a, b, bootstrap)
            yield LogDifference(
                name=f"{first} minus {second}: {question_name(condition, relation)}",
                difference=result.difference,
                permutation=result.permutation,
                mcnemar=result.mcnemar,
            )


def _missing(logs: Sequence[ScoredLog]) -> dict[str, int]:
    """Return the number of items that the logs of each model lack; complete models are absent."""
    models = dict.fromkeys(log.model for log in logs)
    counts = {m: sum(log.n_missing for log in logs if log.model == m) for m in models}
    return {model: n for model, n in counts.items() if n}


def _unit(joined: Mapping[str, Sequence[Trial]], groups: Mapping[str, str] | None) -> str:
    relations = {t.question.pair.relation for trials in joined.values() for t in trials}
    if relations == {"other"}:
        return "items" if groups is None else "groups"
    return "concepts" if "other" not in relations else "concepts and items"
