"""Training runs of a study: each strategy of the design is trained with each seed.

A strategy combines one level (setting) of each of three factors: trainable modules, regularization
(limits forgetting) and alignment (of audio with text). The design selects the combinations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.finetuning.config import (
    AlignmentLevel,
    RegularizationLevel,
    StudyConfig,
    TrainableLevel,
)
from audioprobe.finetuning.components import PairedQuestionTraining
from audioprobe.finetuning.strategy import Strategy

_MAY_CHANGE = (
    "trainable",
    "grid",
    "training_arguments",
    "regularization",
    "alignment",
    "design",
    "additional_strategies",
    "clips_per_step",
    "seeds",
    "bootstrap",
)
"""Fields of `StudyConfig` that may change; results of unchanged strategies remain valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One strategy that is trained with one seed.

    Attributes:
        trainable: name of the level of trainable modules.
        regularization: name of the level of regularization.
        alignment: name of the level of alignment.
        arm: for runs on novel classes (invented class names), what is trained: "text", "audio",
            "text+audio" or "shuffled" (control with random answers); "" for all other runs.
        seed: random seed of the training.
        strategy: options of the fine-tuning.
    """

    trainable: str
    regularization: str
    alignment: str
    arm: str = ""
    seed: int = 0
    strategy: Strategy

    @property
    def configuration(self) -> str:
        """Name without the seed: the levels, or the arm for runs on novel classes."""
        if self.arm:
            return f"transfer--{self.arm}"
        return f"{self.trainable}--{self.regularization}--{self.alignment}"

    @property
    def name(self) -> str:
        """Name of the run; its result file has the same name."""
        return f"{self.configuration}--{self.seed}"


def training_runs(study: StudyConfig) -> tuple[TrainingRun, ...]:
    """Return all runs of a study: first every strategy with the first seed, then with the next.

    Raises:
        InvalidInputError: if two strategies have the same name.
    """
    runs = [_run(study, *levels) for levels in _design(study)]
    runs += [
        _run(study, study.level(s.trainable), s.regularization, s.alignment)
        for s in study.additional_strategies
    ]
    runs += list(_transfer(study))
    names = [run.configuration for run in runs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidInputError(
            f"Expected strategies with different names, got {repeated[0]!r} twice. Remove one, or "
            "set the `name` of a level."
        )
    seeded = []
    for seed, run in product(study.seeds, runs):
        arguments = replace(run.strategy.arguments, seed=seed)
        seeded.append(replace(run, seed=seed, strategy=replace(run.strategy, arguments=arguments)))
    return tuple(seeded)


def incompatibility(older: StudyConfig, newer: StudyConfig) -> str | None:
    """Return why a new configuration cannot continue an older study; None if it can.

    Seeds, strategies and the bootstrap may change. A run that is in both studies (same name) must
    have the same strategy in both.
    """
    for name in (field.name for field in fields(StudyConfig)):
        if name not in _MAY_CHANGE and getattr(older, name) != getattr(newer, name):
            return f"{name} differs"
    before = {run.name: run for run in training_runs(older)}
    for run in training_runs(newer):
        if before.get(run.name, run) != run:
            return f"{run.name} has another strategy"
    return None


def _design(
    study: StudyConfig,
) -> Iterator[tuple[TrainableLevel, RegularizationLevel, AlignmentLevel]]:
    """Yield three levels, one per factor, for each strategy of `StudyConfig.design`."""
    trainable, regularization, alignment = study.levels, study.regularization, study.alignment
    if study.design == "full":
        yield from product(trainable, regularization, alignment)
    elif study.design == "fraction":
        for i, level in enumerate(trainable):
            for j, regularizer in enumerate(regularization):
                yield level, regularizer, alignment[(i + j) % len(alignment)]
    else:
        yield trainable[0], regularization[0], alignment[0]
        yield from ((level, regularization[0], alignment[0]) for level in trainable[1:])
        yield from ((trainable[0], level, alignment[0]) for level in regularization[1:])
        yield from ((trainable[0], regularization[0], level) for level in alignment[1:])


def _run(
    study: StudyConfig,
    trainable: TrainableLevel,
    regularization: RegularizationLevel,
    alignment: AlignmentLevel,
) -> TrainingRun:
    """Return the run with these three levels; `training_runs` sets its seed."""
    arguments = replace(
        study.training_arguments,
        learning_rate=trainable.learning_rate,
        schedule=trainable.schedule or study.training_arguments.schedule,
    )
    strategy = Strategy(
        train=trainable.modules,
        arguments=arguments,
        regularizers=regularization.components,
        alignment=alignment.components,
        clips_per_step=study.clips_per_step,
        lora=trainable.lora,
    )
    return TrainingRun(
        trainable=trainable.label,
        regularization=regularization.label,
        alignment=alignment.label,
        strategy=strategy,
    )


def _transfer(study: StudyConfig) -> Iterator[TrainingRun]:
    """Yield the runs on novel classes, trained in text, audio, both, or with random answers."""
    transfer = study.transfer
    if transfer is None:
        return
    n = transfer.pairs
    arms = {
        "text": PairedQuestionTraining(n, ("text",)),
        "audio": PairedQuestionTraining(n, ("audio",)),
        "text+audio": PairedQuestionTraining(n),
        "shuffled": PairedQuestionTraining(n, shuffle_answers=True),
    }
    level = study.level(transfer.trainable)
    if transfer.learning_rate is not None:
        level = replace(level, learning_rate=transfer.learning_rate)
    for arm, paired in arms.items():
        run = _run(study, level, RegularizationLevel(), AlignmentLevel((paired,)))
        arguments = replace(run.strategy.arguments, steps=transfer.steps)
        strategy = replace(run.strategy, arguments=arguments, clips_per_step=0)
        yield replace(run, arm=arm, strategy=strategy)


def strategy_name(strategy: Sequence[str]) -> str:
    """Return a short name of a strategy from its levels: trainable, regularization, alignment.

    Levels called "none" are left out.
    """
    trainable, *others = strategy
    return ", ".join([trainable, *(level for level in others if level != "none")])
