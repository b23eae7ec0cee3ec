"""What a step learns from is the same whenever it is asked, and is what the strategy says."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioprobe import Concepts
from audioprobe.datasets.synthetic import SOURCES
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.captioned_clips import CaptionedClips
from audioprobe.finetuning.data import TrainingData, shuffled, texts_in_tokens
from audioprobe.finetuning.objective import TrainingBatch
from audioprobe.models.ltu.network import IGNORED
from audioprobe.small_ltu.relations import hypernyms
from audioprobe.training.sequences import PAD, Batch
from tests.golden_ltu import character_tokenizer
from tests.tiny_tuning import strategy

TOKENIZER = character_tokenizer()
EVERYTHING = (
    {"kind": "rehearsal", "texts": 3, "clips": 2},
    {"kind": "distillation", "texts": 1},
    {"kind": "paired", "pairs": 2},
)
BRIEF = settings(max_examples=15, deadline=None)


def tensors(found: Any) -> Iterator[Tensor]:
    """Every tensor of a lot."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, tuple):
        for part in found:
            yield from tensors(part)
    elif found is not None:
        for name in ("ids", "labels", "segments", "positions", "sounds"):
            yield from tensors(getattr(found, name))


def said(batch: Batch) -> list[tuple[int | None, str, str]]:
    """Row of the sound in its batch or None, prompt and answer of every sequence."""
    found = []
    for rows in batch:
        for n, (ids, labels, segments) in enumerate(
            zip(rows.ids, rows.labels, rows.segments, strict=True)
        ):
            for segment in sorted(set(segments.tolist()) - {PAD}):
                own, target = segments == segment, labels != IGNORED
                prompt, answer = (
                    TOKENIZER.decode(ids[own & mask]).replace("</s>", "")
                    for mask in (~target, target)
                )
                found.append((None if rows.sounds is None else n, prompt, answer))
    return found


def rows_of(spectrograms: Tensor, sounds: CaptionedClips) -> list[int]:
    """Which sounds these are."""
    known = sounds.pool.spectrograms(torch.arange(len(sounds)))
    return [next(n for n, k in enumerate(known) if torch.equal(k, s)) for s in spectrograms]


def taught(lessons: TrainingData, lot: TrainingBatch) -> list[int]:
    assert lot.about is not None
    return rows_of(lot.about.sounds, lessons.taught)


@BRIEF
@given(number=st.integers(0, 200), seed=st.integers(0, 5))
def test_a_lot_is_the_same_whenever_it_is_asked(
    lessons: TrainingData, number: int, seed: int
) -> None:
    chosen = strategy("lora", *EVERYTHING, seed=seed)
    one, again = (list(tensors(lessons.lot(chosen, number, tied=True))) for _ in range(2))
    assert len(one) == len(again) > 10
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))


@BRIEF
@given(clips=st.integers(1, 7), seed=st.integers(0, 9), own=st.integers(0, 9))
def test_all_clips_come_before_any_comes_again(
    lessons: TrainingData, clips: int, seed: int, own: int
) -> None:
    """From the first step on, whatever the seeds; and the next round has another order."""
    chosen, some = strategy("lora", clips=clips, seed=seed), replace(lessons, seed=own)
    n = len(lessons.taught)
    rows = [row for k in range(30 // clips) for row in taught(some, some.lot(chosen, k, tied=True))]
    rounds = [rows[at : at + n] for at in range(0, len(rows) - n + 1, n)]
    assert all(sorted(each) == list(range(n)) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_another_seed_of_either_kind_draws_otherwise(lessons: TrainingData) -> None:
    def order(plan: int, own: int) -> list[int]:
        some, chosen = replace(lessons, seed=own), strategy("lora", clips=5, seed=plan)
        return [row for k in range(4) for row in taught(some, some.lot(chosen, k, tied=True))]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(plan, own)) for plan in (0, 1, 2) for own in (0, 1, 2)}) == 9


