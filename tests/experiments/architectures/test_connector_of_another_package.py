"""The connector of the page "Add a connector", in a package of its own, is trained and loaded."""

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from safetensors.torch import load_file
from tests.experiments.architectures.tiny_architectures import copied, materials, settings
from tests.processes import SETTINGS, run_cli, run_python
from tests.test_docs import ROOT, blocks

from audioprobe import LTU, Prompt
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import BackendNotFoundError
from audioprobe.experiments.architectures.evaluation import ANSWERS
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.run import run_arm
from audioprobe.experiments.architectures.storage import read_record
from audioprobe.registry import available

PAGE = ROOT / "docs" / "how-to" / "add-a-connector.md"
(CODE,) = (code for _, code in blocks(PAGE, "python"))
PROJECT, STUDY = (tomllib.loads(code) for _, code in blocks(PAGE, "toml"))
WIDTH, HIDDEN = 368, 64


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package of the page is installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "my_connectors.py").write_text(CODE, encoding="utf-8")
    info = folder / "my_connectors-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-connectors\nVersion: 1.0\n")
    ((group, entries),) = PROJECT["project"]["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def study(tiny: ArmMaterials) -> dict[str, Any]:
    """Return the study of the page, on the tiny recipe."""
    assert (STUDY["kind"], STUDY["recipe"]) == ("architectures", "architectures")
    rates = {"factors": [1.0], "steps": 1, "n_scenes": 3}
    return settings(Path(tiny.config.recipe), arms=STUDY["arms"], rates=rates)


@pytest.mark.slow
def test_a_registered_connector_is_trained_saved_and_loaded(
    tiny: ArmMaterials, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = materials(study(tiny), copied(tiny, tmp_path / "run"))
    with monkeypatch.context() as installed:
        installed.syspath_prepend(str(site))
        (backend,) = (b for b in available("connector") if b.name == "mean")
        assert backend.distribution.startswith("my-connectors")
        run_arm(made, made.config.arm("mean"), 0)
        result = json.loads(
            gzip.decompress((made.folder / "results" / "mean-0.json.gz").read_bytes())
        )
        assert result["cost"]["n_connector"] == (1024 + 1) * WIDTH + (WIDTH + 1) * HIDDEN
        assert result["rate_losses"].keys() == {"1.0"}
        folder = made.folder / "training" / "mean-0" / "ltu"
        adapter = load_file(folder / "adapter.safetensors")
        assert adapter["prefix.projection.first.weight"].shape == (WIDTH, 1024)
        model = LTU.from_pretrained(folder, base=made.recipe.base)
        trial = next(t for t in result["trials"] if t["question"]["clip"])
        waveform = read_waveform(made.clips_by_id[trial["question"]["clip"]])
        (values,) = model.log_likelihood([Prompt(trial["question"]["text"], waveform)], ANSWERS)
        totals = [value.total for value in values]  # of one prompt alone, not of a batch
        assert totals == pytest.approx(trial["log_likelihoods"], abs=1e-4)
    with pytest.raises(BackendNotFoundError, match="mean"):
        LTU.from_pretrained(folder, base=made.recipe.base)


RUN = """
import sys
from pathlib import Path
from audioprobe.experiments.architectures.config import parse_architectures
from audioprobe.experiments.architectures.run import ArchitecturesRun
from audioprobe.experiments.placement import Placement
if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text()
    ArchitecturesRun(parse_architectures(text, "mean"), text)(sys.argv[2], placement=Placement(2))
"""


@pytest.mark.slow
def test_a_study_in_other_processes_trains_the_connector(
    tiny: ArmMaterials, site: Path, tmp_path: Path
) -> None:
    path = {"PYTHONPATH": f"{site}:{SETTINGS['PYTHONPATH']}"}
    config, folder = tmp_path / "mean.toml", copied(tiny, tmp_path / "run")
    config.write_text(tomli_w.dumps(study(tiny)), encoding="utf-8")
    described = run_cli("backends", "mean", **path)
    assert described.returncode == 0, described.stderr
    assert "width" in described.stdout
    shown = run_cli("run", str(config), "--out", str(folder), "--dry-run", **path)
    assert "registered" in shown.stdout, shown.stderr
    done = run_python(RUN, str(config), str(folder), **path)
    assert done.returncode == 0, done.stderr
    assert set(read_record(folder).results) == {("linear", 0), ("mean", 0)}
