"""What a language model is asked in a step: drawn from scenes, relations and the step's number."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic import Synthetic
from audioprobe.small_ltu import questions
from audioprobe.small_ltu.encoder_training import rows_at
from audioprobe.small_ltu.recipe import RecipeStage
from audioprobe.small_ltu.relations import Relation, hypernyms, synonyms
from audioprobe.training.records import QARecord
from audioprobe.training.sequences import TrainingExample, encode

Pair = tuple[Relation, Relation]
"""The same question with both answers: of a concept for which it holds, and of another."""


class QASampler:
    """Questions about the scenes of a split, and about the concepts in them.

    The `audio_id` of a record is the number of its scene.

    Args:
        scenes: with their truth.
        split: of the scenes.
        n_scenes: how many of them.
        held_out: share of relations in each of "text" and "unseen".
        seed: of the held-out relations, and of everything that is drawn.

    Attributes:
        pairs: all relations of the concepts that are heard, the held-out ones too.
    """

    def __init__(
        self, scenes: Synthetic, split: str, n_scenes: int, *, held_out: float, seed: int
    ) -> None:
        everything = Concepts.shipped()
        self._seed = seed
        self._truths = [scenes.scene_sources(split, number) for number in range(n_scenes)]
        self._heard = [everything[name] for name in scenes.palette.concepts]
        self._alone: dict[str, list[int]] = {}
        for number, truth in enumerate(self._truths):
            if len(truth) == 1:
                self._alone.setdefault(truth[0].concept, []).append(number)
        ids = scenes.palette.concepts
        self.pairs: tuple[Pair, ...] = (
            *_paired(hypernyms(everything, ids, held_out=held_out, seed=seed)),
            *_paired(synonyms(everything, ids, held_out=held_out, seed=seed)),
        )
        self._taught: dict[str, list[Relation]] = {}
        for relation in (each for pair in self.pairs if self._in_sound(pair) for each in pair):
            self._taught.setdefault(relation.concept.id, []).append(relation)
        self._basic = {
            relation.concept.id: relation
            for pair in self.pairs
            for relation in pair
            if relation.concept.basic is not None
            and relation.holds
            and relation.target == relation.concept.basic.id
        }

    def records(self, stage: RecipeStage, number: int) -> tuple[QARecord, ...]:
        """The questions of a step.

        Args:
            stage: how many of which.
            number: of the step; the same number asks the same.
        """
        rng = np.random.default_rng([self._seed, number])
        found: list[QARecord] = []
        for row in rows_at(len(self._truths), stage.scenes, number, self._seed).tolist():
            found += self._about(row, stage, rng)
        taught = [pair for pair in self.pairs if self._in_sound(pair)]
        for pair in _drawn(taught, stage.pairs, rng):
            for relation in pair:
                found += self._heard_relations([relation], rng)
        known = [pair for pair in self.pairs if pair[0].holding != "unseen"]
        for pair in _drawn(known, stage.words, rng):
            found += [questions.in_words(relation, rng) for relation in pair]
            found += self._choice(pair[0], "", rng)
        concepts = list(self._taught)
        for index in rng.integers(len(concepts), size=stage.alone if concepts else 0).tolist():
            found += self._heard_relations(self._taught[concepts[index]], rng)
        return tuple(found)

    def examples(self, stage: RecipeStage, number: int, tokenizer: Any) -> list[TrainingExample]:  # noqa: ANN401
        """The same in tokens of a base model."""
        return [encode(r, tokenizer, cutoff=stage.cutoff) for r in self.records(stage, number)]

    def _about(self, row: int, stage: RecipeStage, rng: np.random.Generator) -> list[QARecord]:
        asked = questions.about_scene(self._truths[row], str(row), self._heard, rng)
        wanted = [r for r in asked if not stage.tasks or r.task in stage.tasks]
        order = rng.permutation(len(wanted))[: stage.per_scene]
        return [wanted[k] for k in sorted(order.tolist())]

    def _heard_relations(
        self, relations: Sequence[Relation], rng: np.random.Generator
    ) -> list[QARecord]:
        """All of one concept, asked of one clip of it; together with a choice and a caption."""
        concept = relations[0].concept.id
        rows = self._alone[concept]
        row = rows[int(rng.integers(len(rows)))]
        asked = [questions.in_sound(relation, str(row), rng) for relation in relations]
        asked += self._choice(self._basic.get(concept), str(row), rng)
        about = questions.about_scene(self._truths[row], str(row), self._heard, rng)
        return asked + [record for record in about if record.task in ("caption", "labels")]

    def _choice(
        self, relation: Relation | None, audio_id: str, rng: np.random.Generator
    ) -> list[QARecord]:
        """One, where the concept has a class to choose that may be taught this way."""
        basic = None if relation is None else self._basic.get(relation.concept.id)
        allowed = ("taught",) if audio_id else ("taught", "text")
        if basic is None or basic.holding not in allowed:
            return []
        above = {rung.id for rung in basic.concept.ancestors}
        others = {r.phrase for r in self._basic.values() if r.target not in above}
        if len(others) < questions.N_OPTIONS - 1:
            return []
        return [questions.choice(basic, sorted(others), rng, audio_id)]

    def _in_sound(self, pair: Pair) -> bool:
        """Both concepts can be heard alone, and the relation is taught."""
        heard = all(relation.concept.id in self._alone for relation in pair)
        return heard and pair[0].holding == "taught"


def _paired(relations: Sequence[Relation]) -> Iterator[Pair]:
    yield from zip(relations[::2], relations[1::2], strict=True)


def _drawn(pairs: Sequence[Pair], n: int, rng: np.random.Generator) -> list[Pair]:
    return [pairs[int(k)] for k in rng.integers(len(pairs), size=n)] if pairs else []
