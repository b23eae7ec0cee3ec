"""What a study of fine-tuning depends on, as one file of TOML."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import SHIPPED, ComponentSpec
from audioprobe.experiments.finetuning.levels import (
    AdditionalStrategy,
    AlignmentLevel,
    LearningRateGrid,
    RegularizationLevel,
    TrainableLevel,
)
from audioprobe.io.config import find_config, parse_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.trainer import TrainingArguments

Half: TypeAlias = Literal["all", "first", "second"]
Design: TypeAlias = Literal["fraction", "full", "star"]
SETS = ("taught", "inside", "outside", "earlier", "rehearsed")


@dataclass(frozen=True, slots=True)
class StudyModel:
    """The model that is fine-tuned.

    Attributes:
        name: as for `LTU.from_pretrained`.
        base: as there; "" takes the one that the model names.
        dtype: "float32", "bfloat16" or "float16". With a plan whose precision is "bfloat16", what
            trains is float32 all the same, on devices that compute in it.
    """

    name: str = "mini"
    base: str = ""
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class ClipSubset:
    """Clips of a data set.

    Attributes:
        dataset: where they come from.
        split: of the data set.
        mapping: a table with the columns label (of the data set) and name, see `datasets.mapped`,
            by its path or the name of one that ships; "" keeps the labels as they are.
        half: "first" and "second" divide the clips of every label between two portions of the same
            data set, the odd one to the first; for sounds of one origin that have no splits.
        least: clips that a label must have; clips of rarer labels are left out. Of several labels
            of a clip, the rarest counts.
        each: most clips of a label; 0 takes all.
        most: most clips in all, the first ones; 0 takes all.
    """

    dataset: ComponentSpec
    split: str = "all"
    mapping: str = ""
    half: Half = "all"
    least: int = 1
    each: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Classes with invented names, taught in words or in sound, and asked in the other.

    Nobody can know them before, so whatever is known afterwards was taught, or carried over.

    Attributes:
        trained: name of a level of what trains.
        steps: of each training.
        pairs: of a right and a wrong question, in every step, in each way of asking.
        learning_rate: to learn classes that are new altogether; None takes that of the level.
        names: invented, a word each; as many classes are asked about.
    """

    trained: str
    steps: int = 40
    pairs: int = 4
    learning_rate: float | None = None
    names: tuple[str, ...] = ("blick", "dax", "fep", "toma", "wug", "zorn")


@dataclass(frozen=True, slots=True)
class NovelClassQuestions:
    """How much is measured.

    Attributes:
        wordings: of the concept probe: a file, or the name of one that ships.
        concepts: most concepts that the probe asks about; 0 takes all that are heard.
        passages: most texts by which reading is measured; 0 takes all.
        tokens: of a caption, at most.
    """

    wordings: str = "brief"
    concepts: int = 0
    passages: int = 0
    tokens: int = 24


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study of fine-tuning.

    Attributes:
        kind: "finetuning".
        taught: what the model learns from.
        inside: other sounds of that origin: what is gained.
        outside: sounds of another origin.
        earlier: sounds of the kind that the model knew before.
        rehearsed: sounds of that kind for rehearsal and importances, not those of `earlier`; None
            has none.
        trained: levels of what trains; the first is the baseline of its effects.
        grid: learning rates and schedules that each of them is tried with.
        plan: steps of a training; the seed is that of the cell.
        holding: levels of how forgetting is held; the first is the baseline.
        alignment: levels of how sound is tied to text; the first is the baseline.
        design: "full" crosses all levels; "fraction" crosses what trains with what holds, and goes
            through the ties along the diagonals, so that every level meets every other of each
            factor about as often; "star" changes one factor at a time.
        extras: strategies beyond the design.
        transfer: classes with invented names; None has none.
        model: what is fine-tuned.
        clips: sounds that a step learns from.
        cutoff: most tokens of question and answer.
        texts: to keep in mind: a file, or the name of a set that ships.
        measured: by which reading is measured; the same.
        quiz: how much is measured.
        scorer: compares captions with labels.
        seeds: each strategy is trained once by each.
        bootstrap: how intervals are computed.
        seed: of whatever is drawn besides trainings.
    """

    kind: Literal["finetuning"]
    taught: ClipSubset
    inside: ClipSubset
    outside: ClipSubset
    earlier: ClipSubset
    trained: tuple[TrainableLevel, ...]
    plan: TrainingArguments
    grid: LearningRateGrid = field(default_factory=LearningRateGrid)
    rehearsed: ClipSubset | None = None
    holding: tuple[RegularizationLevel, ...] = (RegularizationLevel(),)
    alignment: tuple[AlignmentLevel, ...] = (AlignmentLevel(),)
    design: Design = "fraction"
    extras: tuple[AdditionalStrategy, ...] = ()
    transfer: TransferConfig | None = None
    model: StudyModel = field(default_factory=StudyModel)
    clips: int = 4
    cutoff: int = 108
    texts: str = "rehearsal"
    measured: str = "evaluation"
    quiz: NovelClassQuestions = field(default_factory=NovelClassQuestions)
    scorer: ComponentSpec = field(default_factory=lambda: ComponentSpec("embedding"))
    seeds: tuple[int, ...] = (0, 1, 2)
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        seeds = tuple(str(seed) for seed in self.seeds)
        for what, names in {**self.labels, "seeds": seeds}.items():
            if not names or len(set(names)) < len(names):
                raise InvalidInputError(
                    f"A study needs {what} of different names, at least one; got "
                    f"{', '.join(names) or 'none'}. Name those that are called alike."
                )
        wanted = [extra.trained for extra in self.extras]
        wanted += [self.transfer.trained] if self.transfer else []
        for name in wanted:
            self.level(name)

    @property
    def levels(self) -> tuple[TrainableLevel, ...]:
        """What trains, at every point of the grid: the levels of the first factor."""
        return tuple(point for level in self.trained for point in self.grid.of(level))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the levels of each factor, in order; the first of each is its baseline."""
        return {
            "trained": tuple(level.label for level in self.levels),
            "holding": tuple(level.label for level in self.holding),
            "alignment": tuple(level.label for level in self.alignment),
        }

    def level(self, name: str) -> TrainableLevel:
        """The level of what trains that has a name: with its place in a grid, or as written.

        Raises:
            InvalidInputError: if there is none.
        """
        every = {level.label: level for level in (*self.trained, *self.levels)}
        if name not in every:
            raise InvalidInputError(
                f"Nothing that trains is called {name!r}; there are {', '.join(every)}."
            )
        return every[name]


def read_study(name: str | Path) -> StudyConfig:
    """Read a configuration, by its path or the name of one that ships.

    Raises:
        InvalidInputError: as `configs.read_config`.
    """
    return read_config(StudyConfig, find_config(name, SHIPPED))


def parse_study(text: str, source: str) -> StudyConfig:
    """A study from the text of its file.

    Raises:
        InvalidInputError: as `configs.parse_config`.
    """
    return parse_config(StudyConfig, tomllib.loads(text), source)
