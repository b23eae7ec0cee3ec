"""Training questions are balanced, correct, and split into roles."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe import Concepts, Synthetic
from audioprobe.concepts.collection import AMBIGUOUS_CLASSES
from audioprobe.datasets.synthetic import SOURCES, SceneSource
from audioprobe.errors import InvalidInputError
from audioprobe.probing.trial import ConceptPair
from audioprobe.small_ltu.questions import choice_question, scene_questions
from audioprobe.small_ltu.relations import RelationPair, hypernym_pairs, synonym_pairs
from audioprobe.training.examples import CAPTION_QUESTION, QARecord, relation_question

CONCEPTS = Concepts.shipped()
SOURCE_CONCEPTS = [CONCEPTS[source] for source in SOURCES]


def relations_of(pairs: tuple[RelationPair, ...]) -> list[ConceptPair]:
    return [relation for pair in pairs for relation in pair.both]


def ancestors(concept: str) -> set[str]:
    return {hypernym.id for hypernym in CONCEPTS[concept].ancestors}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), held_out=st.floats(0, 0.4))
def test_half_of_the_answers_are_yes_within_each_class_and_role(seed: int, held_out: float) -> None:
    """So guessing from the base rates of classes is correct exactly half of the time."""
    pairs = hypernym_pairs(CONCEPTS, SOURCES, held_out=held_out, seed=seed)
    for pair in pairs:
        assert pair.true.holds
        assert not pair.false.holds
        assert pair.true.target == pair.false.target
        assert pair.true.match == pair.false.match
    assert len({pair.true.match for pair in pairs}) == len(pairs)


def test_answers_are_true() -> None:
    relations = relations_of(hypernym_pairs(CONCEPTS, SOURCES))
    assert len({(r.concept, r.target) for r in relations}) == len(relations) > 100
    for relation in relations:
        assert (relation.target in ancestors(relation.concept)) == relation.holds
        assert relation.target not in AMBIGUOUS_CLASSES
        assert relation.concept != relation.target
    answers = {(r.concept, r.target): r.holds for r in relations}
    assert answers["crow", "bird"]
    assert any(
        not r.holds and CONCEPTS[r.concept].kind == "animal" and r.target == "bird"
        for r in relations
    )
    # Not a musical instrument in WordNet, although people would call it one.
    assert ("bell", "musical-instrument") not in answers
    assert ("train", "vehicle") not in answers
    n_false = Counter(relation.concept for relation in relations if not relation.holds)
    assert max(n_false.values()) < 6, "false pairs are spread over concepts"


def test_roles_are_reproducible_and_have_their_shares() -> None:
    pairs = hypernym_pairs(CONCEPTS, SOURCES, held_out=0.2)
    counts = Counter(pair.role for pair in pairs)
    assert all(0.1 < counts[role] / len(pairs) < 0.3 for role in ("text_only", "held_out"))
    assert hypernym_pairs(CONCEPTS, SOURCES, held_out=0.2) == pairs
    assert hypernym_pairs(CONCEPTS, SOURCES, held_out=0.2, seed=1) != pairs
    without = hypernym_pairs(CONCEPTS, SOURCES, held_out=0.0)
    assert {pair.role for pair in without} == {"audio_and_text"}
    with pytest.raises(InvalidInputError, match="held_out"):
        hypernym_pairs(CONCEPTS, SOURCES, held_out=0.5)
    with pytest.raises(InvalidInputError, match="unicorn"):
        hypernym_pairs(CONCEPTS, ["unicorn"])


def relation(concept: str, target: str, *, holds: bool) -> ConceptPair:
    relations = relations_of(hypernym_pairs(CONCEPTS, SOURCES))
    return next(r for r in relations if (r.concept, r.target, r.holds) == (concept, target, holds))


def test_text_questions_name_the_concept_and_audio_questions_do_not() -> None:
    rng = np.random.default_rng(0)
    true = relation("crow", "bird", holds=True)
    records = {relation_question(true, rng) for _ in range(20)}
    assert {record.output for record in records} == {"Yes."}
    assert len(records) == 3, "several wordings"
    assert all("a crow" in r.instruction and "a bird" in r.instruction for r in records)
    false = next(
        pair.false for pair in hypernym_pairs(CONCEPTS, SOURCES) if pair.false.target == "bird"
    )
    record = relation_question(false, rng, "clip-1")
    assert (record.output, record.audio_id) == ("No.", "clip-1")
    assert false.phrase not in record.instruction
    assert "a bird" in record.instruction


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), held_out=st.floats(0, 0.4))
def test_synonyms_are_paired_with_unrelated_concepts(seed: int, held_out: float) -> None:
    pairs = synonym_pairs(CONCEPTS, SOURCES, held_out=held_out, seed=seed)
    assert len(pairs) > 15
    for pair in pairs:
        assert pair.true.target in CONCEPTS[pair.true.concept].names[1:]
        assert pair.false.target not in CONCEPTS[pair.false.concept].names
        assert pair.true.concept not in ancestors(pair.false.concept)
    with pytest.raises(InvalidInputError, match="held_out"):
        synonym_pairs(CONCEPTS, SOURCES, held_out=-0.1)


def test_synonyms_have_the_article_of_their_concept() -> None:
    phrases = {r.target: r.target_phrase for r in relations_of(synonym_pairs(CONCEPTS, SOURCES))}
    assert phrases["automobile"] == "an automobile"
    assert all(not phrase.startswith("a rainfall") for phrase in phrases.values())


def test_choice_has_four_options_in_random_order() -> None:
    others = ["a vehicle", "a tool", "weather", "a musical instrument"]
    pair = relation("crow", "bird", holds=True)
    records = [choice_question(pair, others, np.random.default_rng(n)) for n in range(30)]
    for record in records:
        assert record.output == "A bird."
        assert "a crow" in record.instruction
        assert sum(phrase in record.instruction for phrase in [*others, "a bird"]) == 4
    assert len({record.instruction.index("a bird") for record in records}) > 3
    about_clip = choice_question(pair, others, np.random.default_rng(0), "clip-1")
    assert about_clip.audio_id == "clip-1"
    assert "crow" not in about_clip.instruction


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_scene_questions_agree_with_the_sources(number: int) -> None:
    sources = Synthetic(seconds=2.0).scene_sources("train", number)
    phrases = [CONCEPTS[source.concept].phrase for source in sources]
    by_task: dict[str, list[QARecord]] = {}
    rng = np.random.default_rng(number)
    for record in scene_questions(sources, "clip", SOURCE_CONCEPTS, rng):
        assert record.audio_id == "clip"
        by_task.setdefault(record.task, []).append(record)
    (caption,) = by_task["caption"]
    assert caption.instruction == CAPTION_QUESTION
    position = 0
    for phrase in phrases:  # in the order of their onsets
        position = caption.output.lower().index(phrase, position) + len(phrase)
    assert by_task["labels"][0].output.count(";") == len(phrases) - 1
    assert by_task["number"][0].output == ["One.", "Two.", "Three."][len(phrases) - 1]
    presence = by_task["presence"]
    assert [record.output for record in presence] == ["Yes.", "No."]
    assert any(phrase in presence[0].instruction for phrase in phrases)
    if "order" in by_task:
        answers = [record.output.lower() for record in by_task["order"]]
        assert answers == [f"{phrases[0]}.", f"{phrases[-1]}."]
        assert ", then " in caption.output
    if "loudness" in by_task:
        loudest = max(sources, key=lambda source: source.level_db)
        answer = by_task["loudness"][0].output.lower()
        assert answer == f"{CONCEPTS[loudest.concept].phrase}."


def test_plain_captions_begin_with_the_source_and_change_no_other_question() -> None:
    sources = (SceneSource("crow", 0.0, 9.0, 0.0), SceneSource("rain", 1.0, 9.0, -9.0))
    wordings = set()
    for seed in range(20):
        varied, plain = (
            scene_questions(
                sources, "clip", SOURCE_CONCEPTS, np.random.default_rng(seed), plain_captions=only
            )
            for only in (False, True)
        )
        assert plain[0].output == "Audio caption: A crow and rain."
        assert varied[1:] == plain[1:]
        wordings.add(varied[0].output)
    assert len(wordings) > 3


def test_absent_source_is_not_related_to_a_present_one() -> None:
    """With a crow in the scene, "Can you hear a bird?" would have no clear answer."""
    both = [CONCEPTS["crow"], CONCEPTS["bird"]]
    crow = (SceneSource("crow", 0.0, 9.0, 0.0),)
    records = scene_questions(crow, "clip", both, np.random.default_rng(0))
    assert [record.output for record in records if record.task == "presence"] == ["Yes."]
