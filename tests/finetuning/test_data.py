"""Batches are functions of the step, and have the composition of the strategy."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioprobe import Concepts
from audioprobe.datasets.synthetic import SOURCES
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.captioned_clips import CaptionedClips
from audioprobe.finetuning.data import TrainingBatch, TrainingSampler, with_random_answer
from audioprobe.small_ltu.relations import hypernym_pairs
from audioprobe.training.answer_loss import PADDING, AnswerBatch
from audioprobe.training.examples import IGNORED
from tests.tiny_tuning import PROMPTS, strategy

ALL_SOURCES = (
    {"kind": "rehearsal", "texts": 3, "clips": 2},
    {"kind": "distillation", "texts": 1},
    {"kind": "paired", "pairs": 2},
)
FEW = settings(max_examples=6, deadline=None)


class Sequence(NamedTuple):
    row: int | None  # of the audio in its batch
    prompt: str
    answer: str


def tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, tuple):
        for part in batch:
            yield from tensors(part)
    elif batch is not None:
        for name in ("ids", "labels", "segments", "positions", "audio"):
            yield from tensors(getattr(batch, name))


def decode(batch: AnswerBatch) -> list[Sequence]:
    """Every sequence of a batch as text."""
    sequences = []
    for rows in batch:
        for n, (ids, labels, segments) in enumerate(
            zip(rows.ids, rows.labels, rows.segments, strict=True)
        ):
            for segment in sorted(set(segments.tolist()) - {PADDING}):
                inside, target = segments == segment, labels != IGNORED
                prompt, answer = (
                    PROMPTS.tokenizer.decode(ids[inside & mask]).replace("</s>", "")
                    for mask in (~target, target)
                )
                sequences.append(Sequence(None if rows.audio is None else n, prompt, answer))
    return sequences


def rows_of(features: Tensor, clips: CaptionedClips) -> list[int]:
    """The clips that features belong to."""
    known = clips.cache.features(torch.arange(len(clips)))
    return [next(n for n, k in enumerate(known) if torch.equal(k, s)) for s in features]


def clip_rows(data: TrainingSampler, batch: TrainingBatch) -> list[int]:
    assert batch.alignment is not None
    return rows_of(batch.alignment.audio, data.clips)


@FEW
@given(step=st.integers(0, 200), seed=st.integers(0, 5))
def test_batch_of_a_step_is_reproducible(data: TrainingSampler, step: int, seed: int) -> None:
    chosen = strategy("lora", *ALL_SOURCES, seed=seed)
    first, second = (list(tensors(data.sample_batch(chosen, step, aligned=True))) for _ in range(2))
    assert len(first) == len(second) > 10
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@FEW
@given(clips=st.integers(1, 7), seed=st.integers(0, 9), data_seed=st.integers(0, 9))
def test_every_epoch_has_every_clip_in_another_order(
    data: TrainingSampler, clips: int, seed: int, data_seed: int
) -> None:
    chosen, seeded = strategy("lora", clips=clips, seed=seed), replace(data, seed=data_seed)
    batches = (seeded.sample_batch(chosen, k, aligned=True) for k in range(30 // clips))
    rows = [row for batch in batches for row in clip_rows(seeded, batch)]
    n = len(data.clips)
    epochs = [rows[at : at + n] for at in range(0, len(rows) - n + 1, n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_each_seed_changes_the_order(data: TrainingSampler) -> None:
    def order(seed: int, data_seed: int) -> tuple[int, ...]:
        seeded, chosen = replace(data, seed=data_seed), strategy("lora", clips=5, seed=seed)
        batches = (seeded.sample_batch(chosen, k, aligned=True) for k in range(4))
        return tuple(row for batch in batches for row in clip_rows(seeded, batch))

    assert len({order(seed, data_seed) for seed in (0, 1, 2) for data_seed in (0, 1, 2)}) == 9


@FEW
@given(clips=st.integers(1, 5), seed=st.integers(0, 9))
def test_clips_alternate_between_caption_and_labels(
    data: TrainingSampler, clips: int, seed: int
) -> None:
    chosen = strategy("lora", clips=clips, seed=seed)
    answers: defaultdict[int, list[str]] = defaultdict(list)
    for step in range(25 // clips):
        batch = data.sample_batch(chosen, step, aligned=False)
        (rows,) = batch.answers
        assert rows.audio is not None
        clip_of_row = rows_of(rows.audio, data.clips)
        for row, _, answer in decode(batch.answers):
            assert row is not None
            answers[clip_of_row[row]].append(answer)
    for clip, given_answers in answers.items():
        labels = f"Labels: {data.clips.labels[clip][0]}"
        caption = f"Audio caption: The sound of {data.clips.phrases[clip][0]}."
        expected = [labels, caption] if clip % 2 else [caption, labels]
        if clips == 1:  # in larger batches, a clip that occurs twice has one row
            assert given_answers == [expected[k % 2] for k in range(len(given_answers))]
        assert set(given_answers) == set(expected[: len(given_answers)])
        assert abs(given_answers.count(labels) - given_answers.count(caption)) <= 1


@FEW
@given(
    clips=st.integers(0, 3),
    texts=st.integers(0, 3),
    earlier=st.integers(0, 3),
    distilled=st.integers(0, 2),
    pairs=st.integers(1, 2),
    conditions=st.sampled_from([["text"], ["audio"], ["text", "audio"]]),
)
def test_batch_has_the_composition_of_the_strategy(
    data: TrainingSampler,
    *,
    clips: int,
    texts: int,
    earlier: int,
    distilled: int,
    pairs: int,
    conditions: list[str],
) -> None:
    tables: list[dict[str, Any]] = [{"kind": "paired", "pairs": pairs, "conditions": conditions}]
    if texts + earlier:
        tables.append({"kind": "rehearsal", "texts": texts, "clips": earlier})
    if distilled:
        tables.append({"kind": "distillation", "texts": distilled})
    chosen = strategy("lora", *tables, clips=clips)
    batch = data.sample_batch(chosen, 3, aligned=True)
    sequences = decode(batch.answers)
    n_audio = sum(sequence.row is not None for sequence in sequences)
    assert n_audio == clips + earlier + 2 * pairs * ("audio" in conditions)
    assert len(sequences) - n_audio == texts + 2 * pairs * ("text" in conditions)
    passages = {PROMPTS.tokenizer.decode(text.ids[1:]) for text in data.rehearsal_texts}
    answers = Counter(sequence.answer for sequence in sequences)
    assert sum(answers[text] for text in passages) == texts
    assert answers["Yes."] == answers["No."] == pairs * len(conditions)
    assert (batch.distillation is None) == (not distilled)
    if batch.distillation is not None:
        assert len(decode(batch.distillation)) == distilled
        assert {sequence.answer for sequence in decode(batch.distillation)} <= passages
    assert (batch.alignment is None) == (not clips)
    if batch.alignment is not None:
        assert len(batch.alignment.audio) == len(batch.alignment.labels.ids) == clips
    assert data.sample_batch(chosen, 3, aligned=False).alignment is None


def test_alignment_targets_are_labels_and_caption_of_the_clip(data: TrainingSampler) -> None:
    targets = data.sample_batch(strategy("lora", clips=5), 0, aligned=True).alignment
    assert targets is not None
    for n, row in enumerate(rows_of(targets.audio, data.clips)):
        for texts, expected in (
            (targets.labels, data.clips.labels[row][0]),
            (targets.captions, f"The sound of {data.clips.phrases[row][0]}."),
        ):
            assert PROMPTS.tokenizer.decode(texts.ids[n][texts.mask[n]]) == expected


def test_rehearsal_clips_come_with_their_own_descriptions(data: TrainingSampler) -> None:
    assert data.rehearsal_clips is not None
    chosen = strategy("lora", {"kind": "rehearsal", "texts": 0, "clips": 3}, clips=1)
    (rows,) = data.sample_batch(chosen, 0, aligned=False).answers
    assert rows.audio is not None
    assert sorted(rows_of(rows.audio[1:], data.rehearsal_clips)) == [0, 1, 2]
    answers = " ".join(sequence.answer for sequence in decode((rows,))[1:])
    assert all(labels[0] in answers for labels in data.rehearsal_clips.labels)


def test_previous_task_yields_single_examples(data: TrainingSampler) -> None:
    texts = list(data.previous_task("text", 3))
    assert [decode(batch)[0].answer for batch in texts] == [
        PROMPTS.tokenizer.decode(text.ids[1:]) for text in data.rehearsal_texts[:3]
    ]
    clips = list(data.previous_task("audio", 3))
    assert all(len(decode(batch)) == 1 for batch in (*texts, *clips))
    assert data.rehearsal_clips is not None
    audio = [rows.audio for batch in clips for rows in batch if rows.audio is not None]
    assert sorted(rows_of(torch.cat(audio), data.rehearsal_clips)) == [0, 1, 2]
    chosen = strategy("lora", {"kind": "ewc", "strength": 1.0, "tasks": ["text", "audio"]})
    data.check(chosen)
    with pytest.raises(InvalidInputError, match="needs rehearsal texts"):
        replace(data, rehearsal_texts=()).check(chosen)
    with pytest.raises(InvalidInputError, match="needs rehearsal clips"):
        replace(data, rehearsal_clips=None).check(chosen)


def paired_questions(data: TrainingSampler, n_steps: int, **options: Any) -> set[tuple[str, str]]:
    """Prompts and answers of paired questions."""
    chosen = strategy("lora", {"kind": "paired", **options}, clips=0)
    batches = (data.sample_batch(chosen, step, aligned=True) for step in range(n_steps))
    return {s[1:] for batch in batches for s in decode(batch.answers)}


def test_random_answers_are_balanced_and_fixed_per_question() -> None:
    pairs = hypernym_pairs(Concepts.shipped(), SOURCES, held_out=0.0)
    relations = [relation for pair in pairs for relation in pair.both]
    for seed in range(3):
        drawn = [with_random_answer(relation, seed) for relation in relations]
        agreement = sum(a.holds == b.holds for a, b in zip(drawn, relations, strict=True))
        assert agreement / len(relations) == pytest.approx(0.5, abs=0.1)
        yes = sum(relation.holds for relation in drawn)
        assert yes / len(relations) == pytest.approx(0.5, abs=0.1)
        assert [with_random_answer(relation, seed) for relation in relations] == drawn
        restored = [replace(a, holds=b.holds) for a, b in zip(drawn, relations, strict=True)]
        assert restored == relations


def test_shuffled_questions_have_one_answer_each(data: TrainingSampler) -> None:
    true, shuffled = (
        paired_questions(data, 12, conditions=["text"], shuffle_answers=s) for s in (False, True)
    )
    for questions in (true, shuffled):
        assert len({prompt for prompt, _ in questions}) == len(questions)
    assert {prompt for prompt, _ in shuffled} == {prompt for prompt, _ in true}


def test_text_questions_need_no_clips(data: TrainingSampler) -> None:
    without_clips = replace(data, clips=replace(data.clips, rows_by_concept={}))
    chosen = strategy("lora", {"kind": "paired", "conditions": ["text"]}, clips=0)
    without_clips.check(chosen)
    batch = without_clips.sample_batch(chosen, 0, aligned=True)
    assert all(rows.audio is None for rows in batch.answers)
    questions = paired_questions(without_clips, 12, conditions=["text"])
    assert any("a bell" in prompt for prompt, _ in questions)


def test_audio_questions_are_about_allowed_concepts_with_clips(data: TrainingSampler) -> None:
    """There is no new clip of a bell, and `audio_concepts` excludes further concepts."""
    for concepts, phrases in ((None, {"a bird", "an insect"}), ({"crow", "cricket"}, {"a bird"})):
        allowed = None if concepts is None else frozenset(concepts)
        questions = paired_questions(
            replace(data, audio_concepts=allowed), 12, conditions=["audio"]
        )
        for prompt, _ in questions:
            assert any(phrase in prompt for phrase in phrases)
            assert not any(name in prompt for name in ("crow", "cricket", "siren"))
    only_bells = replace(data, audio_concepts=frozenset({"bell"}))
    with pytest.raises(InvalidInputError, match="of any kind in audio; none of 3"):
        only_bells.check(strategy("lora", {"kind": "paired"}))


def test_questions_are_about_the_named_kinds_of_concepts(data: TrainingSampler) -> None:
    """By the concept for which the answer is yes; the other one may be of any kind."""
    animals = {prompt for prompt, _ in paired_questions(data, 12, concept_kinds=["animal"])}
    every = {prompt for prompt, _ in paired_questions(data, 12)}
    assert animals < every
    assert all("bird" in prompt or "insect" in prompt for prompt in animals)
    assert any("a bell" in prompt for prompt in every - animals)
    with pytest.raises(InvalidInputError, match="concepts of weather in text; none of 3"):
        data.check(strategy("lora", {"kind": "paired", "concept_kinds": ["weather"]}))


@pytest.mark.parametrize(
    ("changes", "table", "message"),
    [
        ({"rehearsal_texts": ()}, {"kind": "rehearsal"}, "needs rehearsal texts"),
        ({"rehearsal_texts": ()}, {"kind": "distillation"}, "needs rehearsal texts"),
        ({"rehearsal_clips": None}, {"kind": "rehearsal"}, "set clips of the rehearsal to 0"),
        ({"question_pairs": ()}, {"kind": "paired"}, "in text; none of 0"),
        (
            {"question_pairs": ()},
            {"kind": "paired", "conditions": ["audio"]},
            "in audio; none of 0",
        ),
    ],
)
def test_missing_data_is_refused(
    data: TrainingSampler, changes: dict[str, Any], table: dict[str, Any], message: str
) -> None:
    chosen = strategy("lora", table)
    data.check(chosen)
    with pytest.raises(InvalidInputError, match=message):
        replace(data, **changes).check(chosen)


def test_unused_data_may_be_missing(data: TrainingSampler) -> None:
    bare = replace(data, rehearsal_clips=None, rehearsal_texts=(), question_pairs=())
    bare.check(strategy("lora"))
    only_texts = replace(bare, rehearsal_texts=data.rehearsal_texts)
    only_texts.check(strategy("lora", {"kind": "rehearsal", "clips": 0}))
    only_clips = replace(bare, rehearsal_clips=data.rehearsal_clips)
    only_clips.check(strategy("lora", {"kind": "rehearsal", "texts": 0}))
