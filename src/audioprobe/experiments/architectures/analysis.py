"""All results of a study of architectures, computed from its stored answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from audioprobe.experiments.architectures.agent_analysis import AgentUse, agent_use
from audioprobe.experiments.architectures.claims import ArmClaim, all_claims
from audioprobe.experiments.architectures.comparison import (
    TransferResult,
    cascade_of,
    differences_from_first,
    finished_arms,
    kappa,
    transfer,
)
from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.items import (
    PRIMARY,
    ROLES,
    SCENE_MEASURES,
    ArmMeasure,
    GapPart,
    QuestionGroup,
    QuestionRole,
    constant_accuracy,
    gap_measure,
    scene_chance,
)
from audioprobe.experiments.architectures.materials import RECORDINGS, SCENES
from audioprobe.experiments.architectures.questions import SceneTask
from audioprobe.experiments.architectures.seed_means import ArmDifference, SeedMean, seed_mean
from audioprobe.experiments.architectures.storage import ArchitecturesRecord

CLIP_SETS = ("", SCENES, RECORDINGS)
"""Sets of clips; "" is both."""
_PARTS: tuple[GapPart, ...] = get_args(GapPart)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitecturesSummary:
    """All results of a study; arms are identified by their name.

    Attributes:
        record: stored results that everything else is computed from.
        arms: arms with results, in the order of the configuration.
        accuracies: balanced accuracy by arm and group of yes/no questions.
        differences: difference of every other arm from the first one in the primary measure.
        gaps: accuracy in text minus accuracy in audio, and its parts, by arm, role and part.
        scenes: accuracy of questions about scenes, by arm and task.
        chance: expected accuracy of guesses in these questions, by task.
        constant: accuracy of always giving the most frequent answer, by task.
        transfers: accuracy in audio by what was trained, by arm.
        agreement: Cohen's kappa with the cascade, by arm.
        agents: plan, tools and answers of arms that call tools.
        claims: claims of the literature, and whether the measurements agree.
    """

    record: ArchitecturesRecord
    arms: tuple[Arm, ...]
    accuracies: Mapping[tuple[str, QuestionGroup], SeedMean]
    differences: tuple[ArmDifference, ...]
    gaps: Mapping[tuple[str, QuestionRole, GapPart], SeedMean]
    scenes: Mapping[tuple[str, SceneTask], SeedMean]
    chance: Mapping[SceneTask, float]
    constant: Mapping[SceneTask, float]
    transfers: Mapping[str, TransferResult]
    agreement: Mapping[str, SeedMean]
    agents: Mapping[str, AgentUse]
    claims: tuple[ArmClaim, ...]

    def primary(self, arm: str) -> SeedMean:
        """Return the primary measure of an arm."""
        return self.accuracies[arm, QuestionGroup("held_out", "audio")]

    def difference(self, arm: str) -> ArmDifference | None:
        """Return the difference of an arm from the first one; None for the first one."""
        return next((each for each in self.differences if each.first == arm), None)


def summarize(record: ArchitecturesRecord) -> ArchitecturesSummary:
    """Compute all results of a study; of an incomplete study, those of the finished runs."""
    arms, bootstrap = finished_arms(record), record.config.bootstrap
    names = [arm.name for arm in arms]
    run = next(iter(record.results.values()))  # questions about scenes are the same in all runs
    chances: dict[SceneTask, float | None] = {
        task: scene_chance(run, task) for task in SCENE_MEASURES
    }
    constants: dict[SceneTask, float | None] = {
        task: constant_accuracy(run, task) for task in SCENE_MEASURES
    }
    used = {name: agent_use(record.of(name), bootstrap) for name in names}
    agents = {name: use for name, use in used.items() if use is not None}
    agreement = dict(_agreements(record))
    gaps: dict[tuple[str, QuestionRole, GapPart], SeedMean] = {
        (name, role, part): mean_of(record, name, gap_measure(role, part))
        for name in names
        for role in ROLES
        if role != "identity"
        for part in _PARTS
    }
    return ArchitecturesSummary(
        record=record,
        arms=tuple(arms),
        accuracies={
            (name, group): mean_of(record, name, ArmMeasure("accuracy", group.items))
            for name in names
            for group in question_groups()
        },
        differences=differences_from_first(record, PRIMARY),
        gaps=gaps,
        scenes={
            (name, task): mean_of(record, name, measure)
            for name in names
            for task, measure in SCENE_MEASURES.items()
        },
        chance={task: value for task, value in chances.items() if value is not None},
        constant={task: value for task, value in constants.items() if value is not None},
        transfers={name: transfer(record.of(name), bootstrap) for name in names},
        agreement=agreement,
        agents=agents,
        claims=all_claims(
            record,
            {name: gaps[name, "relations", "difference"] for name in names},
            agreement,
            agents,
        ),
    )


def question_groups() -> Iterator[QuestionGroup]:
    """Yield all groups of yes/no questions: by role, condition and set of clips."""
    for role in ROLES:
        if role != "identity":
            yield QuestionGroup(role, "text")
        for clips in CLIP_SETS:
            yield QuestionGroup(role, "audio", clips)


def mean_of(record: ArchitecturesRecord, arm: str, measure: ArmMeasure) -> SeedMean:
    """Return the mean of a measure of an arm over its seeds."""
    items = {seed: measure.items(result) for seed, result in record.of(arm).items()}
    return seed_mean(items, record.config.bootstrap, measure.unit)


def _agreements(record: ArchitecturesRecord) -> Iterator[tuple[str, SeedMean]]:
    cascade = cascade_of(record)
    for arm in finished_arms(record):
        if cascade is None or arm.name == cascade:
            continue
        agreement = kappa(record.of(arm.name), record.of(cascade), record.config.bootstrap)
        if agreement is not None:
            yield arm.name, agreement
