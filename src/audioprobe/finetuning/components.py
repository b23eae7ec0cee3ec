"""Components of fine-tuning strategies: regularizers against forgetting, and alignment losses.

A component is a frozen dataclass; a TOML file selects it by its `kind`. Components of different
kinds can be combined.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Discriminator

from audioprobe.concepts import Concepts
from audioprobe.errors import InvalidInputError, did_you_mean

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
        check_minimum(1, "EWC", n_examples=self.n_examples)
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
        check_minimum(0, "Rehearsal", texts=self.texts, clips=self.clips)
        check_minimum(1, "Rehearsal", texts_and_clips=self.texts + self.clips)


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
        check_minimum(1, "Distillation", texts=self.texts)


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
        check_minimum(1, "Early stopping", every=self.every)


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
        check_minimum(1, "Paired questions", pairs=self.pairs)
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


def check_minimum(minimum: int, source: str, **counts: int) -> None:
    """Raise `InvalidInputError` if a count is below the minimum.

    Args:
        minimum: smallest allowed count.
        source: name of the component, for the message.
        counts: counts by name.
    """
    for name, count in counts.items():
        if count < minimum:
            raise InvalidInputError(f"{source}: {name} must be at least {minimum}, got {count}.")
