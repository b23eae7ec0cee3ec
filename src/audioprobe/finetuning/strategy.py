"""Strategies of fine-tuning: what trains, how forgetting is held, how sound is tied to text.

Each part is a frozen dataclass with a `kind`, so that a file of TOML can name it, and any of them
go together.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Discriminator

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.finetuning.alignment import Distance
from audioprobe.training.trainer import TrainingArguments

Before: TypeAlias = Literal["texts", "earlier"]
"""What is to be kept: texts, or sounds that the model learned from earlier."""

Way: TypeAlias = Literal["words", "sound"]
"""What a question about a class is asked of."""


@dataclass(frozen=True, slots=True)
class L2SP:
    """A pull of every weight to where it began; see `holding.l2_sp`.

    Attributes:
        strength: of the pull.
    """

    kind: Literal["l2-sp"]
    strength: float


@dataclass(frozen=True, slots=True)
class EWC:
    """A pull of each weight by its importance for what is to be kept; see `holding.Ewc`.

    Attributes:
        strength: of the pull.
        of: the tasks to be kept.
        tasks: "separate" has a penalty for each, "online" one for all, the earlier ones faded.
        decay: for "online", share of the earlier importances that stays.
        n_examples: of each task, from which importances are estimated.
    """

    kind: Literal["ewc"]
    strength: float
    of: tuple[Before, ...] = ("texts",)
    tasks: Literal["separate", "online"] = "separate"
    decay: float = 1.0
    n_examples: int = 32

    def __post_init__(self) -> None:
        _at_least(1, "EWC", n_examples=self.n_examples)
        if not self.of or len(set(self.of)) < len(self.of):
            raise InvalidInputError(f"EWC keeps each task once and at least one, got {self.of}.")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Something of before in every step.

    Attributes:
        texts: passages of the set of texts.
        sounds: sounds of before, with their captions.
    """

    kind: Literal["rehearsal"]
    texts: int = 2
    sounds: int = 2

    def __post_init__(self) -> None:
        _at_least(0, "Rehearsal", texts=self.texts, sounds=self.sounds)
        _at_least(1, "Rehearsal", of_both=self.texts + self.sounds)


@dataclass(frozen=True, slots=True)
class Distillation:
    """Saying of texts what the model said before; see `holding.Teacher`.

    Attributes:
        weight: of the divergence.
        temperature: of both.
        texts: passages in every step.
    """

    kind: Literal["distillation"]
    weight: float = 1.0
    temperature: float = 2.0
    texts: int = 2

    def __post_init__(self) -> None:
        _at_least(1, "Distillation", texts=self.texts)


@dataclass(frozen=True, slots=True)
class WiseFT:
    """Weights between where they began and where they ended; see `holding.interpolate`.

    Attributes:
        share: of the way, from 0 to 1.
    """

    kind: Literal["wise-ft"]
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInputError(f"A share of the way is from 0 to 1, got {self.share}.")


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """An end as soon as texts held apart are read worse; the weights before that look stay.

    Attributes:
        every: steps between two looks; takes the place of the plan's `save_every`.
        rise: of the loss over where it began, in nats per token, that is too much.
    """

    kind: Literal["early-stopping"]
    every: int = 4
    rise: float = 0.05

    def __post_init__(self) -> None:
        _at_least(1, "Early stopping", every=self.every)


@dataclass(frozen=True, slots=True)
class ContrastiveAlignment:
    """Each sound is to find its label among those of the step; see `alignment.Contrastive`."""

    kind: Literal["contrastive"]
    weight: float = 1.0
    temperature: float = 0.07


@dataclass(frozen=True, slots=True)
class EmbeddingAlignment:
    """Audio tokens to the language model's own embedding of the caption; see `Embedded`."""

    kind: Literal["embedding"]
    weight: float = 1.0
    distance: Distance = "cosine"


@dataclass(frozen=True, slots=True)
class HiddenStateAlignment:
    """States of a layer, of sound and of its caption; see `alignment.HiddenStates`."""

    kind: Literal["hidden-states"]
    weight: float = 1.0
    layer: int = -1
    distance: Distance = "cosine"


