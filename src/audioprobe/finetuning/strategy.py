"""Fine-tuning strategies: trainable modules, training arguments, and components."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.components import (
    Alignment,
    PairedQuestionTraining,
    Regularizer,
    check_minimum,
)
from audioprobe.training.arguments import TrainingArguments

Component = TypeVar("Component")


@dataclass(frozen=True, slots=True)
class LoraSize:
    """Size to which the LoRA adapters of the model are expanded before training.

    Attributes:
        rank: rank of all adapters.
        targets: suffixes of the names of the projections that have an adapter.
    """

    rank: int
    targets: tuple[str, ...] = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        check_minimum(1, "LoRA", rank=self.rank)


DEFAULT_ARGUMENTS = TrainingArguments(steps=100, learning_rate=5e-4, warmup_steps=10)
"""Training arguments of a `Strategy` by default, meant for some hundred clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """Options of a fine-tuning run: what is trained, how, and on which losses.

    Example:
        ```python
        Strategy(train="projector", regularizers=[L2SP(0.1)], alignment=[ContrastiveAlignment()])
        ```

    Attributes:
        train: trainable modules, joined by "+", such as "projector+lora"; see `set_trainable`.
        arguments: steps, learning rate, seed and other settings of training.
        regularizers: methods that limit forgetting.
        alignment: methods that align audio with text, besides training on captions and labels.
        clips_per_step: number of training clips per step and process.
        lora: size of the LoRA adapters; None leaves the size that they have in the model.
    """

    train: str = "projector+lora"
    arguments: TrainingArguments = DEFAULT_ARGUMENTS
    regularizers: Sequence[Regularizer] = ()
    alignment: Sequence[Alignment] = ()
    clips_per_step: int = 4
    lora: LoraSize | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "regularizers", tuple(self.regularizers))
        object.__setattr__(self, "alignment", tuple(self.alignment))
        check_minimum(0, "Strategy", clips_per_step=self.clips_per_step)
        if self.lora and not {"lora", "all"} & set(self.train.split("+")):
            raise InvalidInputError(
                f"`lora` is set, but 'lora' is not among the trainable modules ({self.train!r}); "
                'add "+lora".'
            )
        for name in ("regularizers", "alignment"):
            kinds = [component.kind for component in getattr(self, name)]
            if len(set(kinds)) < len(kinds):
                raise InvalidInputError(
                    f"{name}: expected each kind at most once, got {', '.join(kinds)}."
                )
        for component in (*self.regularizers, *self.alignment):
            weight, temperature = (getattr(component, x, 1.0) for x in ("weight", "temperature"))
            if not (weight >= 0 and temperature > 0):
                raise InvalidInputError(
                    f"{component.kind}: expected a weight of at least 0 and a temperature above "
                    f"0, got {weight} and {temperature}."
                )
        if not self.clips_per_step and self.get(PairedQuestionTraining) is None:
            raise InvalidInputError(
                "Strategy: there are no training data. Set clips_per_step to at least 1, or add "
                "paired questions to the alignment."
            )

    def get(self, component: type[Component]) -> Component | None:
        """Return the component of a class, such as `EWC`; None if the strategy does not have it."""
        components = (*self.regularizers, *self.alignment)
        return next((c for c in components if isinstance(c, component)), None)


def combined_name(components: Sequence[Regularizer] | Sequence[Alignment]) -> str:
    """Return the kinds of the components joined by "+", such as "ewc+rehearsal"; "none" for ()."""
    return "+".join(component.kind for component in components) or "none"
