"""Fine-tuning strategies: trainable modules, regularizers against forgetting, alignment losses.

A component of a strategy (a regularizer or an alignment) is a frozen dataclass; a TOML file selects
it by its `kind`. Components of different kinds can be combined.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Discriminator

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.training.arguments import TrainingArguments

PreviousTask: TypeAlias = Literal["text", "audio"]
"""A task of the training before fine-tuning: predict text, or describe audio."""

Distance: TypeAlias = Literal["cosine", "mse", "cka", "transport"]  # see alignment.distance_loss
"""1 - cosine similarity, or mean squared difference; averaged over rows."""

QuestionCondition: TypeAlias = Literal["text", "audio"]
"""Whether a question names its concept (a sound source) in text, or plays a clip of it."""


@dataclass(frozen=True, slots=True)
class L2SP:
    """L2-SP: the squared distance of all weights from their initial values, times `strength`."""

    strength: float
    kind: Literal["l2-sp"] = field(default="l2-sp", kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EWC:
    """Elastic weight consolidation: L2-SP weighted by the Fisher information of previous tasks.

    Attributes:
        strength: factor of the penalty, at least 0.
        tasks: "text", "audio" or both: previous tasks whose importances (Fisher) are estimated.
        variant: "separate" adds one penalty per task; "online" adds one penalty for all tasks, in
            which the importances of earlier tasks decay.
        decay: for "online", factor of the earlier importances at each further task, from 0 to 1.
        n_examples: number of examples per task from which the importances are estimated.
    """

    strength: float
    tasks: tuple[PreviousTask, ...] = ("text",)
    variant: Literal["separate", "online"] = "separate"
    decay: float = 1.0
    n_examples: int = 32
    kind: Literal["ewc"] = "ewc"

    def __post_init__(self) -> None:
        _check_minimum(1, "EWC", n_examples=self.n_examples)
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise InvalidInputError(
                f"EWC: expected at least one task, without repetition, got {self.tasks}."
            )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Rehearsal: data of the training before fine-tuning, added to the batch of every step.

    Attributes:
        texts: number of text passages per step.
        clips: number of captioned clips per step.
    """

    texts: int = 2
    clips: int = 2
    kind: Literal["rehearsal"] = field(default="rehearsal", kw_only=True)

    def __post_init__(self) -> None:
        _check_minimum(0, "Rehearsal", texts=self.texts, clips=self.clips)
        _check_minimum(1, "Rehearsal", texts_and_clips=self.texts + self.clips)


@dataclass(frozen=True, slots=True)
class Distillation:
    """Distillation: a loss that keeps predictions on text passages close to the initial model.

    Attributes:
        weight: factor of the Kullback-Leibler divergence, at least 0.
        temperature: temperature of both distributions, above 0.
        texts: number of text passages per step.
    """

    weight: float = 1.0
    temperature: float = 2.0
    texts: int = 2
    kind: Literal["distillation"] = field(default="distillation", kw_only=True)

    def __post_init__(self) -> None:
        _check_minimum(1, "Distillation", texts=self.texts)


@dataclass(frozen=True, slots=True)
class WiseFT:
    """WiSE-FT: weights after training = (1 - share) * initial weights + share * trained weights."""

    share: float = 0.5
    kind: Literal["wise-ft"] = field(default="wise-ft", kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInputError(f"WiSE-FT: expected a share from 0 to 1, got {self.share}.")


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Early stopping when the validation text loss rises; restores the last accepted weights.

    Attributes:
        every: steps between two evaluations; replaces `save_every` of the training arguments.
        rise: largest accepted increase over the initial loss, in nats per token.
    """

    every: int = 4
    rise: float = 0.05
    kind: Literal["early-stopping"] = field(default="early-stopping", kw_only=True)

    def __post_init__(self) -> None:
        _check_minimum(1, "Early stopping", every=self.every)


@dataclass(frozen=True, slots=True)
class ContrastiveAlignment:
    """InfoNCE loss between mean audio tokens and label embeddings; see `contrastive_loss`.

    Attributes:
        weight: factor of the loss, at least 0.
        temperature: temperature of the softmax, above 0.
    """

    weight: float = 1.0
    temperature: float = 0.07
    kind: Literal["contrastive"] = field(default="contrastive", kw_only=True)


@dataclass(frozen=True, slots=True)
class EmbeddingAlignment:
    """Distance between audio tokens and input embeddings of the caption; see `distance_loss`."""

    weight: float = 1.0
    distance: Distance = "cosine"
    kind: Literal["embedding"] = field(default="embedding", kw_only=True)


@dataclass(frozen=True, slots=True)
class HiddenStateAlignment:
    """Distance between the hidden states of audio and caption; see `hidden_state_loss`."""

    weight: float = 1.0
    layer: int = -1
    distance: Distance = "cosine"
    kind: Literal["hidden-states"] = field(default="hidden-states", kw_only=True)


@dataclass(frozen=True, slots=True)
class CrossAttentionAlignment:
    """Gated adapter: cross-attention from audio tokens to the labels of the training clips.

    The adapter is trained in addition to the trainable modules; `width` is the dimension of its
    queries, keys and values.
    """

    width: int = 64
    kind: Literal["cross-attention"] = field(default="cross-attention", kw_only=True)


@dataclass(frozen=True, slots=True)
class PairedQuestionTraining:
    """Yes/no questions about the classes of concepts (sound sources), in text, audio, or both.

    Attributes:
        pairs: number of question pairs per step and condition; a pair has one question with the
            answer "yes" and one with the answer "no".
        conditions: "text": the question names the concept; "audio": it comes with a clip instead.
        concept_kinds: kinds of concepts (`Concept.kind`) that are trained; () trains all kinds.
            The concept in the "yes" question determines the kind of a pair.
        shuffle_answers: whether to replace the answers by random answers, drawn once per question.
            This is a control: the model can then learn only the form of the answers.
    """

    pairs: int = 2
    conditions: tuple[QuestionCondition, ...] = ("text", "audio")
    concept_kinds: tuple[str, ...] = ()
    shuffle_answers: bool = False
    kind: Literal["paired"] = field(default="paired", kw_only=True)

    def __post_init__(self) -> None:
        _check_minimum(1, "Paired questions", pairs=self.pairs)
        if not self.conditions or len(set(self.conditions)) < len(self.conditions):
            raise InvalidInputError(
                'Paired questions: expected the conditions "text", "audio" or both, without '
                f"repetition, got {self.conditions}."
            )
        known = Concepts.shipped().kinds if self.concept_kinds else ()
        for name in self.concept_kinds:
            if name not in known:
                raise InvalidInputError(
                    f"Paired questions: unknown kind of concept {name!r}; the kinds are "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
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
        _check_minimum(1, "LoRA", rank=self.rank)


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
        _check_minimum(0, "Strategy", clips_per_step=self.clips_per_step)
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


def _check_minimum(minimum: int, source: str, **counts: int) -> None:
    for name, count in counts.items():
        if count < minimum:
            raise InvalidInputError(f"{source}: {name} must be at least {minimum}, got {count}.")
