"""Questions of the evaluation: the same for all arms, with known answers."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.architectures.tiny_architectures import ARMS, N_SCENES, materials, settings

from audioprobe.concepts import Concepts
from audioprobe.experiments.architectures.config import ArchitecturesConfig
from audioprobe.experiments.architectures.materials import SCENES, ArmMaterials
from audioprobe.experiments.architectures.questions import (
    SCENE_TASKS,
    EvaluationQuestions,
    evaluation_questions,
)
from audioprobe.progress import ignore_progress
from audioprobe.small_ltu.questions import FIRST, LAST, QASampler


def study(tiny: ArmMaterials, **evaluation: int) -> ArmMaterials:
    """Return the study with another number of questions; nothing is computed."""
    size = replace(tiny.config.evaluation, **evaluation)
    config: ArchitecturesConfig = replace(tiny.config, evaluation=size)
    return ArmMaterials(config, tiny.folder, ignore_progress)


@pytest.fixture(scope="module")
def questions(tiny: ArmMaterials) -> EvaluationQuestions:
    return evaluation_questions(study(tiny, n_clips=2, max_trained=0, n_scenes=150), 0)


def test_questions_depend_on_the_seed_and_on_nothing_of_the_arms(tiny: ArmMaterials) -> None:
    expected = [evaluation_questions(tiny, seed) for seed in (0, 1)]
    for names in (["linear"], ["blind", "cascade"], list(ARMS)[::-1]):
        tables = settings(Path(tiny.config.recipe), *names)
        other = materials(tables, tiny.folder)
        assert [evaluation_questions(other, seed) for seed in (0, 1)] == expected
    assert expected[0].roles != expected[1].roles
    assert expected[0].scenes == expected[1].scenes


def test_roles_are_those_of_the_training(tiny: ArmMaterials) -> None:
    for seed in range(3):
        sampler = QASampler(
            tiny.scenes, "train", N_SCENES, held_out=tiny.recipe.held_out, seed=seed
        )
        hypernyms = [pair for pair in sampler.pairs if pair.true.relation == "hypernym"]
        expected = {str(pair.true.match): pair.role for pair in hypernyms}
        assert evaluation_questions(tiny, seed).roles == expected


def test_relations_are_asked_in_text_and_about_each_clip(questions: EvaluationQuestions) -> None:
    relations = [q for q in questions.probe if q.pair.relation == "hypernym"]
    in_text = {q.key for q in relations if q.condition == "text"}
    about = Counter(q.key for q in relations if q.condition == "audio")
    assert in_text == set(about)
    assert set(about.values()) == {2}
    for question in questions.probe:
        assert (question.clip == "") == (question.condition == "text")
        named = question.pair.phrase in question.text
        assert named == (question.condition == "text") or question.pair.relation == "identity"
        assert question.correct == int(not question.pair.holds)


def test_relations_and_identities_are_balanced(questions: EvaluationQuestions) -> None:
    for relation in ("hypernym", "identity"):
        answers = Counter(
            q.correct for q in questions.probe if q.pair.relation == relation and q.clip
        )
        assert answers[0] == answers[1] > 0


def test_pairs_that_were_not_trained_in_audio_are_all_asked(tiny: ArmMaterials) -> None:
    limited = evaluation_questions(study(tiny, max_trained=1), 0)
    complete = evaluation_questions(study(tiny, max_trained=0), 0)

    def pairs(chosen: EvaluationQuestions, *, trained: bool) -> set[int | None]:
        return {
            q.pair.match
            for q in chosen.probe
            if q.pair.relation == "hypernym"
            and (chosen.roles[str(q.pair.match)] == "audio_and_text") == trained
        }

    assert pairs(limited, trained=False) == pairs(complete, trained=False) != set()
    assert len(pairs(limited, trained=True)) == 1 < len(pairs(complete, trained=True))


def test_clips_have_one_source_and_belong_to_a_set(
    tiny: ArmMaterials, questions: EvaluationQuestions
) -> None:
    made = study(tiny, n_clips=2, max_trained=0, n_scenes=150)
    clips = {q.clip for q in questions.probe if q.clip}
    assert set(questions.sets.values()) == {SCENES}
    assert clips <= set(questions.sets) == set(made.clips_by_id)
    names = {concept.id: concept.name for concept in Concepts.shipped()}
    for question in questions.probe:
        if question.clip:
            labels = made.clips_by_id[question.clip].labels
            assert labels == (names[question.pair.concept],)


def test_scene_questions_have_the_answers_of_their_sources(
    tiny: ArmMaterials, questions: EvaluationQuestions
) -> None:
    phrases = {concept.id: concept.phrase for concept in Concepts.shipped()}
    assert {q.task for q in questions.scenes} == set(SCENE_TASKS)
    for question in questions.scenes:
        sources = tiny.test_scenes.scene_sources("test", question.scene)
        answer = question.options[question.correct].rstrip(".").lower()
        assert len(set(question.options)) == len(question.options) > 1
        by_onset = [phrases[s.concept].lower() for s in sorted(sources, key=lambda s: s.onset)]
        if question.task == "number":
            assert answer == ("one", "two", "three")[len(sources) - 1]
        elif question.task == "loudness":
            loudest = max(sources, key=lambda source: source.level_db)
            assert answer == phrases[loudest.concept].lower()
        elif question.text == FIRST:
            assert answer == by_onset[0]
        else:
            assert question.text == LAST
            assert answer == by_onset[-1]
        if question.task != "number":
            assert [o.rstrip(".").lower() for o in question.options] == by_onset


def test_test_scenes_are_not_training_scenes(tiny: ArmMaterials) -> None:
    train = {tiny.scenes.clips("train")[n].id for n in range(3)}
    assert not train & set(tiny.clips_by_id)
    assert tiny.test_scenes.scene_sources("test", 0) == tiny.scenes.scene_sources("test", 0)
