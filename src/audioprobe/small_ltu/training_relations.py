"""Relations of concepts in the training of a small LTU, computed from the files of its folder."""

from pathlib import Path

from audioprobe.concepts import Concepts
from audioprobe.datasets.debian import training_counts
from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.shipped import shipped_models
from audioprobe.small_ltu.building import build_scenes, trained_model
from audioprobe.small_ltu.relations import RelationPair, hypernym_pairs
from audioprobe.training_data import TRAINING_DATA, TrainingData


def training_relations(name: str | Path) -> tuple[RelationPair, ...]:
    """Return all pairs of a true and a false relation with their role in the training of a model.

    The training recordings need not be on disk: their concepts follow from the names in
    `training_data.csv`.

    Args:
        name: name of a shipped small LTU, such as "mini", or folder of a completed training.

    Raises:
        InvalidInputError: if the folder contains no completed training, or the table of its
            training recordings is missing or names unknown recordings.
    """
    folder = shipped_models().get(str(name)) or Path(name).expanduser()
    recipe, model = trained_model(folder)
    concepts = set(build_scenes(recipe.scenes).palette.concepts)
    if recipe.scenes.recordings:
        if not (model / TRAINING_DATA).is_file():
            raise InvalidInputError(
                f"{model}: expected {TRAINING_DATA} with the training recordings, found none. Use "
                "the folder of a training by `audioprobe train-ltu`."
            )
        counts = training_counts(TrainingData.from_csv(model / TRAINING_DATA, str(name)))
        concepts |= {concept for concept, n in counts.items() if n}
    return hypernym_pairs(
        Concepts.shipped(), sorted(concepts), held_out=recipe.held_out, seed=recipe.seed
    )
