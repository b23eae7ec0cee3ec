"""Files of given bytes."""

from pathlib import Path

import pytest
from tests.audio.encoded import Put


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write bytes to a file, and return its path."""

    def write(content: bytes, name: str = "sound.bin") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write
