"""Repetitions of a run with several seeds of sampled decoding."""

from pathlib import Path
from statistics import fmean, stdev

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.analysis import score_cells
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.run import ClassificationRun
from audioprobe.experiments.classification.tables import headline, summary

CONFIG = """
kind = "classification"
seeds = [0, 1, 2, 3]

[model]
name = "scripted:unused"

[scorer]
name = "keyword"

[decoding]
temperature = 1.0
choices = ["a crow", "some rain", "a crow and rain"]

[bootstrap]
n_resamples = 50

[[evaluation_sets]]
name = "made"
dataset.name = "synthetic"
dataset.options = { n_clips = 8, max_sources = 1, palette = ["crow", "rain"] }
split = "test"

[[prompt_levels]]
prompt = "caption"
"""


@pytest.fixture
def prepared(tmp_path: Path) -> ClassificationRun:
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG)
    return ClassificationRun(read_classification(path), CONFIG)


def test_run_is_repeated_with_each_seed(prepared: ClassificationRun, tmp_path: Path) -> None:
    (cell,) = prepared(tmp_path / "run")
    results = [cell.result, *cell.repeats]
    assert [result.provenance.seed for result in results] == [0, 1, 2, 3]
    assert len({result.captions[0].text for result in results}) > 1
    assert sorted(path.name for path in (tmp_path / "run/results").glob("*.json")) == [
        "made--caption--repeat-2.json",
        "made--caption--repeat-3.json",
        "made--caption--repeat-4.json",
        "made--caption.json",
    ]
    n_clips = len(cell.result.clip_ids)
    assert len((tmp_path / "run/responses.jsonl").read_text().splitlines()) == 4 * n_clips
    (read,) = prepared.read(tmp_path / "run")
    assert [r.to_json() for r in (read.result, *read.repeats)] == [r.to_json() for r in results]
    (again,) = prepared(tmp_path / "run")
    assert again.repeats[-1].to_csv() == cell.repeats[-1].to_csv()


def test_table_has_mean_and_standard_deviation_over_seeds(
    prepared: ClassificationRun, tmp_path: Path
) -> None:
    cells = prepared(tmp_path / "run")
    scores = score_cells(cells, prepared.config)
    aucs = [
        result.evaluate(bootstrap=None).auc.value for result in (cells[0].result, *cells[0].repeats)
    ]
    assert scores[0].aucs_of_repeats == pytest.approx(aucs)
    values = [auc for auc in aucs if auc is not None]
    name = "AUC, mean ± SD over 4 seeds"
    for table in (summary(scores), headline(scores)):
        cell = table.rows[0][table.header.index(name)]
        assert cell == f"{fmean(values):.3f} ± {stdev(values):.3f}"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("temperature = 1.0", "temperature = 0.0", "temperature above 0"),
        ("[0, 1, 2, 3]", "[1, 1]", "seeds must be different"),
        ("temperature = 1.0", "temperature = -1.0", "temperature >= 0"),
    ],
)
def test_invalid_seeds_are_rejected(before: str, after: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG.replace(before, after))
    with pytest.raises(InvalidInputError, match=words):
        read_classification(path)
