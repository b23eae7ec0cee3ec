"""The evaluation of a tiny training measures every part once and stores it."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
from tests.tiny_ltu import write_base
from tests.tiny_recipe import recipe

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.small_ltu.building import MODEL, RECIPE
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.evaluation import PARTS, TABLE, SmallLTUEvaluation
from audioprobe.small_ltu.evaluation_clips import EvaluationScope
from audioprobe.small_ltu.measures import EvaluationResult, results_table

SCOPE = EvaluationScope(n_each=1, n_scenes=6, n_asked=1)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = write_base(tmp_path_factory.mktemp("base"), with_sound=False)
    folder = tmp_path_factory.mktemp("training")
    Curriculum(recipe(base), folder).train()
    return folder


def evaluate(
    training: Path, out: Path, parts: Collection[str] = PARTS
) -> tuple[EvaluationResult, ...]:
    scorer, bootstrap = KeywordScorer(), Bootstrap(n_resamples=100)
    return SmallLTUEvaluation(
        training, out, scorer, parts=parts, scope=SCOPE, bootstrap=bootstrap
    )()


@pytest.mark.slow
def test_every_part_is_measured_once_and_stored(training: Path, tmp_path: Path) -> None:
    results = evaluate(training, tmp_path)
    assert [result.part for result in results] == ["encoder", "text", "audio", "labels", "captions"]
    for result in results:
        for measure in result.measures:
            estimate = measure.estimate
            assert (estimate.value is None) == (estimate.n == 0), measure.name
            # Labels of so few scenes have no interval, and the method says so.
            no_interval = estimate.n == 0 or estimate.method.startswith("no interval")
            assert (estimate.low is None) == no_interval, measure.name
    blind = [m.blind.value for r in results for m in r.measures if m.blind and m.blind.n]
    assert blind == [0.5] * len(blind) != [], "questions are balanced"
    table = (tmp_path / TABLE).read_text()
    assert table.count("\n|") == sum(len(result.measures) for result in results) + 1
    assert results_table(results).to_markdown() in table
    # An interrupted evaluation is resumed: stored parts are read, missing ones measured.
    (tmp_path / "labels.json").unlink()
    text = (tmp_path / "text.json").read_text()
    (tmp_path / "text.json").write_text(text.replace("held out", "marked"))
    resumed = evaluate(training, tmp_path)
    assert resumed[0] == results[0]
    assert resumed[3] == results[3]
    assert any("marked" in measure.name for measure in resumed[1].measures)


def test_model_beside_its_recipe_is_evaluated_like_the_training(
    training: Path, tmp_path: Path
) -> None:
    shutil.copytree(training / MODEL, tmp_path / "model")
    shutil.copy(training / RECIPE, tmp_path / "model")
    parts = ("captions",)
    expected = evaluate(training, tmp_path / "expected", parts)
    assert evaluate(tmp_path / "model", tmp_path / "actual", parts) == expected
    with pytest.raises(InvalidInputError, match="Leave out the part encoder"):
        evaluate(tmp_path / "model", tmp_path / "other")


def test_captions_after_each_stage_are_stored(training: Path) -> None:
    for stage in ("projector", "closed"):
        lines = (training / stage / "captions.jsonl").read_text().splitlines()
        assert len(lines) == 2
        assert all('"labels": [' in line for line in lines)


def test_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="audioprobe train-ltu RECIPE"):
        SmallLTUEvaluation(tmp_path, tmp_path / "out", KeywordScorer())
