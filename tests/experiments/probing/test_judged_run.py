"""A judge that a configuration names reads every free answer, and is on record."""

import json
from pathlib import Path

import pytest
import tomli_w

from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.probing.run import ProbeRun
from audioprobe.io.config import parse_config

CONFIG = {
    "kind": "probe",
    "bootstrap": {"n_resamples": 50},
    "judge": {"name": "scripted:yes"},
    "models": [
        {
            "name": "one",
            "model": {"name": "scripted:Yes."},
            "conditions": ["text"],
            "evaluation_sets": [],
        }
    ],
}


@pytest.mark.slow
def test_a_judge_of_a_configuration_reads_all_answers(tmp_path: Path) -> None:
    run = ProbeRun(parse_config(ProbeConfig, CONFIG, "x"), tomli_w.dumps(CONFIG))
    (cell,) = run(tmp_path / "run")
    judged = [trial.choice("judge") for trial in cell.outcome.trials]
    assert judged == [trial.choice("free-text") for trial in cell.outcome.trials]
    assert cell.outcome.n_calls["judge"] > 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "scripted" in json.dumps(manifest["pinned"])
    assert run(tmp_path / "run")[0].outcome.trials == cell.outcome.trials