@BRIEF
@given(clips=st.integers(1, 5), seed=st.integers(0, 9))
def test_each_sound_has_its_caption_and_the_next_time_its_labels(
    lessons: TrainingData, clips: int, seed: int
) -> None:
    chosen, told = strategy("lora", clips=clips, seed=seed), defaultdict(list)
    for number in range(25 // clips):
        lot = lessons.lot(chosen, number, tied=False)
        (rows,) = lot.answers
        assert rows.sounds is not None
        heard = rows_of(rows.sounds, lessons.taught)
        for place, _, answer in said(lot.answers):
            assert place is not None
            told[heard[place]].append(answer)
    for row, answers in told.items():
        labels = f"Labels: {lessons.taught.labels[row][0]}"
        caption = f"Audio caption: The sound of {lessons.taught.phrases[row][0]}."
        wanted = [labels, caption] if row % 2 else [caption, labels]
        if clips == 1:  # within a step, a sound that comes twice stands once in its batch
            assert answers == [wanted[k % 2] for k in range(len(answers))]
        assert set(answers) == set(wanted[: len(answers)])
        assert abs(answers.count(labels) - answers.count(caption)) <= 1


@BRIEF
@given(
    clips=st.integers(0, 3),
    texts=st.integers(0, 3),
    sounds=st.integers(0, 3),
    kept=st.integers(0, 2),
    pairs=st.integers(1, 2),
    ways=st.sampled_from([["text"], ["audio"], ["text", "audio"], ["audio", "text"]]),
)
def test_rehearsal_distillation_and_pairs_add_what_they_say(
    lessons: TrainingData,
    *,
    clips: int,
    texts: int,
    sounds: int,
    kept: int,
    pairs: int,
    ways: list[str],
) -> None:
    parts: list[dict[str, Any]] = [{"kind": "paired", "pairs": pairs, "conditions": ways}]
    if texts + sounds:
        parts.append({"kind": "rehearsal", "texts": texts, "clips": sounds})
    if kept:
        parts.append({"kind": "distillation", "texts": kept})
    lot = lessons.lot(strategy("lora", *parts, clips=clips), 3, tied=True)
    found = said(lot.answers)
    n_heard = sum(place is not None for place, _, _ in found)
    assert n_heard == clips + sounds + 2 * pairs * ("audio" in ways)
    assert len(found) - n_heard == texts + 2 * pairs * ("text" in ways)
    passages = {TOKENIZER.decode(text.ids[1:]) for text in lessons.texts}
    answers = Counter(answer for _, _, answer in found)
    assert sum(answers[text] for text in passages) == texts
    assert answers["Yes."] == answers["No."] == pairs * len(ways)
    assert (lot.kept is None) == (not kept)
    if lot.kept is not None:
        assert len(said(lot.kept)) == kept
        assert {answer for _, _, answer in said(lot.kept)} <= passages
    assert (lot.about is None) == (not clips)
    if lot.about is not None:
        assert len(lot.about.sounds) == len(lot.about.labels.ids) == clips
    assert lessons.lot(strategy("lora", *parts, clips=clips), 3, tied=False).about is None


def test_what_is_tied_is_said_of_the_sound(lessons: TrainingData) -> None:
    about = lessons.lot(strategy("lora", clips=5), 0, tied=True).about
    assert about is not None
    for n, row in enumerate(rows_of(about.sounds, lessons.taught)):
        for texts, wanted in (
            (about.labels, lessons.taught.labels[row][0]),
            (about.captions, f"The sound of {lessons.taught.phrases[row][0]}."),
        ):
            assert TOKENIZER.decode(texts.ids[n][texts.there[n]]) == wanted


def test_rehearsed_sounds_are_earlier_ones_with_what_they_are(lessons: TrainingData) -> None:
    assert lessons.earlier is not None
    chosen = strategy("lora", {"kind": "rehearsal", "texts": 0, "clips": 3}, clips=1)
    (rows,) = lessons.lot(chosen, 0, tied=False).answers
    assert rows.sounds is not None
    assert sorted(rows_of(rows.sounds[1:], lessons.earlier)) == [0, 1, 2]
    answers = " ".join(answer for _, _, answer in said((rows,))[1:])
    assert all(some[0] in answers for some in lessons.earlier.labels)


def test_examples_of_before_come_one_by_one(lessons: TrainingData) -> None:
    texts = list(lessons.of_before("text", 3))
    assert [said(batch)[0][2] for batch in texts] == [
        TOKENIZER.decode(text.ids[1:]) for text in lessons.texts[:3]
    ]
    sounds = list(lessons.of_before("audio", 3))
    assert all(len(said(batch)) == 1 for batch in (*texts, *sounds))
    assert lessons.earlier is not None
    heard = [rows.sounds for batch in sounds for rows in batch if rows.sounds is not None]
    assert sorted(rows_of(torch.cat(heard), lessons.earlier)) == [0, 1, 2]
    for nothing, task in (
        (replace(lessons, texts=()), "text"),
        (replace(lessons, earlier=None), "audio"),
    ):
        with pytest.raises(InvalidInputError, match="There are no"):
            list(nothing.of_before(task, 3))  # type: ignore[arg-type]


def asked(lessons: TrainingData, n_lots: int, **options: Any) -> set[tuple[str, str]]:
    """Questions in pairs, with their answers."""
    chosen = strategy("lora", {"kind": "paired", **options}, clips=0)
    lots = [lessons.lot(chosen, number, tied=False) for number in range(n_lots)]
    return {(prompt, answer) for lot in lots for _, prompt, answer in said(lot.answers)}


def test_shuffled_answers_are_half_right_and_the_same_every_time(lessons: TrainingData) -> None:
    relations = hypernyms(Concepts.shipped(), SOURCES)
    for seed in range(4):
        drawn = [shuffled(relation, seed) for relation in relations]
        right = sum(a.holds == b.holds for a, b in zip(drawn, relations, strict=True))
        assert right / len(relations) == pytest.approx(0.5, abs=0.1)
        yes = sum(relation.holds for relation in drawn)
        assert yes / len(relations) == pytest.approx(0.5, abs=0.1)
        assert [shuffled(relation, seed) for relation in relations] == drawn
        assert [replace(a, holds=b.holds) for a, b in zip(drawn, relations, strict=True)] == list(
            relations
        )
    true, drawn_anew = (
        asked(lessons, 12, conditions=["text"], shuffle_answers=s) for s in (False, True)
    )
    for found in (true, drawn_anew):
        assert len({prompt for prompt, _ in found}) == len(found), "one answer to each question"
    assert {prompt for prompt, _ in drawn_anew} == {prompt for prompt, _ in true}


def test_words_need_no_sounds(lessons: TrainingData) -> None:
    silent = replace(lessons, taught=replace(lessons.taught, alone={}))
    in_words = strategy("lora", {"kind": "paired", "conditions": ["text"]}, clips=0)
    silent.check(in_words)
    assert all(rows.sounds is None for rows in silent.lot(in_words, 0, tied=True).answers)
    assert any("a bell" in prompt for prompt, _ in asked(silent, 12, conditions=["text"]))


def test_in_sound_only_what_is_heard_alone_and_wanted_is_asked(lessons: TrainingData) -> None:
    """Nobody taught the bell; and of the others, some may be kept apart."""
    for wanted, phrases in ((None, {"a bird", "an insect"}), ({"crow", "cricket"}, {"a bird"})):
        some = replace(lessons, in_sound=None if wanted is None else frozenset(wanted))
        found = {prompt for prompt, _ in asked(some, 12, conditions=["audio"])}
        assert all(any(phrase in prompt for phrase in phrases) for prompt in found)
        assert not any(name in prompt for prompt in found for name in ("crow", "cricket", "siren"))
    with pytest.raises(InvalidInputError, match="pairs of concepts in audio, and none of 3"):
        replace(lessons, in_sound=frozenset({"bell"})).check(strategy("lora", {"kind": "paired"}))


def test_pairs_are_about_the_families_that_are_named(lessons: TrainingData) -> None:
    """By the concept for which the answer is yes; the other one may be of any family."""
    animals = {prompt for prompt, _ in asked(lessons, 12, concept_kinds=["animal"])}
    everything = {prompt for prompt, _ in asked(lessons, 12)}
    assert animals < everything
    assert all("bird" in prompt or "insect" in prompt for prompt in animals)
    assert any("a bell" in prompt for prompt in everything - animals)
    with pytest.raises(InvalidInputError, match="concepts about weather in text, and none of 3"):
        lessons.check(strategy("lora", {"kind": "paired", "concept_kinds": ["weather"]}))


@pytest.mark.parametrize(
    ("lacks", "part", "message"),
    [
        ({"texts": ()}, {"kind": "rehearsal"}, "keeps texts in mind, and there are none"),
        ({"texts": ()}, {"kind": "distillation"}, "keeps texts in mind, and there are none"),
        ({"earlier": None}, {"kind": "rehearsal"}, "set its clips to 0"),
        ({"pairs": ()}, {"kind": "paired"}, "in text, and none of 0"),
        ({"pairs": ()}, {"kind": "paired", "conditions": ["audio"]}, "in audio, and none of 0"),
    ],
)
def test_what_is_not_there_is_told(
    lessons: TrainingData, lacks: dict[str, Any], part: dict[str, Any], message: str
) -> None:
    chosen = strategy("lora", part)
    lessons.check(chosen)
    with pytest.raises(InvalidInputError, match=message):
        replace(lessons, **lacks).check(chosen)


def test_what_is_not_asked_need_not_be_there(lessons: TrainingData) -> None:
    bare = replace(lessons, earlier=None, texts=(), pairs=())
    bare.check(strategy("lora"))
    replace(bare, texts=lessons.texts).check(strategy("lora", {"kind": "rehearsal", "clips": 0}))
    replace(bare, earlier=lessons.earlier).check(
        strategy("lora", {"kind": "rehearsal", "texts": 0})
    )


@given(st.lists(st.text("abc d", min_size=1), min_size=1, max_size=4))
def test_texts_are_filled_up_to_one_length(texts: list[str]) -> None:
    found = texts_in_tokens(TOKENIZER, texts)
    assert found.ids.shape == found.there.shape == (len(texts), max(map(len, texts)))
    for ids, there, text in zip(found.ids, found.there, texts, strict=True):
        assert "".join(TOKENIZER.convert_ids_to_tokens(ids[there].tolist())) == text
