"""Questions of an interpretability study: roles, matched conditions, and sizes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.experiments.interpretability.tiny_interpretability import parsed, settings

from audioprobe import Waveform
from audioprobe.audio.transforms import wav_bytes
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import SHIPPED_CONFIGS
from audioprobe.experiments.interpretability.config import read_interpretability
from audioprobe.experiments.interpretability.questions import PlannedQuestions, plan_questions
from audioprobe.io.config import configs_in
from audioprobe.small_ltu.training_relations import training_relations

RECORDINGS = {"name": "recordings", "dataset": {"name": "recordings"}, "familiar": False}


def planned(**changes: object) -> PlannedQuestions:
    tables = {
        "kind": "interpretability",
        "model": {"name": "ltu:mini"},
        "training": "mini",
        "evaluation_sets": [RECORDINGS],
    }
    (only,) = plan_questions(parsed(tables | changes)).sets
    return only


def test_every_question_about_a_clip_is_asked_in_text_too() -> None:
    questions = [q for q in planned().probe.questions if q.pair.relation == "hypernym"]
    in_text = Counter(q.key for q in questions if q.condition == "text")
    about_clips = Counter(q.key for q in questions if q.condition == "audio")
    assert in_text.keys() == about_clips.keys()
    assert max(in_text.values()) == 1
    assert planned().n_matched == sum(about_clips.values())


def test_roles_are_those_of_the_training() -> None:
    trained = {pair.true.key: pair.role for pair in training_relations("mini")}
    plan = planned()
    for question in plan.probe.questions:
        if question.pair.relation == "hypernym" and question.pair.holds:
            role = plan.roles[question.pair.match]
            assert role == trained.get(question.pair.key, "unknown")
    assert set(plan.roles.values()) == {"audio_and_text", "text_only", "held_out", "unknown"}
    assert set(planned(training="").roles.values()) == {"unknown"}


def test_true_and_false_relations_of_each_class_are_balanced() -> None:
    pairs = {q.pair for q in planned().probe.questions if q.pair.relation == "hypernym"}
    by_class = Counter((pair.target, pair.holds) for pair in pairs)
    assert all(n == by_class[target, not holds] for (target, holds), n in by_class.items())


def test_false_relations_of_the_training_are_used_if_both_concepts_have_clips(
    tmp_path: Path,
) -> None:
    relations = training_relations("mini")
    concepts = sorted({concept for pair in relations for concept in pair.concepts})
    for concept in concepts[::2]:
        (tmp_path / f"{concept}.wav").write_bytes(wav_bytes(Waveform(np.ones(8, "f4"), 8000))[0])
    plan = planned(evaluation_sets=[{"name": "files", "folder": str(tmp_path)}])
    questions = {(q.pair.key, q.pair.holds) for q in plan.probe.questions}
    complete = [pair for pair in relations if pair.concepts <= set(concepts[::2])]
    assert complete
    for pair in complete:
        assert {(pair.true.key, True), (pair.false.key, False)} <= questions


def test_sizes_limit_pairs_clips_and_wordings() -> None:
    limited = planned(max_pairs=2)
    assert max(limited.n_by_role().values()) == 2
    first, everything = planned(), planned(n_wordings=0)
    assert {q.wording for q in first.probe.questions} == {0}
    assert {q.wording for q in everything.probe.questions} == {0, 1, 2}
    assert limited.probe.questions != first.probe.questions
    assert planned(max_pairs=2).probe.digest() == limited.probe.digest()


def test_sets_that_cannot_be_loaded_are_left_out_only_if_optional(tmp_path: Path) -> None:
    missing = {"name": "sounds", "folder": str(tmp_path / "sounds")}
    tables = settings(tmp_path, evaluation_sets=[RECORDINGS, missing])
    with pytest.raises(InvalidInputError, match="sounds"):
        plan_questions(parsed(tables))
    plan = plan_questions(parsed(tables | {"optional_sets": ["sounds"]}))
    assert [each.clips.name for each in plan.sets] == ["recordings"]
    assert plan.notes[0].startswith("sounds is left out: ")
    alone = tables | {"optional_sets": ["sounds"], "evaluation_sets": [missing]}
    with pytest.raises(InvalidInputError, match="at least one evaluation set"):
        plan_questions(parsed(alone))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measurements": ["linear prob"]}, "Did you mean 'linear probe'"),
        ({"optional_sets": ["recording"]}, "Did you mean 'recordings'"),
        ({"evaluation_sets": []}, "at least one evaluation set"),
        ({"n_clips": -1}, "n_clips >= 0"),
        ({"options": {"n_controls": 0}}, "n_controls"),
    ],
)
def test_invalid_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        planned(**change)


def test_shipped_configurations_are_valid() -> None:
    names = [n for n in configs_in(SHIPPED_CONFIGS) if n.startswith("interpretability")]
    assert set(names) == {"interpretability", "interpretability-gpu"}
    for name in names:
        assert read_interpretability(name).evaluation_sets
