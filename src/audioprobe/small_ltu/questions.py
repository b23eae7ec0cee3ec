"""Training questions of the small LTU about scenes and relations, and the sampler of a step.

A scene is a synthetic mixture of sound sources (concepts). A relation is a true or false statement
about a concept, such as "a crow is a bird".
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from audioprobe.concepts import Concept, Concepts
from audioprobe.datasets.synthetic import SceneSource, Synthetic
from audioprobe.probing.trial import ConceptPair
from audioprobe.small_ltu.recipe import RecipeStage
from audioprobe.small_ltu.relations import (
    RelationPair,
    are_related,
    hypernym_pairs,
    synonym_pairs,
)
from audioprobe.training.examples import (
    CAPTION_QUESTION,
    LABELS_QUESTION,
    QARecord,
    TrainingExample,
    draw,
    encode_record,
    enumerate_phrases,
    relation_question,
    yes_or_no,
)
from audioprobe.training.feature_cache import epoch_rows
from audioprobe.training.trainable import PromptTokenizer

N_OPTIONS = 4
"""Number of options of a multiple-choice question."""

_TEXT_CHOICE = "Which of these is {concept}: {options}?"
_AUDIO_CHOICE = "Which of these do you hear: {options}?"
# Questions about scenes.
PRESENCE = ("Is there the sound of {} in this recording?", "Can you hear {}?")
_OPEN = ("What do you hear?", "What makes the sound in this recording?")
FIRST = "Which sound comes first?"
LAST = "Which sound comes last?"
LOUDEST = "Which sound is the loudest?"
HOW_MANY = "How many different sounds are there?"
NUMBERS = ("One.", "Two.", "Three.")
_PLAIN_CAPTION = "{}."
_CAPTIONS = (
    "The sound of {}.",
    _PLAIN_CAPTION,
    "One can hear {}.",
    "This is the sound of {}.",
    "{} can be heard.",
    "A recording of {}.",
)
_LOUDER_DB = 4.0  # a source this much louder than all others is clearly the loudest


class QASampler:
    """Sampler of questions about the scenes of a split, and about the concepts in the scenes.

    The `audio_id` of a question is the index of its scene.

    Args:
        scenes: dataset of scenes with known sources.
        split: name of the split.
        n_scenes: number of scenes of the split to use.
        held_out: share of the relations that are asked in text only; an equal share is never
            asked. See `small_ltu.relations.SplitRole`.
        seed: random seed of these roles and of the questions.

    Attributes:
        pairs: pairs of a true and a false relation about the concepts in the scenes; they include
            the pairs that are never asked.
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
        """Draw the questions of a step; equal arguments give equal questions.

        Args:
            stage: training stage, which sets the number and kinds of the questions.
            step: index of the batch.
        """
        rng = np.random.default_rng([self._seed, step])
        records: list[QARecord] = []
        for row in epoch_rows(len(self._truths), stage.scenes, step, self._seed).tolist():
            records += self._scene(row, stage, rng)
        for pair in _draw(self._audio_pairs, stage.audio_pairs, rng):
            for relation in pair.both:
                records += self._single_source_questions([relation], stage, rng)
        for pair in _draw(self._text_pairs, stage.text_pairs, rng):
            records += [relation_question(relation, rng) for relation in pair.both]
            records += self._choice(pair.true.concept, "", rng)
        concepts = list(self._by_concept)
        n_clips = stage.single_source_clips if concepts else 0
        for index in rng.integers(len(concepts), size=n_clips).tolist():
            records += self._single_source_questions(self._by_concept[concepts[index]], stage, rng)
        return tuple(records)

    def examples(
        self, stage: RecipeStage, step: int, tokenizer: PromptTokenizer
    ) -> list[TrainingExample]:
        """Draw the questions of a step and return them as token ids."""
        records = self.records(stage, step)
        return [encode_record(r, tokenizer, max_tokens=stage.max_tokens) for r in records]

    def _scene(self, row: int, stage: RecipeStage, rng: np.random.Generator) -> list[QARecord]:
        """Draw `stage.questions_per_scene` questions about the scene with the index `row`."""
        questions = self._scene_questions(row, stage, rng)
        wanted = [q for q in questions if not stage.tasks or q.task in stage.tasks]
        order = rng.permutation(len(wanted))[: stage.questions_per_scene]
        return [wanted[k] for k in sorted(order.tolist())]

    def _scene_questions(
        self, row: int, stage: RecipeStage, rng: np.random.Generator
    ) -> tuple[QARecord, ...]:
        """Return all questions about the scene with the index `row`."""
        truth, plain = self._truths[row], stage.plain_captions
        return scene_questions(truth, str(row), self._concepts, rng, plain_captions=plain)

    def _single_source_questions(
        self, relations: Sequence[ConceptPair], stage: RecipeStage, rng: np.random.Generator
    ) -> Iterator[QARecord]:
        """Draw a clip with a single source, and yield questions about it.

        The source is the concept of the relations. The questions ask for each relation, for the
        class (see `_choice`), the caption and the labels.
        """
        concept = relations[0].concept
        rows = self._single_source[concept]
        row = rows[int(rng.integers(len(rows)))]
        yield from (relation_question(relation, rng, str(row)) for relation in relations)
        yield from self._choice(concept, str(row), rng)
        questions = self._scene_questions(row, stage, rng)
        yield from (question for question in questions if question.task in ("caption", "labels"))

    def _choice(self, concept: str, audio_id: str, rng: np.random.Generator) -> list[QARecord]:
        """Return a list with one multiple-choice question for a concept's basic-level class.

        The basic-level class is the everyday one, such as "bird" for a crow. The list is empty if
        the concept has none, if its relation to this class is not trained in this condition (audio
        or text), or if there are too few wrong options.
        """
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


