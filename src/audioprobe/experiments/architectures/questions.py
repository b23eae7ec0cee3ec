"""Questions of the evaluation, which are the same for all arms of a seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.concepts import Concept, Concepts
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.probing.trial import ConceptPair, ProbeQuestion
from audioprobe.small_ltu.questions import (
    FIRST,
    HOW_MANY,
    LAST,
    LOUDEST,
    NUMBERS,
    PRESENCE,
    scene_questions,
)
from audioprobe.small_ltu.relations import RelationPair, SplitRole, are_related, hypernym_pairs
from audioprobe.texts import stable_hash
from audioprobe.training.examples import relation_question
from audioprobe.types import Clip

SceneTask: TypeAlias = Literal["order", "loudness", "number"]
SCENE_TASKS: tuple[SceneTask, ...] = get_args(SceneTask)
"""Questions about scenes with several sources: which is the first or last, which is the loudest,
and how many there are."""

_TASKS: Mapping[str, SceneTask] = {
    FIRST: "order",
    LAST: "order",
    LOUDEST: "loudness",
    HOW_MANY: "number",
}
_TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneQuestion:
    """A question about a scene, with the possible answers.

    Attributes:
        task: kind of the question.
        scene: number of the test scene.
        text: the question.
        options: texts of the possible answers.
        correct: index of the correct one.
    """

    task: SceneTask
    scene: int
    text: str
    options: tuple[str, ...]
    correct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationQuestions:
    """All questions of a seed.

    Attributes:
        probe: yes/no questions about relations, in text and about clips, and about the concepts of
            clips.
        scenes: questions about scenes with several sources.
        roles: role in the training of each pair of a true and a false relation, by its number.
        sets: name of the set of each clip.
    """

    probe: tuple[ProbeQuestion, ...]
    scenes: tuple[SceneQuestion, ...]
    roles: Mapping[str, SplitRole]
    sets: Mapping[str, str]


def evaluation_questions(materials: ArmMaterials, seed: int) -> EvaluationQuestions:
    """Return the questions of a seed.

    The relations that are held out depend on the seed, and so do the questions.
    """
    shipped, recipe = Concepts.shipped(), materials.recipe
    pairs = hypernym_pairs(shipped, materials.concepts, held_out=recipe.held_out, seed=seed)
    probe: dict[tuple[object, ...], ProbeQuestion] = {}
    sets: dict[str, str] = {}
    for name, by_concept in materials.test_clips.items():
        sets |= {clip.id: name for clips in by_concept.values() for clip in clips}
        chosen = _chosen(pairs, by_concept, materials.config.evaluation.max_trained, seed)
        rng = np.random.default_rng(stable_hash(f"{seed} {name}"))
        for question in _relations(chosen, by_concept, rng):
            probe.setdefault((question.key, question.clip), question)
        for question in _identities(by_concept, rng):
            probe[question.key, question.clip] = question
    return EvaluationQuestions(
        probe=tuple(probe.values()),
        scenes=tuple(_scenes(materials)),
        roles={str(pair.true.match): pair.role for pair in pairs},
        sets=sets,
    )


def _chosen(
    pairs: Sequence[RelationPair],
    by_concept: Mapping[str, Sequence[Clip]],
    max_trained: int,
    seed: int,
) -> list[RelationPair]:
    """Return the pairs whose concepts both have clips; not all of those trained in audio."""
    known = [pair for pair in pairs if pair.concepts <= by_concept.keys()]
    trained = [pair for pair in known if pair.role == "audio_and_text"]
    trained.sort(key=lambda pair: stable_hash(f"{seed} {pair.true.key} {pair.false.concept}"))
    rest = [pair for pair in known if pair.role != "audio_and_text"]
    return [*rest, *(trained[:max_trained] if max_trained else trained)]


def _relations(
    pairs: Sequence[RelationPair],
    by_concept: Mapping[str, Sequence[Clip]],
    rng: np.random.Generator,
) -> Iterator[ProbeQuestion]:
    """Yield each relation as a question in text, and about each clip of its concept."""
    for relation in (relation for pair in pairs for relation in pair.both):
        yield _question(relation, relation_question(relation, rng).instruction)
        for clip in by_concept[relation.concept]:
            text = relation_question(relation, rng, clip.id).instruction
            yield _question(relation, text, clip)


def _identities(
    by_concept: Mapping[str, Sequence[Clip]], rng: np.random.Generator
) -> Iterator[ProbeQuestion]:
    """Yield two questions about each clip: for its own concept, and for an unrelated one."""
    shipped = Concepts.shipped()
    concepts = [shipped[name] for name in by_concept]
    for concept in concepts:
        others = [other for other in concepts if not are_related(concept, other)]
        for clip in by_concept[concept.id]:
            yield _identity(concept, concept, clip)
            if others:
                yield _identity(concept, others[int(rng.integers(len(others)))], clip)


def _identity(concept: Concept, target: Concept, clip: Clip) -> ProbeQuestion:
    pair = ConceptPair(
        concept=concept.id,
        phrase=concept.phrase,
        relation="identity",
        target=target.id,
        target_phrase=target.phrase,
        holds=concept is target,
    )
    return _question(pair, PRESENCE[0].format(target.phrase), clip)


def _question(pair: ConceptPair, text: str, clip: Clip | None = None) -> ProbeQuestion:
    return ProbeQuestion(
        pair=pair,
        condition="audio" if clip else "text",
        clip=clip.id if clip else "",
        audio=clip.id if clip else "",
        text=text,
        correct=int(not pair.holds),
    )


def _scenes(materials: ArmMaterials) -> Iterator[SceneQuestion]:
    """Yield the questions about the first test scenes."""
    shipped, scenes = Concepts.shipped(), materials.test_scenes
    concepts = [shipped[name] for name in materials.test_scenes.palette.concepts]
    for number in range(materials.config.evaluation.n_scenes):
        sources = scenes.scene_sources(_TEST, number)
        phrases = dict.fromkeys(shipped[source.concept].phrase for source in sources)
        named = tuple(f"{phrase[:1].upper()}{phrase[1:]}." for phrase in phrases)
        rng = np.random.default_rng(number)
        for record in scene_questions(sources, str(number), concepts, rng):
            task = _TASKS.get(record.instruction)
            options = NUMBERS if task == "number" else named
            if task is not None and len(options) > 1 and record.output in options:
                yield SceneQuestion(
                    task=task,
                    scene=number,
                    text=record.instruction,
                    options=tuple(options),
                    correct=options.index(record.output),
                )
