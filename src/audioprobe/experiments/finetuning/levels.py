"""Levels of the factors of a study: what trains, what holds forgetting, what ties sound to text."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from audioprobe.finetuning.strategy import Alignment, LoraSize, Regularizer, combined_name
from audioprobe.training.trainer import Schedule


@dataclass(frozen=True, slots=True)
class TrainableLevel:
    """What trains, and how fast: a level of the first factor.

    Attributes:
        parts: as for `trainable.let_train`: "projector+lora".
        learning_rate: of it; takes the place of the plan's.
        name: of the level; "" takes the parts.
        schedule: how the rate falls; None takes the plan's.
        lora: adapters that it begins with; None takes those of the model.
    """

    parts: str
    learning_rate: float
    name: str = ""
    schedule: Schedule | None = None
    lora: LoraSize | None = None

    @property
    def label(self) -> str:
        """Of the level."""
        return self.name or self.parts


@dataclass(frozen=True, slots=True)
class LearningRateGrid:
    """Every level of what trains, crossed with these.

    Attributes:
        rates: factors of each level's learning rate.
        schedules: how the rate falls; () takes that of each level.
    """

    rates: tuple[float, ...] = (1.0,)
    schedules: tuple[Schedule, ...] = ()

    def of(self, level: TrainableLevel) -> Iterator[TrainableLevel]:
        """A level at every point; those of several points have their place in their names."""
        for rate, schedule in product(self.rates, self.schedules or (level.schedule,)):
            name = level.label
            name += f"-x{rate:g}" if len(self.rates) > 1 else ""
            name += f"-{schedule}" if len(self.schedules) > 1 else ""
            learning_rate = level.learning_rate * rate
            yield replace(level, name=name, learning_rate=learning_rate, schedule=schedule)


@dataclass(frozen=True, slots=True)
class _CombinedLevel:
    """Ways that are put together: a level of a factor.

    Attributes:
        parts: the ways; () has none.
        name: of the level; "" puts it together from the parts.
    """

    parts: tuple[Regularizer, ...] | tuple[Alignment, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """Of the level."""
        return self.name or combined_name(self.parts)


@dataclass(frozen=True, slots=True)
class RegularizationLevel(_CombinedLevel):
    """How forgetting is held: a level of the second factor; `parts` of () hold nothing."""

    parts: tuple[Regularizer, ...] = ()


@dataclass(frozen=True, slots=True)
class AlignmentLevel(_CombinedLevel):
    """How sound is tied to text: a level of the third factor; `parts` of () tie nothing."""

    parts: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True)
class AdditionalStrategy:
    """A strategy beyond the design.

    Attributes:
        trained: name of a level of what trains.
        holding: how forgetting is held.
        alignment: how sound is tied to text.
    """

    trained: str
    holding: RegularizationLevel = field(default_factory=RegularizationLevel)
    alignment: AlignmentLevel = field(default_factory=AlignmentLevel)
