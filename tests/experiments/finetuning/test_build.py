"""Data of a study: disjoint clip sets, questions that no text answers, novel classes."""

import shutil
from pathlib import Path

import pytest
import torch
from tests.experiments.finetuning.tiny_study import CONCEPTS, noises, study

from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import ComponentSpec
from audioprobe.experiments.finetuning.build import (
    Materials,
    build_materials,
    novel_classes,
    select_clips,
)
from audioprobe.experiments.finetuning.config import ClipSubset, StudyConfig
from audioprobe.experiments.finetuning.yes_no import score_yes_no
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.relations.concept_set import from_concepts
from audioprobe.types import Prompt

DATASET = ComponentSpec("manifest")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Materials]:
    config, _ = study(tmp_path_factory.mktemp("materials"))
    return config, build_materials(config)


def load(config: StudyConfig) -> LTUCheckpoint:
    return load_ltu(config.model.name, config.model.base)


def test_halves_are_disjoint_and_divide_every_label(tmp_path: Path) -> None:
    dataset = Manifest(noises(tmp_path, 3))
    first, second = (
        select_clips("x", ClipSubset(dataset=DATASET, half="first"), dataset),
        select_clips("x", ClipSubset(dataset=DATASET, half="second"), dataset),
    )
    assert (len(first), len(second)) == (2 * len(CONCEPTS), len(CONCEPTS))
    assert not {c.id for c in first} & {c.id for c in second}
    assert {c.id for c in (*first, *second)} == {c.id for c in dataset.clips("all")}
    assert [c.labels for c in second].count(("crow",)) == 1


def test_rare_labels_and_excess_clips_are_left_out(tmp_path: Path) -> None:
    table = noises(tmp_path, 2)
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows[:1], *rows[2:]]) + "\n")  # one crow is left
    dataset = Manifest(table)
    subset = ClipSubset(dataset=DATASET, min_per_label=2, max_per_label=1)
    clips = select_clips("x", subset, dataset)
    assert {c.labels for c in clips} == {(name,) for name in CONCEPTS if name != "crow"}
    assert len(clips) == len(CONCEPTS) - 1
    with pytest.raises(InvalidInputError, match="in_domain: no clip is left of the split 'all'"):
        select_clips("in_domain", ClipSubset(dataset=DATASET, min_per_label=3), dataset)


def test_training_and_evaluation_use_different_clips_and_texts(
    built: tuple[StudyConfig, Materials],
) -> None:
    _, materials = built
    train = {c.id for c in materials.clips["train"]}
    assert all(q.clip not in train for q in materials.probe.questions)
    assert {q.pair.concept for q in materials.probe.questions} == set(CONCEPTS)
    assert len(materials.audio_concepts) == len(CONCEPTS) // 2
    assert not set(materials.rehearsal_texts) & set(materials.validation_texts)
    assert len(materials.evaluation_texts) == 3
    digests = (materials.probe.digest(), materials.novel_probe and materials.novel_probe.digest())
    assert all(digests)
    assert digests[0] != digests[1]


def test_clip_in_training_and_evaluation_is_refused(tmp_path: Path) -> None:
    config, _ = study(tmp_path)
    shutil.copy(tmp_path / "one" / "crow-0.wav", tmp_path / "two" / "crow-0.wav")
    shutil.copy(tmp_path / "one" / "crow-1.wav", tmp_path / "two" / "owl-0.wav")
    with pytest.raises(InvalidInputError, match=r"out_of_domain: the clip '(crow|owl)-0.wav' has"):
        build_materials(config)


def test_text_that_contains_an_answer_is_refused(tmp_path: Path) -> None:
    leaking = tmp_path / "mine.txt"
    leaking.write_text("It was late. Everyone knows that a crow is a bird.\n\nNothing else.\n")
    with pytest.raises(InvalidInputError, match=r"a crow.*a bird"):
        build_materials(study(tmp_path, rehearsal_texts=str(leaking))[0])


def test_several_wordings_per_question_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="plain: expected one wording per question"):
        build_materials(study(tmp_path, evaluation={"wordings": "plain"})[0])


def test_study_needs_concepts_in_training_and_evaluation(tmp_path: Path) -> None:
    table = noises(tmp_path / "other", 1)
    other = {"dataset": {"name": "manifest", "options": {"table": str(table)}}}
    rows = table.read_text().replace(",crow,", ",grouse,").splitlines()
    table.write_text("\n".join(rows[:2]) + "\n")
    with pytest.raises(InvalidInputError, match=r"at least two concepts .* got 0"):
        build_materials(study(tmp_path, in_domain=other)[0])


def test_novel_classes_rename_the_largest_kinds() -> None:
    concepts = from_concepts().subset([*CONCEPTS, "rain"])
    novel = novel_classes(concepts, ("blick", "dax", "fep"))
    phrases = {c.id: [t.phrase for t in c.hypernyms] for c in novel.concepts}
    assert phrases["rain"] == []
    assert {tuple(phrases[name]) for name in CONCEPTS[:4]} == {("a blick",)}
    assert {tuple(phrases[name]) for name in CONCEPTS[4:]} == {("a dax",)}
    with pytest.raises(InvalidInputError, match="different words"):
        novel_classes(concepts, ("blick", "blick"))
    with pytest.raises(InvalidInputError, match="got 1 and 2"):
        novel_classes(concepts.subset(CONCEPTS[:5]), ("blick", "dax"))


def test_batched_log_odds_are_those_of_single_likelihoods(
    built: tuple[StudyConfig, Materials],
) -> None:
    config, materials = built
    checkpoint = load(config)
    with torch.no_grad():
        for name, weights in checkpoint.net.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.5)
    answers = {(m.item, bool(m.text)): m for m in score_yes_no(checkpoint, materials.probe)}
    questions = [q for q in materials.probe.questions if q.pair.relation != "identity"]
    assert len(answers) == len(questions)
    model = LTU(checkpoint.net, checkpoint.tokenizer, checkpoint.info({}))
    options = ("Y", "N")  # the tokens of this tokenizer are characters
    for q in questions:
        audio = materials.probe.sounds[q.clip]() if q.clip else None
        ((yes, no),) = model.log_likelihood([Prompt(q.text, audio=audio)], options)
        item = f"{q.pair.concept} {q.pair.relation} {q.pair.target} {q.pair.match}"
        answer = answers[item, bool(q.clip)]
        assert answer.value == pytest.approx(yes.total - no.total, abs=1e-3)
        assert answer.reference == q.pair.holds
        assert answer.measure == f"{q.condition} accuracy"


@pytest.mark.parametrize("logit", [0.0, float("nan")])
def test_ties_and_undefined_log_odds_are_missing(
    built: tuple[StudyConfig, Materials], logit: float
) -> None:
    config, materials = built
    checkpoint = load(config)
    with torch.no_grad():
        checkpoint.net.llama.lm_head.weight.fill_(logit)
    answers = list(score_yes_no(checkpoint, materials.probe))
    assert answers
    assert {answer.value for answer in answers} == {None}


def test_questions_about_an_unreadable_clip_are_missing(tmp_path: Path) -> None:
    config, _ = study(tmp_path)
    materials = build_materials(config)
    lost = next(q.clip for q in materials.probe.questions if q.clip)
    (tmp_path / "one" / lost).write_bytes(b"RIFF")
    answers = list(score_yes_no(load(config), materials.probe))
    assert {m.value for m in answers if m.text == lost} == {None}
    assert any(m.value is not None for m in answers)
