"""Recipes: everything that a training depends on, in one file of TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import configs_in, find_config, read_config
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.small_ltu.encoder_training import Lesson
from audioprobe.training.sequences import CUTOFF, Loss
from audioprobe.training.trainable import Part
from audioprobe.training.trainer import TrainingArguments

SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class RecipeAudio:
    """Scenes to learn from.

    Attributes:
        n_train: scenes in all.
        n_validation: scenes that are captioned after each stage.
        most: sources in a scene, from 1 to so many.
        bare: share of scenes that are one source alone, without place and background.
        sources: ids of concepts to synthesise; empty takes all that can be.
        recordings: whether recorded sources are used beside synthesised ones.
        seed: another one makes other scenes.
    """

    n_train: int = 20_000
    n_validation: int = 24
    most: int = 3
    bare: float = 0.25
    sources: tuple[str, ...] = ()
    recordings: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RecipeLora:
    """Sizes of the adapters, as in `LtuConfig`."""

    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.05


@dataclass(frozen=True, slots=True)
class RecipeStage:
    """One stage of the language model's curriculum.

    Attributes:
        name: of its folder.
        parts: what trains.
        plan: steps and learning rate.
        scenes: scenes that a step asks about.
        per_scene: questions about each of them.
        tasks: of which kinds; empty is all of `questions.about_scene`.
        pairs: pairs of a right and a wrong relation that a step asks in sound, each of a clip with
            one source.
        alone: clips with one source that a step asks about every taught relation of it; as each
            concept is drawn alike, every question is answered with yes as often as with no.
        words: pairs that a step asks in words.
        loss: "answer" or, as LTU has it, "all".
        cutoff: most tokens of question and answer.
    """

    name: str
    parts: tuple[Part, ...]
    plan: TrainingArguments
    scenes: int = 6
    per_scene: int = 4
    tasks: tuple[str, ...] = ()
    pairs: int = 0
    alone: int = 0
    words: int = 0
    loss: Loss = "answer"
    cutoff: int = CUTOFF

    def __post_init__(self) -> None:
        if min(self.scenes, self.pairs, self.alone, self.words) < 0 or self.per_scene < 1:
            raise InvalidInputError(f"Stage {self.name!r}: counts cannot be negative: {self}.")
        if not self.scenes + self.pairs + self.alone + self.words:
            raise InvalidInputError(f"Stage {self.name!r} asks nothing: give it scenes or words.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an LTU is made from nothing but a LLaMA.

    Attributes:
        base: folder or hub name of the LLaMA.
        sounds: what to learn from.
        lessons: how the encoder learns to classify, one after the other.
        stages: how the model learns to answer, one after the other.
        encoder: sizes of the audio encoder.
        lora: sizes of the adapters.
        held_out: share of relations in each of "text" and "unseen"; see `relations`.
        seed: of the first weights and of the held-out relations.
    """

    base: str
    sounds: RecipeAudio
    lessons: tuple[Lesson, ...]
    stages: tuple[RecipeStage, ...]
    encoder: CavMaeConfig = field(default_factory=CavMaeConfig)
    lora: RecipeLora = field(default_factory=RecipeLora)
    held_out: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not self.lessons or not names or len(set(names)) < len(names):
            raise InvalidInputError(
                f"A recipe needs lessons, and stages of different names, got {names}."
            )


def shipped() -> tuple[str, ...]:
    """Names of the recipes that ship with the library."""
    return tuple(configs_in(SHIPPED))


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        name: a file, or the name of a recipe that ships with the library.

    Raises:
        InvalidInputError: if it is not there, not TOML, has an unknown key, or a value that cannot
            be; names the place.
    """
    return read_config(Recipe, find_config(name, SHIPPED))
