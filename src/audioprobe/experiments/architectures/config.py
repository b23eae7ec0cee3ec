"""Configuration of a study of architectures (TOML)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, check_names
from audioprobe.io.config import find_config, parse_config_text, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.connectors.config import ConnectorConfig
from audioprobe.models.ltu.audio_prefix import LINEAR
from audioprobe.small_ltu.recipe import Recipe, RecipeStage, read_recipe

AudioInput: TypeAlias = Literal["tokens", "tags", "true tags", "tools", "nothing"]
"""What the language model receives of the audio: audio tokens of a connector, a text with the
labels of a tagger and their probabilities, a text with the true labels, the results of tools that
it calls, or nothing."""
TEXT_INPUTS: tuple[AudioInput, ...] = ("tags", "true tags", "tools")
"""Inputs that describe the audio in text."""
Budget: TypeAlias = Literal["examples", "compute"]
"""What is equal to the first arm: the number of examples, or the number of operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """An architecture: how audio reaches the language model.

    Attributes:
        name: name of the arm.
        input: what the language model receives of the audio.
        connector: connector of the audio tokens; other inputs have none.
        train: modules of the language model that are trained besides the connector: "lora", or
            "llm" for all weights.
        budget: "examples" trains as many steps as the first arm. "compute" trains as many steps as
            need the same number of floating-point operations.
        seeds: number of seeds; 0 means that of the study.
        language_rate: factor of the learning rate of the language model, above 0; all of its
            weights need a lower rate than LoRA.
    """

    name: str
    input: AudioInput = "tokens"
    connector: ConnectorConfig = LINEAR
    train: Literal["lora", "llm"] = "lora"
    budget: Budget = "examples"
    seeds: int = 0
    language_rate: float = 1.0

    def __post_init__(self) -> None:
        if not self.language_rate > 0:
            raise InvalidInputError(
                f"Arm {self.name!r}: expected language_rate > 0, got {self.language_rate}."
            )
        if self.input != "tokens" and self.connector != LINEAR:
            raise InvalidInputError(
                f"Arm {self.name!r}: expected no connector for the input {self.input!r}, received "
                f"{self.connector.kind!r}."
            )
        if self.seeds < 0:
            raise InvalidInputError(f"Arm {self.name!r}: expected seeds >= 0, got {self.seeds}.")

    @property
    def modules(self) -> str:
        """Trainable modules; see `training.trainable.set_trainable`."""
        return f"projector+{self.train}" if self.input == "tokens" else self.train


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTrials:
    """Choice of the connector's learning rate, for each arm with a connector.

    Attributes:
        factors: factors of the learning rate of alignment and training, tried in turn.
        steps: number of steps of each trial.
        n_scenes: number of validation scenes, whose questions decide by their loss.
    """

    factors: tuple[float, ...] = (0.3, 1.0, 3.0)
    steps: int = 30
    n_scenes: int = 48

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0 or self.steps < 1 or self.n_scenes < 1:
            raise InvalidInputError(
                "Expected factors above 0, and steps and n_scenes >= 1, received "
                f"{self.factors}, {self.steps} and {self.n_scenes}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSize:
    """Number of questions about test audio.

    Attributes:
        n_clips: synthesised clips, and recordings, per concept.
        max_trained: largest number of pairs of relations that were trained in audio, per set of
            clips; pairs of the other roles are all used. 0 means no limit.
        n_scenes: number of scenes with several sources, asked for order, loudness and number.
        locate_trials: number of audio questions whose activations are probed; 0 leaves this out.
    """

    n_clips: int = 2
    max_trained: int = 60
    n_scenes: int = 100
    locate_trials: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitecturesConfig:
    """A study: arms that are trained alike, with several seeds each.

    All arms have the same clips, questions and order of questions, the same encoder and language
    model, and are evaluated alike. A seed determines initial weights, order, and which relations
    are held out.

    Attributes:
        kind: "architectures".
        recipe: name or path of a recipe for small LTUs. Stages at its beginning without audio are
            trained once per seed, and shared by all arms.
        arms: the architectures; the first is the reference of all comparisons.
        recordings: folder of `DebianSounds`; "" for a recipe without recordings.
        seeds: number of seeds, at least 1.
        rates: choice of the connector's learning rate.
        evaluation: number of questions.
        margin: accuracy that counts as a small difference, in (0, 1).
        seconds_per_step: duration of a training step, for estimates before a run.
        seconds_per_question: duration of a question of the evaluation, for the same estimates.
        bootstrap: how confidence intervals are computed.
    """

    kind: Literal["architectures"]
    recipe: str
    arms: tuple[Arm, ...]
    recordings: str = ""
    seeds: int = 3
    rates: RateTrials = field(default_factory=RateTrials)
    evaluation: EvaluationSize = field(default_factory=EvaluationSize)
    margin: float = field(default=0.1, compare=False)
    seconds_per_step: float = field(default=4.0, compare=False)
    seconds_per_question: float = field(default=0.3, compare=False)
    bootstrap: Bootstrap = field(default_factory=Bootstrap, compare=False)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        check_names("arms", names)
        if not names or self.seeds < 1:
            raise InvalidInputError(
                f"Expected at least one arm and one seed, received {len(names)} and {self.seeds}."
            )
        if min(self.seconds_per_step, self.seconds_per_question) <= 0:
            raise InvalidInputError(
                "Expected seconds_per_step and seconds_per_question above 0, received "
                f"{self.seconds_per_step} and {self.seconds_per_question}."
            )
        if self.arms[0].budget != "examples":
            raise InvalidInputError(
                f"Expected a first arm with budget = 'examples', received {self.arms[0].budget!r}."
            )

    def n_seeds(self, arm: Arm) -> int:
        """Return the number of seeds of an arm."""
        return arm.seeds or self.seeds

    def with_arms(self, arms: Sequence[Arm], seeds: int) -> "ArchitecturesConfig":
        """Return the configuration with other arms and another number of seeds."""
        return replace(self, arms=tuple(arms), seeds=seeds)

    def arm(self, name: str) -> Arm:
        """Return the arm of this name.

        Raises:
            InvalidInputError: if there is none.
        """
        names = [arm.name for arm in self.arms]
        if name not in names:
            raise InvalidInputError(
                f"Expected an arm ({', '.join(names)}), received {name!r}."
                f"{did_you_mean(name, names)}"
            )
        return self.arms[names.index(name)]


def read_architectures(name: str | Path) -> ArchitecturesConfig:
    """Read a configuration from a path, or by the name of a shipped one.

    Raises:
        InvalidInputError: see `read_config`.
    """
    return read_config(ArchitecturesConfig, find_config(name, SHIPPED_CONFIGS))


def parse_architectures(text: str, source: str) -> ArchitecturesConfig:
    """Parse the text of a configuration; `source` is its name in messages.

    Raises:
        InvalidInputError: if the text is not TOML, or a value is invalid.
    """
    return parse_config_text(ArchitecturesConfig, text, source)


def recipe_of(config: ArchitecturesConfig) -> Recipe:
    """Return the recipe of a study.

    Raises:
        InvalidInputError: if the recipe cannot be read, or all of its stages are without audio.
    """
    recipe = read_recipe(config.recipe)
    if len(shared_stages(recipe)) == len(recipe.stages):
        raise InvalidInputError(
            f"Expected a recipe with a stage about audio, received {config.recipe!r}, whose stages "
            "are in text only."
        )
    return recipe


def shared_stages(recipe: Recipe) -> Sequence[RecipeStage]:
    """Return the stages at the beginning of a recipe that have no audio."""
    stages: list[RecipeStage] = []
    for stage in recipe.stages:
        if stage.scenes or stage.audio_pairs or stage.single_source_clips:
            break
        stages.append(stage)
    return stages
