"""Curves of a training are drawn from its logs."""

import json
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.plots.training_curves import read_log, save_curves


def test_logs_are_read_and_drawn(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": n, "loss": 9 / (n + 1)}) + "\n" for n in range(60)))
    steps = read_log(log)
    assert steps[3] == {"step": 3, "loss": 2.25}
    picture = save_curves({"a lesson of $5": steps, "short": steps[:2]}, tmp_path / "new" / "c.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_files_that_are_not_logs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.jsonl").write_text('{"step": 1, "lo')
    with pytest.raises(InvalidInputError, match="not the log of a training run"):
        read_log(tmp_path / "torn.jsonl")
    with pytest.raises(InvalidInputError, match="not the log"):
        read_log(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInputError, match="Nothing to plot"):
        save_curves({"empty": []}, tmp_path / "c.png")
