"""A tiny LTU and a tiny LTU-AS on disk."""

from pathlib import Path

import pytest
from tests.tiny_ltu import write_base, write_checkpoint, write_checkpoint_as, write_whisper


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "vicuna_tiny")


@pytest.fixture(scope="session")
def base_as(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "vicuna_tiny_as", with_sound=False)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / "ltu_tiny.bin")


@pytest.fixture(scope="session")
def checkpoint_as(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint_as(tmp_path_factory.mktemp("published") / "ltuas_tiny.bin")


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("whispers") / "whisper-tiny")