def choice_question(
    pair: ConceptPair, others: Sequence[str], rng: np.random.Generator, audio_id: str = ""
) -> QARecord:
    """Return a question with four options, one of which is a class of the concept.

    Args:
        pair: true relation of a concept to a class.
        others: phrases of wrong classes, such as "a fish"; three of them are drawn.
        rng: random generator for the wrong options and the order of all options.
        audio_id: id of a clip of the concept; "" returns a text question that names the concept.
    """
    wrong = [str(phrase) for phrase in rng.choice(list(others), N_OPTIONS - 1, replace=False)]
    options = [str(phrase) for phrase in rng.permutation([pair.target_phrase, *wrong])]
    template = _AUDIO_CHOICE if audio_id else _TEXT_CHOICE
    return QARecord(
        instruction=template.format(
            concept=pair.phrase, options=enumerate_phrases(options, " or ")
        ),
        output=_capitalized(f"{pair.target_phrase}."),
        audio_id=audio_id,
        dataset="synthetic" if audio_id else "concepts",
        task=f"choice, {'audio' if audio_id else 'text'}",
    )


def scene_questions(
    sources: Sequence[SceneSource],
    audio_id: str,
    concepts: Sequence[Concept],
    rng: np.random.Generator,
    *,
    plain_captions: bool = False,
) -> tuple[QARecord, ...]:
    """Return all questions with answers about a scene with one to three sources.

    The questions ask for the caption, the labels, an open description and the number of sources,
    and whether a source is present (once with the answer "yes", once with "no"). If one source is
    clearly the loudest, one more question asks for this source. If the sources start one after
    another, two more questions ask for the first and for the last source.

    Args:
        sources: sources of the scene, sorted by onset.
        audio_id: id of the scene.
        concepts: all concepts of the scenes, from which the absent source is drawn.
        rng: random generator for wordings and for the absent source.
        plain_captions: see `RecipeStage`.
    """
    by_id = {concept.id: concept for concept in concepts}
    present = [by_id[source.concept] for source in sources]
    phrases = [concept.phrase for concept in present]
    successive = _are_successive(sources)
    link = ", then " if successive else " and "
    wording = draw(_CAPTIONS, rng)  # drawn in any case, so that later draws are the same
    template = _PLAIN_CAPTION if plain_captions else wording
    caption = _capitalized(template.format(enumerate_phrases(phrases, link)))
    labels = "; ".join(concept.name for concept in present)
    questions = [
        ("caption", CAPTION_QUESTION, f"Audio caption: {caption}"),
        ("labels", LABELS_QUESTION, f"Labels: {labels}"),
        ("open", draw(_OPEN, rng), f"{_capitalized(enumerate_phrases(phrases, ' and '))}."),
        ("number", HOW_MANY, NUMBERS[len(sources) - 1]),
        ("presence", _presence_question(draw(phrases, rng), rng), yes_or_no(holds=True)),
    ]
    absent = [c.phrase for c in concepts if not any(are_related(c, p) for p in present)]
    if absent:
        question = _presence_question(draw(absent, rng), rng)
        questions.append(("presence", question, yes_or_no(holds=False)))
    levels = sorted((source.level_db for source in sources), reverse=True)
    if len(sources) > 1 and levels[0] - levels[1] > _LOUDER_DB:
        loudest = max(range(len(sources)), key=lambda n: sources[n].level_db)
        questions.append(("loudness", LOUDEST, f"{_capitalized(phrases[loudest])}."))
    if successive:
        questions.append(("order", FIRST, f"{_capitalized(phrases[0])}."))
        questions.append(("order", LAST, f"{_capitalized(phrases[-1])}."))
    return tuple(
        QARecord(
            instruction=question, output=answer, audio_id=audio_id, dataset="synthetic", task=task
        )
        for task, question, answer in questions
    )


def _are_successive(sources: Sequence[SceneSource]) -> bool:
    """Return whether each source starts after the middle of the previous source."""
    return len(sources) > 1 and all(
        later.onset > (earlier.onset + earlier.offset) / 2 for earlier, later in pairwise(sources)
    )


def _presence_question(phrase: str, rng: np.random.Generator) -> str:
    return draw(PRESENCE, rng).format(phrase)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
