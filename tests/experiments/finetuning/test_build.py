"""What a study draws from: portions that share nothing, questions that no text gives away."""

import shutil
from pathlib import Path

import pytest
import torch
from tests.experiments.finetuning.tiny_study import CONCEPTS, noises, study

from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import ComponentSpec
from audioprobe.experiments.finetuning.build import materials_of, portion_of
from audioprobe.experiments.finetuning.config import ClipSubset
from audioprobe.experiments.finetuning.novel_classes import invented
from audioprobe.experiments.finetuning.yes_no import score_yes_no
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.relations.concept_set import from_concepts
from audioprobe.types import Prompt

ANY = ComponentSpec("manifest")


def test_halves_divide_each_label_and_meet_nowhere(tmp_path: Path) -> None:
    dataset = Manifest(noises(tmp_path, 3))
    first, second = (
        portion_of("x", ClipSubset(ANY, half=half), dataset) for half in ("first", "second")
    )
    assert (len(first), len(second)) == (2 * len(CONCEPTS), len(CONCEPTS))
    assert not {c.id for c in first} & {c.id for c in second}
    assert {c.id for c in (*first, *second)} == {c.id for c in dataset.clips("all")}
    assert [c.labels for c in second].count(("crow",)) == 1


def test_rare_labels_and_more_than_enough_are_left_out(tmp_path: Path) -> None:
    table = noises(tmp_path, 2)
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows[:1], *rows[2:]]) + "\n")  # one crow is left
    dataset = Manifest(table)
    found = portion_of("x", ClipSubset(ANY, least=2, each=1), dataset)
    assert {c.labels for c in found} == {(name,) for name in CONCEPTS if name != "crow"}
    assert len(found) == len(CONCEPTS) - 1
    with pytest.raises(InvalidInputError, match="inside: no clip is left of the split 'all'"):
        portion_of("inside", ClipSubset(ANY, least=3), dataset)


def test_materials_teach_and_ask_of_different_sounds(tmp_path: Path) -> None:
    made = materials_of(study(tmp_path)[0])
    taught = {c.id for c in made.clips["taught"]}
    assert all(q.clip not in taught for q in made.probe.questions)
    assert {q.pair.concept for q in made.probe.questions} == set(CONCEPTS)
    assert len(made.halves) == len(CONCEPTS) // 2
    assert {r.concept for pair in made.pairs for r in pair} <= made.halves
    assert {r.target for pair in made.coined for r in pair} == {"blick", "dax"}
    assert all(right.holds and not wrong.holds for right, wrong in (*made.pairs, *made.coined))
    assert not set(made.held) & set(made.watched)
    assert len(made.measured) == 3


def test_a_sound_that_is_learned_from_and_measured_by_is_refused(tmp_path: Path) -> None:
    wanted, _ = study(tmp_path)
    shutil.copy(tmp_path / "one" / "crow-0.wav", tmp_path / "two" / "crow-0.wav")
    shutil.copy(tmp_path / "one" / "crow-1.wav", tmp_path / "two" / "owl-0.wav")
    with pytest.raises(
        InvalidInputError, match=r"outside: the clip '(crow|owl)-0.wav' sounds the same"
    ):
        materials_of(wanted)


def test_a_text_that_gives_an_answer_away_is_refused(tmp_path: Path) -> None:
    leaking = tmp_path / "mine.txt"
    leaking.write_text("It was late. Everyone knows that a crow is a bird.\n\nNothing else.\n")
    with pytest.raises(InvalidInputError, match=r"a crow.*a bird"):
        materials_of(study(tmp_path, texts=str(leaking))[0])


def test_several_wordings_of_a_question_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="plain: a study asks each question in one wording"):
        materials_of(study(tmp_path, quiz={"wordings": "plain"})[0])


def test_a_study_needs_concepts_that_are_taught_and_asked(tmp_path: Path) -> None:
    table = noises(tmp_path / "other", 1)
    strange = {"dataset": {"name": "manifest", "options": {"table": str(table)}}}
    rows = table.read_text().replace(",crow,", ",grouse,").splitlines()
    table.write_text("\n".join(rows[:2]) + "\n")
    with pytest.raises(InvalidInputError, match="0 concepts are heard both"):
        materials_of(study(tmp_path, inside=strange)[0])


def test_invented_classes_are_kinds_with_names_that_nobody_knows() -> None:
    subjects = from_concepts().subset([*CONCEPTS, "rain"])
    made = invented(subjects, ("blick", "dax", "fep"))
    named = {s.id: [t.phrase for t in s.hypernyms] for s in made.concepts}
    assert named["rain"] == []
    assert {tuple(named[name]) for name in CONCEPTS[:4]} == {("a blick",)}
    assert {tuple(named[name]) for name in CONCEPTS[4:]} == {("a dax",)}
    with pytest.raises(InvalidInputError, match="different words"):
        invented(subjects, ("blick", "blick"))
    with pytest.raises(InvalidInputError, match="there are 1 and 2"):
        invented(subjects.subset(CONCEPTS[:5]), ("blick", "dax"))


def test_questions_that_share_a_sequence_are_answered_as_one_by_one(tmp_path: Path) -> None:
    """Against the model's own likelihoods of both answers, of every question."""
    wanted, _ = study(tmp_path)
    made = materials_of(wanted)
    files = load_ltu(wanted.model.name, wanted.model.base)
    with torch.no_grad():
        for name, weights in files.net.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.5)
    found = score_yes_no(files, made.probe)
    model = LTU(files.net, files.tokenizer, files.info({}))
    asked = [q for q in made.probe.questions if q.pair.relation != "identity"]
    assert len(found) == len(asked)
    by_key = {answer.key: answer for answer in found}
    texts = ("Y", "N")  # a tokenizer of characters: where both answers begin to differ
    for q in asked:
        sound = made.probe.sounds[q.clip]() if q.clip else None
        ((yes, no),) = model.log_likelihood([Prompt(q.text, audio=sound)], texts)
        pair = q.pair
        key = (pair.concept, pair.target, pair.relation, pair.match, q.condition, q.clip)
        assert by_key[key].yes == pytest.approx(yes.total - no.total, abs=1e-3)
        assert by_key[key].holds == pair.holds


def test_a_model_that_decides_nothing_has_no_answers(tmp_path: Path) -> None:
    """Ties, and what is no number, are neither yes nor no."""
    wanted, _ = study(tmp_path)
    made = materials_of(wanted)
    for value in (0.0, float("nan")):
        files = load_ltu(wanted.model.name, wanted.model.base)
        with torch.no_grad():
            files.net.llama.lm_head.weight.fill_(value)
        found = score_yes_no(files, made.probe)
        assert {answer.yes for answer in found} == {None}


def test_a_clip_that_cannot_be_read_has_no_answers(tmp_path: Path) -> None:
    wanted, _ = study(tmp_path)
    made = materials_of(wanted)
    lost = next(q.clip for q in made.probe.questions if q.clip)
    (tmp_path / "one" / lost).write_bytes(b"RIFF")
    found = score_yes_no(load_ltu(wanted.model.name, wanted.model.base), made.probe)
    of_it = [answer for answer in found if answer.clip == lost]
    assert of_it
    assert all(answer.yes is None and answer.right is None for answer in of_it)
    assert any(answer.right is not None for answer in found)
