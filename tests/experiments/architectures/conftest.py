"""Fixtures of most tests in this folder: a tiny recipe, and features and tagger of its scenes."""

from pathlib import Path

import pytest
from tests.experiments.architectures.tiny_architectures import materials, settings, write_recipe

from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.run import prepare


@pytest.fixture(scope="session")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, next to its base."""
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="session")
def tiny(recipe_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ArmMaterials:
    """Data of the study of all arms, all of them computed; tests must not change its folder."""
    made = materials(settings(recipe_path), tmp_path_factory.mktemp("tiny"))
    prepare(made)
    return made
