"""Configuration of a fine-tuning study, as one TOML file."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec
from audioprobe.finetuning.strategy import Alignment, LoraSize, Regularizer, combined_name
from audioprobe.io.config import find_config, parse_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.trainer import Schedule, TrainingArguments

EVALUATION_SETS = ("in_domain", "out_of_domain", "pretraining_domain")
CLIP_SETS = ("train", *EVALUATION_SETS, "rehearsal")


@dataclass(frozen=True, slots=True)
class StudyModel:
    """The model that is fine-tuned.

    Attributes:
        name: as for `LTU.from_pretrained`.
        base: base language model, as there; "" takes the one that the model names.
        dtype: "float32", "bfloat16" or "float16". If the precision of the training arguments is
            "bfloat16", trainable weights are float32 nevertheless.
    """

    name: str = "mini"
    base: str = ""
    dtype: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSubset:
    """Clips of a data set.

    Attributes:
        dataset: the data set.
        split: of the data set.
        mapping: table that renames labels, see `datasets.relabelled`: a path, or the name of one
            that ships; "" keeps the labels.
        half: "first" and "second" divide the clips of every label between two disjoint sets, the
            odd one to the first; for data sets without splits.
        min_per_label: clips of labels with fewer clips are left out. A clip with several labels
            counts for its rarest one.
        max_per_label: maximum number of clips per label; 0 takes all.
        max_clips: only the first clips of the split are considered; 0 takes all.
    """

    dataset: ComponentSpec
    split: str = "all"
    mapping: str = ""
    half: Literal["all", "first", "second"] = "all"
    min_per_label: int = 1
    max_per_label: int = 0
    max_clips: int = 0


@dataclass(frozen=True, slots=True)
class TrainableLevel:
    """Trainable modules with their learning rate: a level of the first factor.

    Attributes:
        modules: names joined by "+", such as "projector+lora"; see `set_trainable_by_name`.
        learning_rate: replaces that of the training arguments.
        name: of the level; "" takes the modules.
        schedule: of the learning rate; None takes that of the training arguments.
        lora: size of the adapters; None keeps those of the model.
    """

    modules: str
    learning_rate: float
    name: str = ""
    schedule: Schedule | None = None
    lora: LoraSize | None = None

    @property
    def label(self) -> str:
        """Name of the level."""
        return self.name or self.modules


@dataclass(frozen=True, slots=True)
class LearningRateGrid:
    """Learning rates and schedules that every trainable level is crossed with.

    Attributes:
        factors: multiply each level's learning rate.
        schedules: of the learning rate; () keeps that of each level.
    """

    factors: tuple[float, ...] = (1.0,)
    schedules: tuple[Schedule, ...] = ()

    def levels(self, level: TrainableLevel) -> Iterator[TrainableLevel]:
        """Yield the level at every point of the grid, named "LEVEL-xFACTOR-SCHEDULE"."""
        for factor, schedule in product(self.factors, self.schedules or (level.schedule,)):
            name = level.label
            name += f"-x{factor:g}" if len(self.factors) > 1 else ""
            name += f"-{schedule}" if len(self.schedules) > 1 else ""
            rate = level.learning_rate * factor
            yield replace(level, name=name, learning_rate=rate, schedule=schedule)


@dataclass(frozen=True, slots=True)
class RegularizationLevel:
    """What limits forgetting: a level of the second factor.

    Attributes:
        components: combined with each other; () means no regularization.
        name: of the level; "" takes the kinds of the components.
    """

    components: tuple[Regularizer, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """Name of the level."""
        return self.name or combined_name(self.components)


@dataclass(frozen=True, slots=True)
class AlignmentLevel:
    """What aligns audio with text: a level of the third factor.

    Attributes:
        components: combined with each other; () means no alignment.
        name: of the level; "" takes the kinds of the components.
    """

    components: tuple[Alignment, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """Name of the level."""
        return self.name or combined_name(self.components)


@dataclass(frozen=True, slots=True)
class AdditionalStrategy:
    """A strategy in addition to those of the design; `trainable` is the name of a level."""

    trainable: str
    regularization: RegularizationLevel = field(default_factory=RegularizationLevel)
    alignment: AlignmentLevel = field(default_factory=AlignmentLevel)


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Novel classes with invented names, trained in text or audio and evaluated in both.

    Attributes:
        trainable: name of a trainable level.
        steps: per training run.
        pairs: question pairs per step and condition.
        learning_rate: None takes that of the level.
        class_names: invented names, one word each; one class per name.
    """

    trainable: str
    steps: int = 40
    pairs: int = 4
    learning_rate: float | None = None
    class_names: tuple[str, ...] = ("blick", "dax", "fep", "toma", "wug", "zorn")


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """Extent of the evaluation.

    Attributes:
        wordings: of the concept probe: a file, or the name of one that ships.
        n_concepts: of the concept probe; 0 takes all that have clips.
        n_passages: for the text loss; 0 takes all.
        max_new_tokens: of a caption.
    """

    wordings: str = "brief"
    n_concepts: int = 0
    n_passages: int = 0
    max_new_tokens: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """A fine-tuning study: strategies of a factorial design, each trained with every seed.

    Attributes:
        kind: "finetuning".
        train: clips that the model is fine-tuned on.
        in_domain: other clips of the same origin.
        out_of_domain: clips of another origin.
        pretraining_domain: clips like those that the model was trained on before.
        rehearsal: clips of that kind for rehearsal and Fisher information, disjoint from
            `pretraining_domain`; None has none.
        trainable: levels of the trainable modules; the first is the baseline.
        regularization: levels; the first is the baseline.
        alignment: levels; the first is the baseline.
        grid: learning rates and schedules of the trainable levels.
        training_arguments: steps and the like; the seed is that of the run.
        design: "full" crosses all levels. "fraction" crosses trainable with regularization and
            assigns the alignments along the diagonals, so that every level meets the levels of the
            other factors about equally often. "star" changes one factor at a time.
        additional_strategies: beyond the design.
        transfer: novel classes; None has none.
        model: that is fine-tuned.
        clips_per_step: training clips per step and process.
        max_tokens: of question and answer; the rest is cut.
        rehearsal_texts: passages for rehearsal and distillation: a file, or a name that ships.
        evaluation_texts: passages for the text loss, likewise.
        evaluation: extent of the evaluation.
        scorer: compares captions with labels.
        seeds: of the runs of every strategy.
        bootstrap: how intervals are computed.
        seed: of everything else that is drawn.
    """

    kind: Literal["finetuning"] = "finetuning"
    train: ClipSubset
    in_domain: ClipSubset
    out_of_domain: ClipSubset
    pretraining_domain: ClipSubset
    rehearsal: ClipSubset | None = None
    trainable: tuple[TrainableLevel, ...]
    regularization: tuple[RegularizationLevel, ...] = (RegularizationLevel(),)
    alignment: tuple[AlignmentLevel, ...] = (AlignmentLevel(),)
    grid: LearningRateGrid = field(default_factory=LearningRateGrid)
    training_arguments: TrainingArguments
    design: Literal["fraction", "full", "star"] = "fraction"
    additional_strategies: tuple[AdditionalStrategy, ...] = ()
    transfer: TransferConfig | None = None
    model: StudyModel = field(default_factory=StudyModel)
    clips_per_step: int = 4
    max_tokens: int = 108
    rehearsal_texts: str = "rehearsal"
    evaluation_texts: str = "evaluation"
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    scorer: ComponentSpec = field(default_factory=lambda: ComponentSpec("embedding"))
    seeds: tuple[int, ...] = (0, 1, 2)
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        for source, names in {**self.labels, "seeds": tuple(map(str, self.seeds))}.items():
            if not names or len(set(names)) < len(names):
                raise InvalidInputError(
                    f"{source}: expected at least one, with different names; got "
                    f"{', '.join(names) or 'none'}. Set `name` where names are equal."
                )
        for name in (
            *(strategy.trainable for strategy in self.additional_strategies),
            *([self.transfer.trainable] if self.transfer else []),
        ):
            self.level(name)

    @property
    def levels(self) -> tuple[TrainableLevel, ...]:
        """Levels of the first factor: the trainable levels at every point of the grid."""
        return tuple(point for level in self.trainable for point in self.grid.levels(level))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the levels of each factor, in order; the first is the baseline."""
        return {
            "trainable": tuple(level.label for level in self.levels),
            "regularization": tuple(level.label for level in self.regularization),
            "alignment": tuple(level.label for level in self.alignment),
        }

    def level(self, name: str) -> TrainableLevel:
        """Return the trainable level of a name, as written or at a point of the grid.

        Raises:
            InvalidInputError: if no level has this name.
        """
        levels = {level.label: level for level in (*self.trainable, *self.levels)}
        if name not in levels:
            raise InvalidInputError(
                f"Expected the name of a trainable level ({', '.join(levels)}), got {name!r}."
            )
        return levels[name]


def read_study(name: str | Path) -> StudyConfig:
    """Read a configuration from a path, or by the name of one that ships."""
    return read_config(StudyConfig, find_config(name, SHIPPED_CONFIGS))


def parse_study(text: str, source: str) -> StudyConfig:
    """Parse the text of a configuration; `source` names it in messages."""
    return parse_config(StudyConfig, tomllib.loads(text), source)
