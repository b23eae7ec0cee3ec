"""A tiny LLaMA, and lessons from tiny sounds; none of them is changed."""

from pathlib import Path

import pytest

from audioprobe.finetuning.data import TrainingData
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_lessons


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "tiny", with_sound=False)


@pytest.fixture(scope="session")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return tiny_lessons(tmp_path_factory.mktemp("sounds"))
