"""A large evaluation set is classified in parts: the result is the same, and parts are reused."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.scripted import content, sound

from audioprobe import CaptionClassifier, KeywordScorer, Prompt, Scripted
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.experiments.classification import parts, report
from audioprobe.experiments.classification.build import LabelledClips
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.outputs import write_outputs
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
from audioprobe.experiments.classification.samples import n_right
from audioprobe.experiments.run_metadata import audio_digests
from audioprobe.progress import ProgressEvent, ignore_progress
from audioprobe.reports.samples import scored_answer
from audioprobe.results import ClassificationResult, Failure, LabelScores, Provenance
from audioprobe.types import Clip

LABELS = ("crow", "rain", "bell")
CAPTIONS = ("a crow", "rain", "a bell in the rain \ud800")  # as a service may send it


class Model(Scripted):
    """Names the label that the level of a clip stands for; fails for levels in `unavailable`."""

    def __init__(self, unavailable: Sequence[int] = ()) -> None:
        super().__init__(self._caption)
        self.unavailable = unavailable

    def _caption(self, prompt: Prompt) -> str:
        assert prompt.audio is not None
        level = round(100 * float(prompt.audio.samples[0]))
        if level in self.unavailable:
            raise RemoteError("The service does not respond.", retryable=True)
        return CAPTIONS[level % 3]


def clip(n: int, level: int) -> Clip:
    group = f"site {n % 2}" if n else None
    labels = (LABELS[n % 3],) if n != 3 else None
    return Clip(id=f"clip {n}", waveform=sound(level / 100), labels=labels, group=group)


def evaluation_set(clips: Sequence[Clip]) -> LabelledClips:
    dataset = InMemoryDataset("made", {"all": clips}, LABELS)
    return LabelledClips(
        name="made",
        clips=tuple(clips),
        info=dataset.info,
        familiar=None,
        allow_training_clips=False,
        dataset=dataset,
        labels=LABELS,
    )


def classify(folder: Path, clips: Sequence[Clip], model: Model) -> tuple[int, ClassificationResult]:
    """Return the number of captions of reused parts, and the result."""
    result_parts = parts.ResultParts(folder, evaluation_set(clips))
    classifier = CaptionClassifier(model, KeywordScorer())
    n_reused = result_parts.classify(classifier, audio_digests(clips), ignore_progress)
    return n_reused, result_parts.read()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SIZE", 4)


@pytest.fixture
def clips() -> list[Clip]:
    return [*(clip(n, n + 1) for n in range(9)), Clip(id="gone", path=Path("/nowhere.wav"))]


def stored(result: ClassificationResult) -> object:
    """Return the content of a result without the digest of its audio, which depends on parts."""
    return content(replace(result, provenance=replace(result.provenance, data="")))


@pytest.mark.parametrize("unavailable", [(), (3, 9), tuple(range(10))])
def test_result_in_parts_is_the_result_of_all_clips(
    unavailable: tuple[int, ...], clips: list[Clip], tmp_path: Path
) -> None:
    _, joined = classify(tmp_path / "parts", clips, Model(unavailable))
    whole = CaptionClassifier(Model(unavailable), KeywordScorer())(clips, LABELS, progress=False)
    assert stored(joined) == stored(whole)
    assert "".join(joined.json_pieces()) == joined.to_json()
    assert len(list((tmp_path / "parts").iterdir())) == 3


def test_finished_parts_are_reused(clips: list[Clip], tmp_path: Path) -> None:
    first, again = Model(), Model()
    n_reused, result = classify(tmp_path / "parts", clips, first)
    assert (n_reused, first.n_asked) == (0, 9)
    (tmp_path / "parts" / "00001.parquet").unlink()
    n_reused, resumed = classify(tmp_path / "parts", clips, again)
    assert (n_reused, again.n_asked) == (5, 4)
    assert content(resumed) == content(result)


def test_part_with_changed_audio_is_made_again(clips: list[Clip], tmp_path: Path) -> None:
    classify(tmp_path / "parts", clips, Model())
    clips[5] = clip(5, 50)
    model = Model()
    n_reused, result = classify(tmp_path / "parts", clips, model)
    assert (n_reused, model.n_asked) == (5, 4)
    assert result.captions[5].text == CAPTIONS[50 % 3]


def test_part_with_a_failed_request_is_made_again(clips: list[Clip], tmp_path: Path) -> None:
    _, result = classify(tmp_path / "parts", clips, Model(unavailable=[2]))
    assert [f.clip_id for f in result.failures] == ["clip 1", "gone"]
    model = Model()
    n_reused, result = classify(tmp_path / "parts", clips, model)
    assert (n_reused, model.n_asked) == (5, 4)
    assert [f.clip_id for f in result.failures] == ["gone"]


def test_progress_counts_the_clips_of_all_parts(clips: list[Clip], tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    result_parts = parts.ResultParts(tmp_path / "parts", evaluation_set(clips))
    classifier = CaptionClassifier(Model(), KeywordScorer())
    result_parts.classify(classifier, audio_digests(clips), events.append)
    done = [event.done for event in events]
    assert done == sorted(done)
    assert (done[-1], {event.total for event in events}) == (10, {10})
    assert events[-1].n_failed == 1


def test_damaged_and_foreign_parts_are_errors(clips: list[Clip], tmp_path: Path) -> None:
    classify(tmp_path / "parts", clips, Model())
    with pytest.raises(InvalidInputError, match="expected the clip"):
        parts.ResultParts(tmp_path / "parts", evaluation_set(clips[::-1])).read()
    path = tmp_path / "parts" / "00002.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        parts.ResultParts(tmp_path / "parts", evaluation_set(clips)).read()


@pytest.mark.parametrize(
    "record",
    [None, "{", "[" * 100_000, "[]", '{"clip": "clip 0"}'],
    ids=["null", "cut", "deep", "list", "fields"],
)
def test_damaged_record_of_a_part_is_an_error_that_names_the_file(
    clips: list[Clip], tmp_path: Path, record: str
) -> None:
    classify(tmp_path / "parts", clips, Model())
    path = tmp_path / "parts" / "00001.parquet"
    table = parquet.read_table(path)
    records = [record, *table["record"].to_pylist()[1:]]
    parquet.write_table(table.set_column(0, "record", pa.array(records)), path)
    with pytest.raises(InvalidInputError, match=r"00001\.parquet: the part of a result cannot"):
        parts.ResultParts(tmp_path / "parts", evaluation_set(clips)).read()


CONFIG = """
kind = "classification"
bootstrap = { n_resamples = 20 }
model = { name = "scripted:a crow and some rain" }
scorer = { name = "keyword" }
prompt_levels = [{ prompt = "caption" }, { prompt = "labels" }]

