"""Recipes: everything that the training of a small LTU depends on, in one TOML file."""

from dataclasses import dataclass, field
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import configs_in, find_config, read_config
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.small_ltu.encoder_training import EncoderStage
from audioprobe.training.examples import MAX_TOKENS, LossTargets
from audioprobe.training.trainer import TrainingArguments

SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """Synthetic scenes to train on.

    Attributes:
        n_train: number of scenes.
        n_validation: scenes that are captioned after each stage.
        max_sources: largest number of sources in a scene; the smallest is 1.
        bare_share: share of scenes with one source and without room and background, in [0, 1].
        sources: ids of concepts to synthesise; empty takes all that can be synthesised.
        recordings: whether recorded sources are used in addition to synthesised ones.
        seed: of the scenes.
    """

    n_train: int = 20_000
    n_validation: int = 24
    max_sources: int = 3
    bare_share: float = 0.25
    sources: tuple[str, ...] = ()
    recordings: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RecipeLora:
    """Size of the LoRA adapters, as in `LTUConfig`."""

    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeStage:
    """One stage of the language model's training.

    Attributes:
        name: of its folder.
        train: trainable modules, joined by "+"; see `training.trainable.set_trainable`.
        arguments: steps, learning rate and the like.
        scenes: scenes per step.
        questions_per_scene: questions about each of them.
        tasks: kinds of these questions; empty is all of `scene_questions`.
        audio_pairs: per step, pairs of a true and a false relation in audio, each about a clip with
            a single source.
        single_source_clips: per step, clips with a single source that are asked about every trained
            relation of it. Concepts are drawn evenly, so each question has as many yes as no.
        text_pairs: per step, pairs of a true and a false relation in text.
        targets: "answer" or, as in LTU's training, "all".
        max_tokens: longest question with its answer.
    """

    name: str
    train: str
    arguments: TrainingArguments
    scenes: int = 6
    questions_per_scene: int = 4
    tasks: tuple[str, ...] = ()
    audio_pairs: int = 0
    single_source_clips: int = 0
    text_pairs: int = 0
    targets: LossTargets = "answer"
    max_tokens: int = MAX_TOKENS

    def __post_init__(self) -> None:
        counts = (self.scenes, self.audio_pairs, self.single_source_clips, self.text_pairs)
        if min(counts) < 0 or self.questions_per_scene < 1 or not sum(counts):
            raise InvalidInputError(
                f"Stage {self.name!r}: expected counts of at least 0, not all of them 0, and "
                f"questions_per_scene of at least 1, got {self}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an LTU is trained from a LLaMA.

    Attributes:
        base: folder or hub name of the LLaMA.
        scenes: training data.
        encoder_stages: training of the encoder as a classifier, in order.
        stages: training of the language model, in order.
        encoder: size of the audio encoder.
        lora: size of the LoRA adapters.
        held_out: share of relations in each of the roles "text_only" and "held_out"; see
            `small_ltu.relations`.
        seed: of the initial weights and of the roles.
    """

    base: str
    scenes: SceneConfig
    encoder_stages: tuple[EncoderStage, ...]
    stages: tuple[RecipeStage, ...]
    encoder: CavMaeConfig = field(default_factory=CavMaeConfig)
    lora: RecipeLora = field(default_factory=RecipeLora)
    held_out: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not self.encoder_stages or not names or len(set(names)) < len(names):
            raise InvalidInputError(
                "A recipe needs encoder stages, and stages with different names; got "
                f"{len(self.encoder_stages)} encoder stages and the stages {names}."
            )


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that ship with the library."""
    return tuple(configs_in(SHIPPED))


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe from a file, or a shipped one by its name.

    Raises:
        InvalidInputError: if there is no such file, it is not TOML, has an unknown key or an
            impossible value; the message names the place.
    """
    return read_config(Recipe, find_config(name, SHIPPED))
