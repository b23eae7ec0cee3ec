"""Comparisons of arms: differences from the first arm, agreement with the cascade, transfer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.items import (
    READING,
    AnswerItem,
    ArmMeasure,
    QuestionGroup,
)
from audioprobe.experiments.architectures.seed_means import (
    ArmDifference,
    SeedMean,
    arm_difference,
    seed_contrast,
    summarize_replicates,
)
from audioprobe.experiments.architectures.storage import ArchitecturesRecord, ArmResult
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.crossed import Replicate
from audioprobe.metrics.significance import holm
from audioprobe.metrics.vectorized_metrics import cohen_kappa
from audioprobe.probing.agreement import chosen_option, pair_models, question_key
from audioprobe.probing.trial import Trial

ALPHA = 0.05
"""Threshold of significance for the corrected p-value."""


def finished_arms(record: ArchitecturesRecord) -> list[Arm]:
    """Return the arms with at least one result, in the order of the configuration."""
    return [arm for arm in record.config.arms if record.of(arm.name)]


def tested_arms(record: ArchitecturesRecord) -> list[Arm]:
    """Return the arms with results that are architectures, not bounds."""
    return [arm for arm in finished_arms(record) if not is_bound(arm)]


def is_bound(arm: Arm) -> bool:
    """Return whether an arm is a bound: without audio, with random vectors, or true labels."""
    return arm.input in ("nothing", "true tags") or arm.connector.kind == "random"


def differences_from_first(
    record: ArchitecturesRecord, measure: ArmMeasure
) -> tuple[ArmDifference, ...]:
    """Return the difference of every other arm from the first arm of the configuration.

    p-values are corrected over all of these arms (Holm). Arms without a common seed are left out;
    without results of the first arm there are no differences.
    """
    first, *others = record.config.arms
    results = [(record.of(arm.name), record.of(first.name)) for arm in others]
    differences = [
        difference
        for arm, reference in results
        if arm and reference
        if (difference := arm_difference(arm, reference, measure, record.config.bootstrap))
    ]
    corrected = holm([difference.p_value for difference in differences])
    return tuple(replace(d, corrected=p) for d, p in zip(differences, corrected, strict=True))


def is_significant(difference: ArmDifference) -> bool:
    """Return whether the corrected p-value is below `ALPHA`."""
    return difference.corrected is not None and difference.corrected < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """Accuracy in audio by what was trained about the relations, and differences.

    Attributes:
        from_text: accuracy of relations that were trained in text only, minus that of held-out
            relations: what training in text adds in audio.
        from_audio: accuracy of relations that were trained in audio and text, minus that of
            relations that were trained in text only: what training in audio adds.
    """

    from_text: SeedMean
    from_audio: SeedMean


def transfer(results: Mapping[int, ArmResult], bootstrap: Bootstrap) -> TransferResult:
    """Return how the accuracy of an arm in audio depends on what was trained."""
    held_out, text_only, trained = (
        {seed: QuestionGroup(role, "audio").items(r) for seed, r in results.items()}
        for role in ("held_out", "text_only", "audio_and_text")
    )
    return TransferResult(
        from_text=seed_contrast(text_only, held_out, bootstrap),
        from_audio=seed_contrast(trained, text_only, bootstrap),
    )


def cascade_of(record: ArchitecturesRecord) -> str | None:
    """Return the name of the first arm that receives tags as text; None if there is none."""
    return next((arm.name for arm in record.config.arms if arm.input == "tags"), None)


def kappa(
    first: Mapping[int, ArmResult], second: Mapping[int, ArmResult], bootstrap: Bootstrap
) -> SeedMean | None:
    """Return Cohen's kappa of two arms: agreement of their answers to all questions about audio.

    Answers are paired by seed and question. None if the arms have no common seed.

    Args:
        first: results of an arm by seed.
        second: results of the other arm.
        bootstrap: settings of the interval.
    """
    replicates: dict[int, Replicate] = {}
    items: list[list[AnswerItem]] = []
    for seed, result in first.items():
        if seed not in second:
            continue
        sides = [_audio_trials(each) for each in (result, second[seed])]
        pairs, _ = pair_models(sides[0], sides[1], (READING, READING))
        valid = {question_key(trial) for trial, _ in pairs}
        items.append([_paired(trial, question_key(trial) in valid) for trial in sides[0]])
        if pairs:
            answers = [[chosen_option(pair[n], READING) for pair in pairs] for n in (0, 1)]
            groups = [trial.question.pair.concept for trial, _ in pairs]
            replicates[seed] = Replicate(cohen_kappa(*answers), groups)
    return summarize_replicates(replicates, items, bootstrap, "concepts") if items else None


def _audio_trials(result: ArmResult) -> Sequence[Trial]:
    return [trial for trial in result.trials if trial.question.condition == "audio"]


def _paired(trial: Trial, is_valid: bool) -> AnswerItem:
    value = 1.0 if is_valid else None
    concept = trial.question.pair.concept
    return AnswerItem(question_key(trial), concept, "", value, bool(trial.failure))
