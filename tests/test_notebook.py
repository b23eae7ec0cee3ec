"""The tutorial notebook runs from top to bottom, and results are displayed as tables."""

import os
from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
BRAKE = "from tests.network_brake import install; install()"


def test_the_notebook_is_valid_and_stores_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_offline_and_shows_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BRAKE))
    ExecutePreprocessor(timeout=600, kernel_name="python3").preprocess(
        notebook, {"metadata": {"path": str(tmp_path)}}
    )
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    last_lines = {cell.source.splitlines()[-1]: cell for cell in cells}
    for name in ("result", "evaluation", "comparison", "outcome"):
        (shown,) = [out for out in last_lines[name].outputs if out.output_type == "execute_result"]
        assert "<table" in shown.data["text/html"], name
        others = [out for out in last_lines[name].outputs if "data" in out and out is not shown]
        assert not others, f"{name} is shown once"
        assert len(shown.data["text/plain"].splitlines()) > 3, name
        assert "image/png" in last_lines[f"{name}.plot();"].outputs[-1].data, name
    assert "A crow." in last_lines["result"].outputs[-1].data["text/html"]
    assert "macro mean" in last_lines["evaluation"].outputs[-1].data["text/html"]
    (answers,) = [cell.outputs for cell in cells if "Is a crow a bird?" in cell.source]
    assert "Is a crow a bird? Yes." in answers[-1].text
    assert (tmp_path / "tutorial-run" / "result.json").is_file()
