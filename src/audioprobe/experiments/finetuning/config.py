"""Configuration of a fine-tuning study (TOML).

A strategy combines one level (setting) of each of three factors: trainable modules, regularization
(limits forgetting) and alignment (of audio with text).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec
from audioprobe.finetuning.components import Alignment, Regularizer
from audioprobe.finetuning.strategy import LoraSize, combined_name
from audioprobe.io.config import find_config, parse_config_text, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.arguments import Schedule, TrainingArguments

EVALUATION_SETS = ("in_domain", "out_of_domain", "pretraining_domain")
CLIP_SETS = ("train", *EVALUATION_SETS, "rehearsal")


@dataclass(frozen=True, slots=True)
class StudyModel:
    """The model that is fine-tuned.

    Attributes:
        name: name or folder of the model, as for `LTU.from_pretrained`.
        base: base language model, as for `LTU.from_pretrained`; "" uses the default of the model.
        dtype: format of the weights: "float32", "bfloat16" or "float16". If the precision of the
            training arguments is "bfloat16", trainable weights are always float32.
    """

    name: str = "mini"
    base: str = ""
    dtype: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSubset:
    """Selection of clips from a data set.

    Attributes:
        dataset: data set that the clips come from.
        split: split of the data set.
        mapping: table that renames labels, see `datasets.relabelled`: a path, or the name of a
            shipped table; "" keeps the labels.
        half: "first" and "second" are disjoint halves of the clips of every label, for data sets
            without splits; of an odd number of clips, the first half has one more.
        min_per_label: minimum number of clips per label; clips of rarer labels are omitted. A clip
            with several labels counts for its rarest label.
        max_per_label: maximum number of clips per label; 0 means no limit.
        max_clips: number of clips at the beginning of the split that are used; 0 means all.
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
    """Level of the factor "trainable": trainable modules and their learning rate.

    Attributes:
        modules: module names joined by "+", such as "projector+lora"; see `set_trainable`.
        learning_rate: learning rate; replaces the learning rate of the training arguments.
        name: name of the level; "" uses `modules`.
        schedule: schedule of the learning rate; None uses the schedule of the training arguments.
        lora: size of the LoRA adapters; None leaves the size that they have in the model.
    """

    modules: str
    learning_rate: float
    name: str = ""
    schedule: Schedule | None = None
    lora: LoraSize | None = None

    @property
    def label(self) -> str:
        """Name of the level: `name`, or `modules` if `name` is ""."""
        return self.name or self.modules


@dataclass(frozen=True, slots=True)
class LearningRateGrid:
    """Grid of learning rates and schedules; every trainable level is trained at each grid point.

    Attributes:
        factors: factors that each level's learning rate is multiplied by.
        schedules: schedules of the learning rate; () uses the schedule of each level.
    """

    factors: tuple[float, ...] = (1.0,)
    schedules: tuple[Schedule, ...] = ()

    def levels(self, level: TrainableLevel) -> Iterator[TrainableLevel]:
        """Yield a variant of the level for each grid point, named "LEVEL-xFACTOR-SCHEDULE"."""
        for factor, schedule in product(self.factors, self.schedules or (level.schedule,)):
            name = level.label
            name += f"-x{factor:g}" if len(self.factors) > 1 else ""
            name += f"-{schedule}" if len(self.schedules) > 1 else ""
            rate = level.learning_rate * factor
            yield replace(level, name=name, learning_rate=rate, schedule=schedule)


@dataclass(frozen=True, slots=True)
class _CombinedLevel:
    """Level (setting) of a factor: components that are used together.

    Attributes:
        components: regularizers or alignment losses; () uses none.
        name: name of the level; "" joins the kinds of the components.
    """

    components: tuple[Regularizer, ...] | tuple[Alignment, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """Name of the level: `name`, or the kinds of the components if `name` is ""."""
        return self.name or combined_name(self.components)


@dataclass(frozen=True, slots=True)
class RegularizationLevel(_CombinedLevel):
    """Level of the factor "regularization": regularizers, which limit forgetting."""

    components: tuple[Regularizer, ...] = ()


@dataclass(frozen=True, slots=True)
class AlignmentLevel(_CombinedLevel):
    """Level of the factor "alignment": the losses that align audio with text in fine-tuning."""

    components: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True)
