"""Classification results: display, export, storage and measures."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import MAX_LINES
from audioprobe.metrics import FixedThreshold, OracleThreshold, TunedThreshold
from audioprobe.results import (
    Caption,
    ClassificationResult,
    Failure,
    LabelScores,
    Provenance,
)
from audioprobe.results.evaluation import evaluate
from audioprobe.types import ComponentInfo

EVIL = "\x1b[2J<script>alert(1)</script> [red]=HYPERLINK()"


@pytest.fixture
def result() -> ClassificationResult:
    return ClassificationResult(
        label_scores=LabelScores(
            ("a.wav", EVIL), ("crow", "rain"), np.array([[0.1 + 0.2, -0.5], [0.25, 1 / 3]])
        ),
        captions=(
            Caption(clip_id="a.wav", start=0.0, text="No sound is recognised.", abstained=True),
            Caption(clip_id="a.wav", start=10.0, text="=cmd|' /C calc'!A0"),
            Caption(clip_id=EVIL, start=0.0, text=EVIL),
        ),
        failures=(Failure("c.wav", "read", "AudioReadError", "c.wav: no such file."),),
        provenance=Provenance(
            components={"model": ComponentInfo("language_model", "m")},
            options={"pooling": "max"},
            seed=0,
            data="ab",
            versions={},
            created="now",
        ),
        truth={"a.wav": ("crow",), EVIL: ()},
    )


def test_json_round_trip_is_exact(result: ClassificationResult) -> None:
    copy = ClassificationResult.from_json(result.to_json())
    assert copy.to_json() == result.to_json()
    np.testing.assert_array_equal(copy.scores, result.scores)
    assert (copy.captions, copy.failures, copy.truth) == (
        result.captions,
        result.failures,
        result.truth,
    )


def test_csv_has_a_row_per_clip_and_no_score_for_a_failed_one(
    result: ClassificationResult,
) -> None:
    rows = list(csv.DictReader(io.StringIO(result.to_csv(), newline="")))
    assert [float(row["crow"]) for row in rows[:2]] == [0.1 + 0.2, 0.25]
    assert (rows[2]["crow"], rows[2]["failed at"]) == ("", "read")
    assert len(rows) == 3


def test_caption_details_are_in_the_csv(result: ClassificationResult) -> None:
    silent, loud, evil = result.captions
    detailed = replace(loud, details={"truncated audio (s)": 4.76, "model": "m"})
    odd = replace(result, captions=(silent, detailed, evil))
    first, other, failed = csv.DictReader(io.StringIO(odd.to_csv(), newline=""))
    details = [row["details"] for row in (first, other, failed)]
    assert details == [" | truncated audio (s): 4.76, model: m", "", ""]
    assert "details" not in result.to_csv()


def test_control_characters_and_formulas_are_escaped(result: ClassificationResult) -> None:
    shown = str(result)
    assert "\x1b" not in shown
    assert "[red]" in shown
    assert not any(row[1].startswith("=") for row in csv.reader(io.StringIO(result.to_csv())))


def test_table_prefers_a_window_with_a_recognised_sound(
    result: ClassificationResult,
) -> None:
    assert result.table().rows[0][1] == "=cmd|' /C calc'!A0 (+1 windows)"


def test_unrecognised_clip_shows_no_label_and_is_counted() -> None:
    silent = ClassificationResult(
        label_scores=LabelScores(("a",), ("crow",), np.array([[0.4]])),
        captions=(Caption(clip_id="a", start=0.0, text="No sound is recognised.", abstained=True),),
        failures=(),
        provenance=Provenance(
            components={}, options={}, seed=0, data="", versions={}, created="now"
        ),
    )
    assert silent.table().rows[0][2] == "–"
    assert silent.counts["unrecognised"] == 1
    assert "1 in which the model recognised nothing" in silent.summary()


def test_save_writes_both_files_completely(result: ClassificationResult, tmp_path: Path) -> None:
    paths = result.save(tmp_path / "new" / "run")
    assert [path.name for path in paths] == ["result.json", "scores.csv"]
    assert json.loads(paths[0].read_text())["captions"][2]["text"] == EVIL
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ["result.json", "scores.csv"]
    result.save(tmp_path / "new" / "run")


def test_file_name_that_is_not_utf8_is_saved_and_loaded(
    result: ClassificationResult, tmp_path: Path
) -> None:
    odd = ClassificationResult(
        label_scores=LabelScores(("\udcff.wav",), ("crow",), np.array([[1.0]])),
        captions=(Caption(clip_id="\udcff.wav", start=0.0, text="a crow"),),
        failures=(),
        provenance=result.provenance,
    )
    path, _ = odd.save(tmp_path)
    assert ClassificationResult.from_json(path.read_text()).clip_ids == ("\udcff.wav",)
    assert "udcff" in str(odd)


def test_labels_named_like_a_column_are_renamed_in_the_csv() -> None:
    odd = ClassificationResult(
        label_scores=LabelScores(("a",), ("clip", "cause"), np.array([[0.5, 0.25]])),
        captions=(Caption(clip_id="a", start=0.0, text="x"),),
        failures=(),
        provenance=Provenance(
            components={}, options={}, seed=0, data="", versions={}, created="now"
        ),
    )
    (row,) = csv.DictReader(io.StringIO(odd.to_csv(), newline=""))
    assert (row["clip"], row["label clip"], row["label cause"]) == ("a", "0.5", "0.25")


@pytest.fixture
def direct() -> ClassificationResult:
    """Return a result without captions that has two measures."""
    names = (("a", "b"), ("crow", "rain"))
    return ClassificationResult(
        label_scores=LabelScores(*names, np.array([[0.5, -0.5], [0.25, 1.0]])),
        captions=(),
        failures=(Failure("c", "score", "OutOfMemoryError", "too long"),),
        provenance=Provenance(
            components={},
            options={"pooling": "max", "rank_by": "cosine"},
            seed=0,
            data="",
            versions={},
            created="now",
        ),
        measure="cosine",
        alternatives={"probability": LabelScores(*names, np.array([[0.75, 0.25], [0.125, 0.5]]))},
    )


def test_ranked_by_exchanges_the_measures(direct: ClassificationResult) -> None:
    other = direct.ranked_by("probability")
    np.testing.assert_array_equal(other.scores, [[0.75, 0.25], [0.125, 0.5]])
    assert other.provenance.options == {"pooling": "max", "rank_by": "probability"}
    assert list(other.measures) == ["probability", "cosine"]
    assert other.ranked_by("cosine").to_json() == direct.to_json()
    assert direct.ranked_by("cosine").to_json() == direct.to_json()
    with pytest.raises(InvalidInputError, match=r"one of cosine, probability.*got 'match'"):
        direct.ranked_by("match")


def test_alternatives_of_other_clips_or_labels_are_rejected(direct: ClassificationResult) -> None:
    for name, scores in (
        ("cosine", direct.label_scores),
        ("other", LabelScores(("a",), ("crow", "rain"), np.zeros((1, 2)))),
    ):
        with pytest.raises(InvalidInputError, match=f"alternative '{name}' needs"):
            replace(direct, alternatives={name: scores})


def test_result_without_captions_does_not_mention_them(direct: ClassificationResult) -> None:
    assert direct.counts == {"clips": 3, "scored": 2, "failed": 1}
    assert direct.recognised == {"a", "b"}
    assert direct.table().rows[0] == ("a", "crow 0.50", "rain -0.50")
    assert direct.summary() == (
        "2 of 3 clips scored, 1 failed, scores are cosine, windows of a clip pooled by max."
    )


def test_csv_columns_are_unique(direct: ClassificationResult) -> None:
    names = (("a",), ("cause", "crow", "crow (b)"))
    odd = replace(
        direct,
        label_scores=LabelScores(*names, np.array([[1.0, 2.0, 3.0]])),
        alternatives={"b": LabelScores(*names, np.array([[4.0, 5.0, 6.0]]))},
    )
    header, row, failed = csv.reader(io.StringIO(odd.to_csv(), newline=""))
    labels = ["label cause", "crow", "crow (b)", "cause (b)", "label crow (b)", "crow (b) (b)"]
    assert header == ["clip", *labels, "failed at", "cause"]
    assert row == ["a", "1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "", ""]
    assert failed == ["c", *[""] * 6, "score", "too long"]


def test_invalid_label_scores_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="clip_ids must be unique"):
        LabelScores(("a", "a"), ("b",), np.zeros((2, 1)))
    with pytest.raises(InvalidInputError, match="finite"):
        LabelScores(("a",), ("b",), np.array([[np.nan]]))
    with pytest.raises(InvalidInputError, match=r"\(1, 1\)"):
        LabelScores(("a",), ("b",), np.zeros((2, 1)))


def test_evaluation_counts_failures_and_leaves_out_undefined_labels(
    result: ClassificationResult,
) -> None:
    evaluation = result.evaluate()
    assert (evaluation.n_clips, evaluation.n_failed) == (2, 1)
    assert evaluation.labels[0].auc.value == 1.0
    assert evaluation.labels[1].auc.value is None
    assert (evaluation.auc.value, evaluation.auc.n, evaluation.auc.n_undefined) == (1.0, 1, 1)
    assert "undefined" in str(evaluation)
    assert "2 clips scored, 1 (33 %) failed" in evaluation.to_markdown()


def test_targets_may_be_a_matrix_or_labels_by_clip(result: ClassificationResult) -> None:
    matrix = np.array([[True, False], [False, False]])
    assert result.evaluate(matrix) == result.evaluate()
    with pytest.raises(InvalidInputError, match="each of 2 clips, but 2 have none"):
        result.evaluate({})
    with pytest.raises(InvalidInputError, match="shape"):
        result.evaluate(np.zeros((3, 2), dtype=bool))


def test_evaluation_without_scored_clips_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match=r"No clip has scores \(3 failed"):
        evaluate(np.zeros((0, 1)), np.zeros((0, 1), bool), ("x",), n_failed=3)


def test_f1_is_reported_only_with_a_threshold_policy() -> None:
    scores = np.array([[0.1], [0.4], [0.35], [0.8]])
    targets = np.array([[False], [False], [True], [True]])
    plain = evaluate(scores, targets, ("x",))
    assert plain.labels[0].f1 is None
    assert "F1" not in plain.to_markdown()
    fixed = evaluate(scores, targets, ("x",), threshold=FixedThreshold(0.5))
    assert fixed.f1.value == pytest.approx(2 / 3)
    assert "F1, threshold fixed at 0.5" in fixed.to_markdown()
    oracle = evaluate(scores, targets, ("x",), threshold=OracleThreshold())
    assert oracle.f1.value == pytest.approx(0.8)
    tuned = TunedThreshold.fit(targets, scores, on="valid")
    assert "tuned on valid" in evaluate(scores, targets, ("x",), threshold=tuned).to_markdown()


def test_macro_means_have_intervals_over_groups_and_label_counts() -> None:
    names = tuple(f"clip {n}" for n in range(12))
    truth = {name: (("crow",) if n % 2 else ()) for n, name in enumerate(names)}
    scores = np.random.default_rng(0).random((12, 2))
    plain = ClassificationResult(
        label_scores=LabelScores(names, ("crow", "rain"), scores),
        captions=(),
        failures=(),
        provenance=Provenance(
            components={}, options={}, seed=0, data="", versions={}, created="now"
        ),
        truth=truth,
        measure="cosine",
    )
    evaluation = plain.evaluate()
    assert (evaluation.auc.n_groups, evaluation.auc.unit) == (12, "clips")
    assert "AUC of 1 of 2 labels" in str(evaluation)
    sites = replace(plain, groups={name: f"site {n // 4}" for n, name in enumerate(names)})
    assert (sites.evaluate().auc.n_groups, sites.evaluate().auc.unit) == (3, "groups")
    assert plain.evaluate(bootstrap=None).auc.low is None


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (("crow",), "'Crow' is spelled 'crow' in the reference labels. Did you mean 'crow'"),
        (("Great_tit",), "'great tit' is spelled 'Great_tit'"),
        (("crows",), "None of the 2 labels.*'crows'.* Did you mean 'crows'"),
    ],
)
def test_labels_spelled_differently_in_the_truth_are_rejected(
    truth: tuple[str, ...], message: str
) -> None:
    scores = LabelScores(("a",), ("Crow", "great tit"), np.array([[0.5, 0.25]]))
    provenance = Provenance(components={}, options={}, seed=0, data="", versions={}, created="now")
    result = ClassificationResult(
        label_scores=scores,
        captions=(),
        failures=(),
        provenance=provenance,
        truth={"a": truth},
        measure="cosine",
    )
    with pytest.raises(InvalidInputError, match=message):
        result.evaluate()


def test_result_is_loaded_by_folder_or_file(result: ClassificationResult, tmp_path: Path) -> None:
    path, _ = result.save(tmp_path / "run")
    for place in (path, tmp_path / "run"):
        assert ClassificationResult.load(place).to_json() == result.to_json()
    with pytest.raises(InvalidInputError, match="nowhere"):
        ClassificationResult.load(tmp_path / "nowhere")
    path.write_text("{}")
    with pytest.raises(InvalidInputError, match=r"result\.json"):
        ClassificationResult.load(path)


def test_result_is_a_mapping_of_clips(result: ClassificationResult) -> None:
    assert (len(result), list(result)) == (2, ["a.wav", EVIL])
    assert result["a.wav"] == {"crow": 0.1 + 0.2, "rain": -0.5}
    with pytest.raises(KeyError, match="failed"):
        result["c.wav"]
    with pytest.raises(KeyError, match="Did you mean"):
        result["a.wave"]


def test_to_pandas_has_one_row_per_clip_and_label(result: ClassificationResult) -> None:
    frame = result.to_pandas()
    assert list(frame.columns) == ["clip", "group", "label", "score", "present"]
    assert frame.present.tolist() == [True, False, False, False]
    assert frame.group.isna().all()
    assert frame.pivot(index="clip", columns="label", values="score").loc["a.wav", "rain"] == -0.5
    assert len(frame) == 4


def test_labels_of_clips_without_reference_labels_are_missing(result: ClassificationResult) -> None:
    unknown = replace(result, truth={"a.wav": ("crow",)}, groups={"a.wav": "site 1"})
    rows = unknown.data().columns
    assert rows["present"] == [True, False, None, None]
    assert rows["group"] == ["site 1", "site 1", None, None]


def test_captions_and_failures_are_tables(result: ClassificationResult) -> None:
    captions = result.caption_data().to_pandas()
    assert captions.text.tolist() == [caption.text for caption in result.captions]
    assert captions.start.tolist() == [0.0, 10.0, 0.0]
    assert result.failure_data().columns["clip"] == ["c.wav"]
    assert result.failure_data().columns["stage"] == ["read"]


def test_evaluation_is_a_table_with_missing_values(result: ClassificationResult) -> None:
    evaluation = result.evaluate(bootstrap=None)
    frame = evaluation.to_pandas()
    assert frame.label.tolist() == ["crow", "rain"]
    assert frame.n_positive.tolist() == [1, 0]
    assert frame.auc.isna().tolist() == [False, True], "an undefined AUC is missing, not 0"


def test_repr_of_a_long_result_is_short_and_has_counts(result: ClassificationResult) -> None:
    ids = tuple(f"clip-{n}.wav" for n in range(500))
    long = replace(
        result,
        label_scores=LabelScores(ids, ("crow",), np.zeros((500, 1))),
        captions=tuple(Caption(clip_id=name, start=0.0, text="A crow. " * 60) for name in ids),
        truth=dict.fromkeys(ids, ("crow",)),
    )
    for shown in (
        long,
        long.evaluate({**dict.fromkeys(ids, ("crow",)), ids[0]: ()}, bootstrap=None),
    ):
        assert len(repr(shown).splitlines()) <= MAX_LINES
        assert "array(" not in repr(shown)
    assert repr(long).endswith(long.summary())


def test_notebook_html_is_escaped(result: ClassificationResult) -> None:
    page = result._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<table>") == 2  # clips, failures
    assert "1 failed" in page


def test_failed_clips_can_count_as_wrong(result: ClassificationResult) -> None:
    """A failed crow and a failed clip without rain are ranked as badly as possible."""
    labelled = replace(result, truth={"a.wav": ("crow",), EVIL: ("rain",), "c.wav": ("crow",)})
    evaluation = labelled.evaluate()
    assert evaluation.auc.value == 1
    # crow: of the pairs (a, EVIL) and (c, EVIL) one is right; rain: of (EVIL, a), (EVIL, c) one
    assert evaluation.strict_auc is not None
    assert evaluation.strict_auc.value == 0.5
    assert evaluation.strict_average_precision is not None
    assert evaluation.strict_average_precision.value == pytest.approx(((1 + 2 / 3) / 2 + 0.5) / 2)
    assert evaluation.failure_rate == pytest.approx(1 / 3)
    assert evaluation.table().rows[-1][0] == "macro mean, failed clips as wrong"
    assert "1 (33 %) failed" in str(evaluation)
    assert result.evaluate().strict_auc is None  # the labels of the failed clip are unknown
    assert replace(labelled, failures=()).evaluate().strict_auc is None