[[evaluation_sets]]
name = "shipped"
dataset = { name = "recordings" }
split = "all"
max_clips = 6
"""


def outputs(config: Path, folder: Path, *, again: bool = False) -> Iterator[bytes]:
    """Yield the outputs of a run, or of a report computed again from its folder."""
    run = ClassificationRun(read_classification(config), config.read_text())
    write_outputs(run, run.read(folder) if again else run(folder), folder, "t")
    for name in ("scores.parquet", "summary.md", "results/shipped--caption.csv"):
        yield (folder / name).read_bytes()


def test_outputs_do_not_depend_on_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    in_parts = list(outputs(config, tmp_path / "parts"))
    assert (tmp_path / "parts/results/shipped--caption/00001.parquet").is_file()
    assert list(outputs(config, tmp_path / "parts", again=True)) == in_parts
    monkeypatch.setattr(parts, "PART_SIZE", 100)
    assert list(outputs(config, tmp_path / "whole")) == in_parts
    assert not (tmp_path / "whole/results/shipped--caption").exists()


def test_number_of_correct_best_labels_agrees_with_the_samples() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"clip {n}" for n in range(200))
    scores = rng.integers(3, size=(200, 3)) / 2  # with many ties
    truth = {name: tuple(rng.permutation(LABELS)[: rng.integers(3)]) for name in names[:150]}
    result = ClassificationResult(
        label_scores=LabelScores(names, LABELS, scores),
        captions=(),
        failures=(),
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
        truth=truth,
    )
    cell = ClassificationCell(
        evaluation_set="made", prompt_level="caption", familiar=None, result=result, groups={}
    )
    answers = [
        scored_answer(row, LABELS, truth.get(name, ())).correctness
        for name, row in zip(names, scores, strict=True)
    ]
    n_labelled = sum(answer != "not labelled" for answer in answers)
    assert n_right(LabelledScores(cell)) == (answers.count("right"), n_labelled)


def test_report_limits_the_number_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = tuple(Failure(f"clip {n}", "read", "AudioReadError", "damaged") for n in range(5))
    result = ClassificationResult(
        label_scores=LabelScores((), LABELS, np.empty((0, 3))),
        captions=(),
        failures=failures,
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
    )
    cell = ClassificationCell(
        evaluation_set="made", prompt_level="caption", familiar=None, result=result, groups={}
    )
    for most, title in ((5, "made: caption"), (3, "made: caption, 3 of 5 failures")):
        monkeypatch.setattr(report, "MAX_FAILURES", most)
        (grid,) = report.failure_grids([cell])
        assert (grid.name, len(grid.table.rows)) == (title, most)