@dataclass(frozen=True, slots=True)
class CrossAttentionAlignment:
    """A gated adapter through which audio tokens look at the labels; see `nets.gate`.

    It trains beside whatever else does.

    Attributes:
        width: of queries, keys and values.
    """

    kind: Literal["cross-attention"]
    width: int = 64


@dataclass(frozen=True, slots=True)
class PairedQuestionTraining:
    """Questions about classes of concepts, asked in words, of sounds, or both.

    Attributes:
        pairs: a right and a wrong question each, in every step and every way.
        ways: what is asked: words, sounds, or both.
        about: families of concepts (`Concept.kind`) whose pairs are asked, by the concept for which
            the right answer is yes; () takes all. What is not taught can be asked about afterwards.
        shuffled: answers drawn anew at random, once: a control from which nothing can be learned
            but the form.
    """

    kind: Literal["paired"]
    pairs: int = 2
    ways: tuple[Way, ...] = ("words", "sound")
    about: tuple[str, ...] = ()
    shuffled: bool = False

    def __post_init__(self) -> None:
        _at_least(1, "Paired training", pairs=self.pairs)
        if not self.ways or len(set(self.ways)) < len(self.ways):
            raise InvalidInputError('Paired training needs ways to ask: "words", "sound" or both.')
        families = Concepts.shipped().kinds if self.about else ()
        for name in self.about:
            if name not in families:
                raise InvalidInputError(
                    f"There are no concepts of the family {name!r}.{did_you_mean(name, families)}"
                )


Regularizer: TypeAlias = Annotated[
    L2SP | EWC | Rehearsal | Distillation | WiseFT | EarlyStopping, Discriminator("kind")
]
Alignment: TypeAlias = Annotated[
    ContrastiveAlignment
    | EmbeddingAlignment
    | HiddenStateAlignment
    | CrossAttentionAlignment
    | PairedQuestionTraining,
    Discriminator("kind"),
]
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Larger adapters than the model has; see `nets.widening.widen`.

    Attributes:
        rank: of all of them.
        targets: suffixes of the projections that have one.
    """

    rank: int
    targets: tuple[str, ...] = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        _at_least(1, "Adapters", rank=self.rank)


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a model is fine-tuned.

    Attributes:
        trains: what trains, as in `trainable.let_train`: "projector+lora".
        plan: steps, learning rate and seed.
        holding: how forgetting is held; () does not hold it.
        alignment: how sound is tied to text, beyond captions and labels; () does not.
        clips: sounds that a step learns from.
        lora: adapters that it begins with; None takes those of the model.
    """

    trains: str
    plan: TrainingArguments
    holding: tuple[Regularizer, ...] = ()
    alignment: tuple[Alignment, ...] = ()
    clips: int = 4
    lora: LoraConfig | None = None

    def __post_init__(self) -> None:
        _at_least(0, "A strategy", clips=self.clips)
        if self.lora and not {"lora", "all"} & set(self.trains.split("+")):
            raise InvalidInputError(
                f"Larger adapters that do not train say nothing: add lora to {self.trains!r}."
            )
        for what, parts in (("holding", self.holding), ("alignment", self.alignment)):
            kinds = [part.kind for part in parts]
            if len(set(kinds)) < len(kinds):
                raise InvalidInputError(f"{what}: each kind once at most, got {', '.join(kinds)}.")
        if not self.clips and not any(
            isinstance(tie, PairedQuestionTraining) for tie in self.alignment
        ):
            raise InvalidInputError(
                "A strategy that hears no clips and asks no pairs has nothing to learn."
            )

    def part(self, kind: type[Kind]) -> Kind | None:
        """The way to hold or to tie of a class, where it is there."""
        return next((p for p in (*self.holding, *self.alignment) if isinstance(p, kind)), None)


def name_of(parts: tuple[Regularizer, ...] | tuple[Alignment, ...]) -> str:
    """How ways to hold or to tie are called together: "ewc+rehearsal", "none"."""
    return "+".join(part.kind for part in parts) or "none"


def _at_least(least: int, what: str, **counts: int) -> None:
    for name, count in counts.items():
        if count < least:
            raise InvalidInputError(f"{what}: {name} must be at least {least}, got {count}.")
