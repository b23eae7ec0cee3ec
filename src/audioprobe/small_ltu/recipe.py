"""Recipes: all settings of the training of a small LTU, in one TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Discriminator, Tag

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import configs_in, find_config, read_config
from audioprobe.models.connectors.config import CodesConfig, ConnectorConfig
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import LINEAR
from audioprobe.small_ltu.encoder_training import EncoderStage
from audioprobe.small_ltu.word_alignment import AlignmentStage
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.examples import MAX_TOKENS, LossTargets
from audioprobe.types import Option

SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """Synthetic scenes for training; a scene is a mixture of one or more sound sources.

    Attributes:
        n_train: number of training scenes.
        n_validation: number of validation scenes, which are captioned after each stage.
        max_sources: largest number of sources in a scene; the smallest number is 1.
        bare_share: share of scenes with a single source, without reverberation and background
            noise, in [0, 1].
        sources: ids of the concepts to synthesise, such as "crow"; () uses all possible concepts.
        recordings: whether recorded sources are used in addition to synthesised sources.
        synthesised_share: probability that a source is synthesised if it could also be a recording,
            in [0, 1].
        seed: random seed of the scenes.
    """

    n_train: int = 20_000
    n_validation: int = 24
    max_sources: int = 3
    bare_share: float = 0.25
    sources: tuple[str, ...] = ()
    recordings: bool = True
    synthesised_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.synthesised_share <= 1:
            raise InvalidInputError(
                f"scenes: expected a synthesised_share in [0, 1], got {self.synthesised_share}."
            )


@dataclass(frozen=True, slots=True)
class PretrainedEncoder:
    """Pretrained audio encoder; if it is frozen, its features are computed only once.

    Attributes:
        name: name of the encoder in the registry, such as "yamnet".
        options: options of the encoder, such as `{ hop = 0.48 }`.
        trainable: whether stages can train the module "encoder"; see `FeatureConfig`.
    """

    name: str
    options: Mapping[str, Option] = field(default_factory=dict)
    trainable: bool = False


def _encoder_tag(value: object) -> str:
    """Return the tag of the encoder's type: a pretrained encoder has a name."""
    has_name = (
        "name" in value if isinstance(value, Mapping) else isinstance(value, PretrainedEncoder)
    )
    return "pretrained" if has_name else "untrained"


EncoderConfig: TypeAlias = Annotated[
    Annotated[CavMaeConfig, Tag("untrained")] | Annotated[PretrainedEncoder, Tag("pretrained")],
    Discriminator(_encoder_tag),
]
"""Encoder of a recipe: the sizes of an encoder to train, or the name of a pretrained encoder."""


@dataclass(frozen=True, slots=True)
class RecipeLora:
    """Size of the LoRA adapters; see `LTUConfig` for the fields."""

    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.05


