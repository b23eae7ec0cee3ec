"""Random drawing of the questions of each training step, about scenes and relations."""

from collections.abc import Iterator, Sequence

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic import Synthetic
from audioprobe.probing.pairs import ConceptPair
from audioprobe.small_ltu.questions import N_OPTIONS, choice_question, scene_questions
from audioprobe.small_ltu.recipe import RecipeStage
from audioprobe.small_ltu.relations import RelationPair, hypernym_pairs, synonym_pairs
from audioprobe.training.examples import QARecord, TrainingExample, encode_record
from audioprobe.training.questions import audio_question, text_question
from audioprobe.training.spectrogram_cache import epoch_rows
from audioprobe.training.trainable import PromptTokenizer


class QASampler:
    """Sampler of questions about the scenes of a split, and about the concepts in the scenes.

    The `audio_id` of a record is the index of its scene.

    Args:
        scenes: dataset of scenes with known sources.
        split: name of the split.
        n_scenes: number of scenes.
        held_out: share of relations in each of the roles "text_only" and "held_out"; see
            `small_ltu.relations.SplitRole`.
        seed: random seed of the roles and of the questions.

    Attributes:
        pairs: all relation pairs of the concepts in the scenes, including held-out pairs.
    """

    def __init__(
        self, scenes: Synthetic, split: str, n_scenes: int, *, held_out: float, seed: int
    ) -> None:
        shipped, ids = Concepts.shipped(), scenes.palette.concepts
        self._seed = seed
        self._truths = [scenes.scene_sources(split, number) for number in range(n_scenes)]
        self._concepts = [shipped[name] for name in ids]
        self._ancestors = {c.id: {h.id for h in c.ancestors} for c in self._concepts}
        self._single_source: dict[str, list[int]] = {}
        for number, truth in enumerate(self._truths):
            if len(truth) == 1:
                self._single_source.setdefault(truth[0].concept, []).append(number)
        self.pairs: tuple[RelationPair, ...] = (
            *hypernym_pairs(shipped, ids, held_out=held_out, seed=seed),
            *synonym_pairs(shipped, ids, held_out=held_out, seed=seed),
        )
        self._audio_pairs = [
            pair
            for pair in self.pairs
            if pair.role == "audio_and_text" and pair.concepts <= self._single_source.keys()
        ]
        self._text_pairs = [pair for pair in self.pairs if pair.role != "held_out"]
        self._by_concept: dict[str, list[ConceptPair]] = {}
        for relation in (relation for pair in self._audio_pairs for relation in pair.both):
            self._by_concept.setdefault(relation.concept, []).append(relation)
        self._basic = {pair.true.concept: pair for pair in self.pairs if pair.true.basic}

    def records(self, stage: RecipeStage, step: int) -> tuple[QARecord, ...]:
        """Return the questions of a step; every call with the same arguments returns the same.

        Args:
            stage: training stage, which sets the numbers and kinds of questions.
            step: index of the batch.
        """
        rng = np.random.default_rng([self._seed, step])
        records: list[QARecord] = []
        for row in epoch_rows(len(self._truths), stage.scenes, step, self._seed).tolist():
            records += self._scene(row, stage, rng)
        for pair in _draw(self._audio_pairs, stage.audio_pairs, rng):
            for relation in pair.both:
                records += self._single_source_questions([relation], rng)
        for pair in _draw(self._text_pairs, stage.text_pairs, rng):
            records += [text_question(relation, rng) for relation in pair.both]
            records += self._choice(pair.true.concept, "", rng)
        concepts = list(self._by_concept)
        n_clips = stage.single_source_clips if concepts else 0
        for index in rng.integers(len(concepts), size=n_clips).tolist():
            records += self._single_source_questions(self._by_concept[concepts[index]], rng)
        return tuple(records)

    def examples(
        self, stage: RecipeStage, step: int, tokenizer: PromptTokenizer
    ) -> list[TrainingExample]:
        """Return the questions of a step as token ids."""
        records = self.records(stage, step)
        return [encode_record(r, tokenizer, max_tokens=stage.max_tokens) for r in records]

    def _scene(self, row: int, stage: RecipeStage, rng: np.random.Generator) -> list[QARecord]:
        questions = scene_questions(self._truths[row], str(row), self._concepts, rng)
        wanted = [q for q in questions if not stage.tasks or q.task in stage.tasks]
        order = rng.permutation(len(wanted))[: stage.questions_per_scene]
        return [wanted[k] for k in sorted(order.tolist())]

    def _single_source_questions(
        self, relations: Sequence[ConceptPair], rng: np.random.Generator
    ) -> Iterator[QARecord]:
        """Yield questions about one clip of a concept: relations, a choice, caption and labels."""
        concept = relations[0].concept
        rows = self._single_source[concept]
        row = rows[int(rng.integers(len(rows)))]
        yield from (audio_question(relation, str(row), rng) for relation in relations)
        yield from self._choice(concept, str(row), rng)
        questions = scene_questions(self._truths[row], str(row), self._concepts, rng)
        yield from (question for question in questions if question.task in ("caption", "labels"))

    def _choice(self, concept: str, audio_id: str, rng: np.random.Generator) -> list[QARecord]:
        """Return a multiple-choice question for the basic-level class; none if it is held out."""
        basic = self._basic.get(concept)
        roles = ("audio_and_text",) if audio_id else ("audio_and_text", "text_only")
        if basic is None or basic.role not in roles:
            return []
        ancestors = self._ancestors[concept]
        others = {
            pair.true.target_phrase
            for pair in self._basic.values()
            if pair.true.target not in ancestors
        }
        if len(others) < N_OPTIONS - 1:
            return []
        return [choice_question(basic.true, sorted(others), rng, audio_id)]


def _draw(pairs: Sequence[RelationPair], n: int, rng: np.random.Generator) -> list[RelationPair]:
    return [pairs[int(k)] for k in rng.integers(len(pairs), size=n)] if pairs else []
