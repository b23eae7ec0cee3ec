"""The command line, in processes of which the second one is late."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from audioprobe.cli import main
from audioprobe.experiments.finetuning import run
from audioprobe.experiments.finetuning.build import Materials, clips_with_features
from audioprobe.experiments.finetuning.storage import BEFORE, result_path
from audioprobe.finetuning.captioned_clips import CaptionedClips

_LIMIT = 120.0  # seconds


def clips_after_first_result(
    materials: Materials, folder: Path, *others: Any
) -> dict[str, CaptionedClips]:
    """Compute features, then wait until the first process has stored the first result."""
    clips, started_at = clips_with_features(materials, folder, *others), time.monotonic()
    path = result_path(folder.parent, BEFORE)
    while not path.is_file() and time.monotonic() < started_at + _LIMIT:
        time.sleep(0.1)
    return clips


if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        pytest.MonkeyPatch().setattr(run, "clips_with_features", clips_after_first_result)
    main()
