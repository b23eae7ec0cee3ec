"""The exam of a training: on a tiny LLaMA every part is measured once, and kept."""

from pathlib import Path

import pytest
from tests.tiny_ltu import write_base
from tests.tiny_recipe import recipe

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.evaluation.evaluation import EvaluationScope, SmallLTUEvaluation
from audioprobe.small_ltu.evaluation.measures import EvaluationResult, table_of

SCOPE = EvaluationScope(n_each=1, n_scenes=6, n_asked=1)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = write_base(tmp_path_factory.mktemp("base"), with_sound=False)
    folder = tmp_path_factory.mktemp("training")
    Curriculum(recipe(base), folder).train()
    return folder


def exam(training: Path, out: Path) -> tuple[EvaluationResult, ...]:
    bootstrap = Bootstrap(n_resamples=100)
    return SmallLTUEvaluation(training, out, KeywordScorer(), scope=SCOPE, bootstrap=bootstrap)()


def test_every_part_is_measured_with_intervals_and_kept(training: Path, tmp_path: Path) -> None:
    found = exam(training, tmp_path)
    assert [part.part for part in found] == ["encoder", "words", "sound", "labels", "captions"]
    for part in found:
        for measure in part.measures:
            assert (measure.estimate.value is None) == (measure.estimate.n == 0), measure.name
            # Labels of so few scenes have no interval, and the method says so.
            unknown = measure.estimate.n == 0 or measure.estimate.method.startswith("no interval")
            assert (measure.estimate.low is None) == unknown, measure.name
    blind = [m.blind.value for part in found for m in part.measures if m.blind and m.blind.n]
    assert blind == [0.5] * len(blind) != [], "questions are balanced: a guesser gets one half"
    table = (tmp_path / "exam.md").read_text()
    assert table.count("\n|") == sum(len(part.measures) for part in found) + 1
    assert table_of(found).to_markdown() in table


def test_a_stopped_exam_goes_on_and_measures_nothing_twice(training: Path, tmp_path: Path) -> None:
    whole = exam(training, tmp_path)
    (tmp_path / "labels.json").unlink()
    (tmp_path / "words.json").write_text(
        (tmp_path / "words.json").read_text().replace("never taught", "marked")
    )
    again = exam(training, tmp_path)
    assert again[0] == whole[0]
    assert again[3] == whole[3], "what is measured again is found again"
    assert any("marked" in measure.name for measure in again[1].measures)


def test_captions_after_each_stage_are_kept(training: Path) -> None:
    for stage in ("projector", "closed"):
        lines = (training / stage / "captions.jsonl").read_text().splitlines()
        assert len(lines) == 2
        assert all('"labels": [' in line for line in lines)


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="audioprobe train RECIPE"):
        SmallLTUEvaluation(tmp_path, tmp_path / "out", KeywordScorer())