@dataclass(frozen=True, slots=True)
class CodebookStage:
    """k-means on the features of the training scenes, for a connector with codes.

    Attributes:
        n_starts: number of starts of k-means (k-means++); the best result counts.
        max_frames: number of feature vectors that are drawn if there are more.
    """

    n_starts: int = 10
    max_frames: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeStage:
    """Settings of one stage in which the language model is trained.

    A relation is a true or false statement, such as "a crow is a bird". Relations are asked in
    pairs of a true and a false relation.

    Attributes:
        name: name of the stage and of its folder.
        train: trainable modules, joined by "+"; see `training.trainable.set_trainable`.
        arguments: steps, learning rate and other settings.
        scenes: number of scenes per step.
        questions_per_scene: number of questions about each scene.
        tasks: kinds of questions about scenes, such as "caption"; () uses all kinds of
            `scene_questions`.
        plain_captions: whether captions only name the sources ("A dog and a piano."). Otherwise the
            wording varies at random ("One can hear a dog and a piano."), so that the first words
            of an answer do not depend on the audio.
        audio_pairs: number of pairs of relations per step, asked about clips with a single source.
        single_source_clips: number of clips with a single source per step, about which all trained
            relations of the source are asked. Concepts are drawn with equal probability, so "yes"
            and "no" are equally frequent for each question.
        text_pairs: number of pairs of relations per step, asked in text.
        targets: tokens that count in the loss: "answer" or, as in LTU's training, "all".
        max_tokens: largest number of tokens of a question with its answer.
        connector_rate: factor of the learning rate of the connector; above 0.
    """

    name: str
    train: str
    arguments: TrainingArguments
    scenes: int = 6
    questions_per_scene: int = 4
    tasks: tuple[str, ...] = ()
    plain_captions: bool = False
    audio_pairs: int = 0
    single_source_clips: int = 0
    text_pairs: int = 0
    targets: LossTargets = "answer"
    max_tokens: int = MAX_TOKENS
    connector_rate: float = 1.0

    def __post_init__(self) -> None:
        counts = (self.scenes, self.audio_pairs, self.single_source_clips, self.text_pairs)
        if min(counts) < 0 or not sum(counts):
            raise InvalidInputError(
                f"Stage {self.name!r}: expected scenes, audio_pairs, single_source_clips and "
                f"text_pairs of at least 0, not all of them 0, got {', '.join(map(str, counts))}."
            )
        if self.questions_per_scene < 1:
            raise InvalidInputError(
                f"Stage {self.name!r}: expected questions_per_scene of at least 1, got "
                f"{self.questions_per_scene}."
            )
        if not self.connector_rate > 0:
            raise InvalidInputError(
                f"Stage {self.name!r}: expected a connector_rate above 0, got "
                f"{self.connector_rate}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All settings with which an LTU is trained from a LLaMA.

    Attributes:
        base: folder or hub name of the LLaMA.
        scenes: synthetic scenes for training.
        encoder_stages: stages in which the encoder is trained as a classifier, in order.
        stages: stages in which the language model is trained, in order.
        encoder: sizes of an audio encoder to train, or a pretrained encoder.
        alignment: settings of the alignment of audio tokens with words, before the first stage;
            None leaves it out.
        connector: how features become audio tokens, and where the language model reads them.
        codebook: settings of the codebook of a connector with codes.
        lora: size of the LoRA adapters.
        held_out: share of relations that are trained in text only; an equal share is not trained.
            See `small_ltu.relations.SplitRole`.
        seed: random seed of the initial weights, the questions, and the relations to hold out.
    """

    base: str
    scenes: SceneConfig
    stages: tuple[RecipeStage, ...]
    encoder: EncoderConfig = field(default_factory=CavMaeConfig)
    encoder_stages: tuple[EncoderStage, ...] = ()
    alignment: AlignmentStage | None = None
    connector: ConnectorConfig = LINEAR
    codebook: CodebookStage = field(default_factory=CodebookStage)
    lora: RecipeLora = field(default_factory=RecipeLora)
    held_out: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise InvalidInputError(
                f"Expected at least one stage, and stages with different names, got {names}."
            )
        if isinstance(self.encoder, PretrainedEncoder) == bool(self.encoder_stages):
            raise InvalidInputError(
                "Expected encoder_stages for an encoder with random weights, and none for a "
                f"pretrained encoder, got {len(self.encoder_stages)} encoder stages and "
                f"{type(self.encoder).__name__}."
            )
        starts_aligned = isinstance(self.connector, CodesConfig) and self.connector.start_width
        if starts_aligned and self.alignment is None:
            raise InvalidInputError(
                "Expected an alignment for a connector with start_width, whose MLP it trains. Add "
                "the table [alignment], or remove start_width."
            )


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that are installed with audioprobe."""
    return tuple(configs_in(SHIPPED))


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or a recipe of `shipped_recipes` by its name.

    Raises:
        InvalidInputError: if the file does not exist or is not TOML, or has an unknown key or an
            invalid value; the message names the key.
    """
    return read_config(Recipe, find_config(name, SHIPPED))