class AdditionalStrategy:
    """Strategy outside the design; `trainable` is the name of a trainable level."""

    trainable: str
    regularization: RegularizationLevel = field(default_factory=RegularizationLevel)
    alignment: AlignmentLevel = field(default_factory=AlignmentLevel)


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Training on novel classes (invented names) in text or audio, and evaluation in both.

    Attributes:
        trainable: name of a trainable level.
        steps: number of steps per training run.
        pairs: number of question pairs per step and condition (text or audio); a pair has one
            question with the answer "yes" and one with "no".
        learning_rate: learning rate; None uses the learning rate of the level.
        class_names: invented names of one word each; each name becomes one class.
    """

    trainable: str
    steps: int = 40
    pairs: int = 4
    learning_rate: float | None = None
    class_names: tuple[str, ...] = ("blick", "dax", "fep", "toma", "wug", "zorn")


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """Size of the evaluation of a model.

    Attributes:
        wordings: wordings of the questions about concepts: a path, or the name of a shipped file.
        n_concepts: number of concepts (sound sources) in the questions; 0 uses all with clips.
        n_passages: number of text passages for the text loss; 0 uses all.
        max_new_tokens: maximum length of a caption in tokens.
    """

    wordings: str = "brief"
    n_concepts: int = 0
    n_passages: int = 0
    max_new_tokens: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """A fine-tuning study: strategies of a factorial design, each trained with every seed.

    Attributes:
        kind: kind of configuration, always "finetuning".
        train: clips that the model is fine-tuned on.
        in_domain: evaluation clips of the same origin as `train`.
        out_of_domain: evaluation clips of another origin.
        pretraining_domain: evaluation clips like those of the model's earlier training.
        rehearsal: other clips of the same origin as `pretraining_domain`, for rehearsal and Fisher
            information; None if there are none.
        trainable: levels of trainable modules; the first one is the baseline.
        regularization: levels of regularization; the first one is the baseline.
        alignment: levels of alignment; the first one is the baseline.
        grid: learning rates and schedules to combine with the trainable levels.
        training_arguments: number of steps and other options; the seed is set for each run.
        design: which levels are combined. "full": every combination. "fraction": every trainable
            level with every regularization, and the alignments distributed so that each is
            combined with each level of the other factors about equally often. "star": one factor
            differs from the baseline at a time.
        additional_strategies: strategies that the design does not contain.
        transfer: training on novel classes; None omits this part of the study.
        model: model that is fine-tuned.
        clips_per_step: number of training clips per step and process.
        max_tokens: maximum length of question and answer in tokens; longer texts are cut.
        rehearsal_texts: passages for rehearsal and distillation: a path, or "rehearsal" (shipped).
        evaluation_texts: passages for the text loss: a path, or "evaluation" (shipped).
        evaluation: size of the evaluation.
        scorer: component that scores captions against labels.
        seeds: random seeds; every strategy is trained once with each seed.
        bootstrap: options of the bootstrap that gives confidence intervals.
        seed: random seed of everything else, such as the choice of concepts.
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
                    f"{source}: expected at least one entry, and a different name for each; got "
                    f"{', '.join(names) or 'none'}. Set the `name` of equal levels."
                )
        trainable = [strategy.trainable for strategy in self.additional_strategies]
        trainable += [self.transfer.trainable] if self.transfer else []
        for name in trainable:
            self.level(name)

    @property
    def levels(self) -> tuple[TrainableLevel, ...]:
        """Levels of the factor "trainable": each of them at each point of the grid."""
        return tuple(point for level in self.trainable for point in self.grid.levels(level))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the levels of each factor; the first level is the baseline."""
        return {
            "trainable": tuple(level.label for level in self.levels),
            "regularization": tuple(level.label for level in self.regularization),
            "alignment": tuple(level.label for level in self.alignment),
        }

    def level(self, name: str) -> TrainableLevel:
        """Return the trainable level with this name; it may be a variant from the grid.

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
    """Read a configuration; `name` is a path, or the name of a shipped one."""
    return read_config(StudyConfig, find_config(name, SHIPPED_CONFIGS))


def parse_study(text: str, source: str) -> StudyConfig:
    """Parse the text of a configuration; `source` is its path, for error messages."""
    return parse_config_text(StudyConfig, text, source)
