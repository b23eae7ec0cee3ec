"""Which strategies a study tries: cells of a design, each by every seed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.levels import (
    AlignmentLevel,
    RegularizationLevel,
    TrainableLevel,
)
from audioprobe.finetuning.strategy import PairedQuestionTraining, Strategy
from audioprobe.training.trainer import TrainingArguments

TRANSFER = "transfer"
_GROWS = (
    "trained",
    "grid",
    "plan",
    "holding",
    "alignment",
    "design",
    "extras",
    "clips",
    "seeds",
    "bootstrap",
)
"""Fields of a study of which a training takes nothing but what is part of its strategy."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training of a study.

    Attributes:
        trained: level of what trains.
        holding: level of how forgetting is held.
        alignment: level of how sound is tied to text; for transfer, what is taught in.
        seed: of the training.
        strategy: all of it.
        transfer: whether classes with invented names are taught, and nothing else.
    """

    trained: str
    holding: str
    alignment: str
    seed: int
    strategy: Strategy
    transfer: bool = False

    @property
    def configuration(self) -> str:
        """The same for every seed."""
        if self.transfer:
            return f"{TRANSFER}--{self.alignment}"
        return f"{self.trained}--{self.holding}--{self.alignment}"

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.configuration}--{self.seed}"


def training_runs(study: StudyConfig) -> tuple[TrainingRun, ...]:
    """All trainings, seed by seed, so that one that is broken off has whole replicates.

    Raises:
        InvalidInputError: if two strategies have one name.
    """
    once = [_cell(study, *levels) for levels in _designed(study)]
    once += [_cell(study, study.level(e.trained), e.holding, e.alignment) for e in study.extras]
    once += list(_transfer(study))
    names = [cell.configuration for cell in once]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"Two strategies of the study are called {twice[0]!r}.")
    return tuple(_seeded(cell, seed) for seed in study.seeds for cell in once)


def incompatibility(was: StudyConfig, now: StudyConfig) -> str | None:
    """What keeps trainings of one study from being those of another; None where nothing does.

    Studies may differ in seeds, strategies, and how intervals are computed, so long as no training
    of one name is another.
    """
    for field in fields(StudyConfig):
        if field.name not in _GROWS and getattr(was, field.name) != getattr(now, field.name):
            return f"{field.name} differs"
    before = {cell.name: cell for cell in training_runs(was)}
    for cell in training_runs(now):
        if before.get(cell.name, cell) != cell:
            return f"{cell.name} is another strategy"
    return None


def _designed(
    study: StudyConfig,
) -> Iterator[tuple[TrainableLevel, RegularizationLevel, AlignmentLevel]]:
    trained, holding, alignment = study.levels, study.holding, study.alignment
    if study.design == "full":
        yield from product(trained, holding, alignment)
    elif study.design == "fraction":
        for i, level in enumerate(trained):
            for j, held in enumerate(holding):
                yield level, held, alignment[(i + j) % len(alignment)]
    else:
        yield trained[0], holding[0], alignment[0]
        yield from ((level, holding[0], alignment[0]) for level in trained[1:])
        yield from ((trained[0], held, alignment[0]) for held in holding[1:])
        yield from ((trained[0], holding[0], tied) for tied in alignment[1:])


def _cell(
    study: StudyConfig, trained: TrainableLevel, held: RegularizationLevel, tied: AlignmentLevel
) -> TrainingRun:
    plan = _plan(study, trained)
    strategy = Strategy(
        train=trained.parts,
        arguments=plan,
        regularizers=held.parts,
        alignment=tied.parts,
        clips_per_step=study.clips,
        lora=trained.lora,
    )
    return TrainingRun(trained.label, held.label, tied.label, 0, strategy)


def _transfer(study: StudyConfig) -> Iterator[TrainingRun]:
    """What is taught in words, in sound, in both, and in both with answers drawn at random."""
    wanted = study.transfer
    if wanted is None:
        return
    level = study.level(wanted.trained)
    rate = level.learning_rate if wanted.learning_rate is None else wanted.learning_rate
    plan = replace(_plan(study, level), learning_rate=rate, steps=wanted.steps)
    n = wanted.pairs
    arms = {
        "words": PairedQuestionTraining(n, ("text",)),
        "sound": PairedQuestionTraining(n, ("audio",)),
        "words+sound": PairedQuestionTraining(n),
        "shuffled": PairedQuestionTraining(n, shuffle_answers=True),
    }
    for name, paired in arms.items():
        strategy = Strategy(
            train=level.parts,
            arguments=plan,
            alignment=(paired,),
            clips_per_step=0,
            lora=level.lora,
        )
        yield TrainingRun(level.label, "none", name, 0, strategy, transfer=True)


def _plan(study: StudyConfig, level: TrainableLevel) -> TrainingArguments:
    schedule = level.schedule or study.plan.schedule
    return replace(study.plan, learning_rate=level.learning_rate, schedule=schedule)


def _seeded(cell: TrainingRun, seed: int) -> TrainingRun:
    plan = replace(cell.strategy.arguments, seed=seed)
    return replace(cell, seed=seed, strategy=replace(cell.strategy, arguments=plan))
