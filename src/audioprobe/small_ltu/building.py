"""The parts of which a recipe makes a small LTU: scenes, audio encoder, untrained model."""

from dataclasses import asdict
from pathlib import Path

from audioprobe.datasets.synthetic import (
    BlendedPalette,
    Palette,
    ProceduralPalette,
    RecordedPalette,
    Synthetic,
)
from audioprobe.errors import InvalidInputError
from audioprobe.io.json_codec import read_json
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_frontend import feature_config
from audioprobe.models.ltu.audio_prefix import AudioConfig
from audioprobe.models.ltu.checkpoint import CARD, LTUCheckpoint, init_ltu
from audioprobe.protocols import Dataset
from audioprobe.small_ltu.recipe import Recipe, SceneConfig

RECIPE, MODEL = "recipe.json", "ltu"  # file and folder in the folder of a training
TRAIN = "train"  # split of the scenes and recordings for training


def audio_config(recipe: Recipe) -> AudioConfig:
    """Return the configuration of the audio encoder of a recipe.

    Raises:
        BackendNotFoundError: if the pretrained encoder of the recipe is not installed.
        WeightsError: if the weights of this encoder are missing.
    """
    encoder = recipe.encoder
    if isinstance(encoder, CavMaeConfig):
        return encoder
    return feature_config(encoder.name, encoder.options, trainable=encoder.trainable)


def untrained_model(recipe: Recipe, audio: AudioConfig) -> LTUCheckpoint:
    """Return the untrained LTU of a recipe; in text, it answers like the base LLaMA.

    Args:
        recipe: settings of the training.
        audio: configuration of the audio encoder; see `audio_config`.

    Raises:
        WeightsError: if the base model is missing.
    """
    lora = {f"lora_{name}": value for name, value in asdict(recipe.lora).items()}
    sizes = {"audio": audio, "connector": recipe.connector, **lora}
    return init_ltu(recipe.base, sizes, seed=recipe.seed)


def trained_model(folder: Path) -> tuple[Recipe, Path]:
    """Return the recipe and the folder of the model of a completed training.

    A model that is shipped with audioprobe is in the same folder as its recipe.

    Raises:
        InvalidInputError: if the folder does not contain a completed training.
    """
    model = folder if (folder / CARD).is_file() else folder / MODEL
    if not (folder / RECIPE).is_file() or not model.is_dir():
        raise InvalidInputError(
            f"{folder}: expected a completed training, with {RECIPE} and the folder {MODEL}. Train "
            "a model with: audioprobe train-ltu RECIPE --out FOLDER"
        )
    return read_json(Recipe, folder, RECIPE), model


def build_scenes(config: SceneConfig, recordings: Dataset | None = None) -> Synthetic:
    """Return the data set of the synthetic scenes of a recipe.

    Args:
        config: number and composition of the scenes.
        recordings: dataset whose training split provides recorded sources; None uses synthesised
            sources only.
    """
    palette: Palette = ProceduralPalette(config.sources or None)
    if recordings is not None:
        recorded = RecordedPalette(recordings, TRAIN)
        share = config.synthesised_share
        palette = BlendedPalette(palette, recorded, weights=(share, 1 - share))
    return Synthetic(
        n_clips=config.n_train,
        max_sources=config.max_sources,
        palette=palette,
        isolated_fraction=config.bare_share,
        seed=config.seed,
    )
