"""A tiny LLaMA and tiny training data for all tests; none of them is changed."""

from pathlib import Path

import pytest

from audioprobe.finetuning.data import TrainingSampler
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_data


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "tiny", with_sound=False)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSampler:
    return tiny_data(tmp_path_factory.mktemp("features"))
