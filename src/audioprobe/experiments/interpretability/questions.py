"""Plan the questions of a study: relations of known role in training, in text and about clips."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import EvaluationClips
from audioprobe.experiments.interpretability.config import InterpretabilityConfig
from audioprobe.experiments.interpretability.trials import RelationRole
from audioprobe.experiments.probing.build import load_clips, read_concepts
from audioprobe.probing.concept_probe import prepare_probe
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.question_writer import QuestionWriter
from audioprobe.probing.questions import Pairs, QuestionConfig
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.trial import ConceptPair
from audioprobe.probing.wordings import read_wordings
from audioprobe.small_ltu.relations import RelationPair
from audioprobe.small_ltu.training_relations import training_relations

Match = tuple[ConceptPair, ConceptPair]
"""A true relation and the false relation to the same class that it is matched with."""


@dataclass(frozen=True, slots=True)
class PlannedQuestions:
    """Questions about an evaluation set.

    Attributes:
        clips: the evaluation set.
        probe: the questions in text and about clips, and their sounds.
        roles: role of each true relation in training, by `ConceptPair.match`.
    """

    clips: EvaluationClips
    probe: PreparedProbe
    roles: Mapping[int, RelationRole]

    @property
    def n_matched(self) -> int:
        """Number of questions about clips that are asked in text, too."""
        return sum(
            q.condition == "audio" and q.pair.relation == "hypernym" for q in self.probe.questions
        )

    def n_by_role(self) -> dict[RelationRole, int]:
        """Return the number of pairs of a true and a false relation by role."""
        return dict(Counter(self.roles.values()))


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """All questions of a study.

    Attributes:
        sets: questions about each evaluation set.
        kinds: broad class of each concept, by concept id; its most general class if the source of
            the concepts has no such classes.
        notes: one sentence for each evaluation set that is left out.
    """

    sets: tuple[PlannedQuestions, ...]
    kinds: Mapping[str, str]
    notes: tuple[str, ...]


def plan_questions(config: InterpretabilityConfig) -> StudyPlan:
    """Create the questions about all evaluation sets; no model is loaded.

    A relation of the training is matched with the false relation of the training if there are clips
    of both concepts. For all other true relations of concepts with clips, the false relation is
    drawn as in a concept probe.

    Raises:
        InvalidInputError: if concepts, clips, wordings or training cannot be read, there are no
            questions about an evaluation set, or every evaluation set is left out.
    """
    concepts = read_concepts(config.concepts)
    trained = training_relations(config.training) if config.training else ()
    sets, notes = [], []
    for spec in config.evaluation_sets:
        try:
            clips = load_clips(spec)
        except InvalidInputError as error:
            if spec.name not in config.optional_sets:
                raise
            notes.append(f"{spec.name} is left out: {error}")
            continue
        sets.append(_planned(config, concepts, trained, clips))
    if not sets:
        raise InvalidInputError(
            f"Expected clips of at least one evaluation set, received none. {' '.join(notes)}"
        )
    kinds = {c.id: c.kind or (c.hypernyms[-1].id if c.hypernyms else "") for c in concepts.concepts}
    return StudyPlan(tuple(sets), kinds, tuple(notes))


def _planned(
    config: InterpretabilityConfig,
    concepts: ConceptSet,
    trained: Sequence[RelationPair],
    clips: EvaluationClips,
) -> PlannedQuestions:
    """Return the questions about an evaluation set."""
    question_config = QuestionConfig(
        wordings=read_wordings(config.prompting.wordings),
        conditions=("text", "audio"),
        n_clips=config.n_clips,
        seed=config.seed,
    )
    drawn = prepare_probe(
        concepts, question_config, "hypernym", clips.clips, windowing=config.windowing
    )
    matches = list(_matches(drawn))
    identity = [match for match in matches if match[0].relation == "identity"]
    classes = [match for match in matches if match[0].relation == "hypernym"]
    roles: dict[int, RelationRole] = {}
    pairs: list[ConceptPair] = []
    for number, (match, role) in enumerate(
        _limited(_with_roles(classes, trained, drawn.clips.by_concept), config.max_pairs)
    ):
        roles[number] = role
        pairs += [replace(pair, match=number) for pair in match]
    used = {pair.concept for pair in pairs}
    recognition = [
        replace(pair, match=len(roles) + number)
        for number, match in enumerate(identity)
        if used & {pair.concept for pair in match}
        for pair in match
    ]
    clip_ids = {name: [c.id for c in group] for name, group in drawn.clips.by_concept.items()}
    writer = QuestionWriter(concepts, clip_ids, {}, question_config)
    questions = writer(Pairs((*recognition, *pairs), drawn.unmatched))
    most = config.n_wordings or len(questions)
    chosen = tuple(question for question in questions if question.wording < most)
    return PlannedQuestions(clips, replace(drawn, questions=chosen), roles)


def _matches(probe: PreparedProbe) -> Iterator[Match]:
    """Yield the true and the false relation of each match of a probe."""
    by_match: dict[int, dict[bool, ConceptPair]] = {}
    for question in probe.questions:
        by_match.setdefault(question.pair.match, {})[question.pair.holds] = question.pair
    for pairs in by_match.values():
        if len(pairs) == 2:
            yield pairs[True], pairs[False]


def _with_roles(
    drawn: Sequence[Match],
    trained: Sequence[RelationPair],
    clips: Mapping[str, object],
) -> Iterator[tuple[Match, RelationRole]]:
    """Yield relations with their roles: those of the training, then drawn ones."""
    roles: dict[tuple[str, str, str], RelationRole] = {p.true.key: p.role for p in trained}
    complete = [pair for pair in trained if pair.concepts <= set(clips)]
    for pair in complete:
        yield pair.both, pair.role
    known = {pair.true.key for pair in complete}
    for match in drawn:
        if match[0].key not in known:
            yield match, roles.get(match[0].key, "unknown")


def _limited(
    matches: Iterator[tuple[Match, RelationRole]], most: int
) -> list[tuple[Match, RelationRole]]:
    """Return at most `most` matches of each role, the first of each class before the second."""
    planned = list(matches)
    ranks, n_of_class = [], Counter[tuple[str, str]]()
    for (true, _), role in planned:
        ranks.append(n_of_class[role, true.target])
        n_of_class[role, true.target] += 1
    chosen, n_of_role = [], Counter[str]()
    for number in sorted(range(len(planned)), key=lambda n: ranks[n]):
        role = planned[number][1]
        if not most or n_of_role[role] < most:
            chosen.append(number)
            n_of_role[role] += 1
    return [planned[number] for number in sorted(chosen)]
