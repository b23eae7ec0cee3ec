"""Draw balanced pairs of concept and target, and create questions about each pair.

A target is the class or name that a question asks about: "a bird" in "Is a grouse a bird?".
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar, get_args

import numpy as np

from audioprobe.concepts import Concept
from audioprobe.probing.clips import NOISE, SILENCE
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    Negatives,
    ProbeConcept,
    RelationKind,
    Target,
)
from audioprobe.probing.trial import (
    CLIP_CONDITIONS,
    CONDITIONS,
    FORMS,
    ConceptPair,
    Condition,
    Form,
    ProbeQuestion,
    check_known,
)
from audioprobe.probing.wordings import Wordings, join_options
from audioprobe.texts import stable_hash

RELATIONS: tuple[RelationKind, ...] = ("identity", "synonym", "hypernym")
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)
N_OPTIONS = 4
"""Number of options of a choice question."""

Candidate = TypeVar("Candidate", Concept, ProbeConcept)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionConfig:
    """Settings of the questions of a probe.

    Attributes:
        wordings: texts of the questions.
        conditions: conditions under which each question is asked; see `Condition`. () means "text",
            all conditions that need clips if there are clips, and "spoken word" if there are
            spoken words.
        forms: forms of the questions: "yes-no", "negated", "choice".
        negatives: how false pairs are drawn; each value adds a balanced set of questions. See
            `balanced_pairs`.
        n_orders: number of orders in which the options of a choice question are presented, 1 to 4;
            the correct option moves by one position from order to order.
        n_clips: maximum number of clips per concept; 0 means all. A true pair and its matched false
            pair use the same number of clips.
        seed: seed of false pairs, wrong clips, option orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form.
    """

    wordings: Wordings
    conditions: tuple[Condition, ...] = ("text", "audio")
    forms: tuple[Form, ...] = ("yes-no",)
    negatives: tuple[Negatives, ...] = ("random",)
    n_orders: int = 1
    n_clips: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_known("condition", self.conditions, CONDITIONS)
        check_known("form", self.forms, FORMS)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Balanced pairs: each target has as many true pairs as false pairs.

    Attributes:
        pairs: each true pair, followed by its matched false pair.
        unmatched: true pairs that are left out because no false pair exists, as (concept, target,
            negatives).
    """

    pairs: tuple[ConceptPair, ...]
    unmatched: tuple[tuple[str, str, str], ...]


def balanced_pairs(
    concepts: ConceptSet,
    relation: RelationKind,
    negatives: Negatives = "random",
    *,
    popularity: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
    first_match: int = 0,
) -> Pairs:
    """Draw true and false pairs of concept and target, equally many for each target.

    A model that always says "yes", or that guesses from the base rate of each target, has an
    accuracy of one half. Concepts that were drawn least often are drawn first.

    Args:
        concepts: the concepts to ask about.
        relation: what the targets are: classes, other names, or the concepts themselves.
        negatives: from which concepts a false pair is drawn. The target is certainly false of all
            of them. "random" draws any concept; "popular" draws the most frequent concepts;
            "sibling" draws a concept with a class that is as deep as the target, on another
            branch; "adversarial" draws a concept below the class directly above the target. For
            names, "sibling" and "adversarial" use the nearest class of the true concept.
        popularity: frequency of each concept, such as its number of clips; used by "popular".
        seed: seed of the draw.
        first_match: `ConceptPair.match` of the first pair; it increases by 1 from pair to pair.

    Raises:
        InvalidInputError: for an unknown relation or an unknown value of `negatives`.
    """
    check_known("relation", [relation], RELATIONS)
    check_known("kind of negatives", [negatives], NEGATIVES)
    n_drawn: Counter[str] = Counter()
    rank = (
        Counter({concept: -n for concept, n in popularity.items()})
        if negatives == "popular"
        else n_drawn
    )
    pairs: list[ConceptPair] = []
    unmatched: list[tuple[str, str, str]] = []
    for target, members in sorted(concepts.members(relation).items(), key=lambda item: item[0].id):
        rng = np.random.default_rng(stable_hash(f"{seed} {relation} {target.id} {negatives}"))
        candidates = concepts.false_concepts(target, members, relation, negatives)
        wrong = draw_lowest(candidates, len(members), rank, rng)
        n_drawn.update(concept.id for concept in wrong)
        unmatched += [(m.id, target.id, negatives) for m in members[len(wrong) :]]
        for member, other in zip(members, wrong, strict=False):
            match = first_match + len(pairs) // 2
            true = _true_pair(member, target, relation, negatives, match)
            pairs += [true, replace(true, concept=other.id, phrase=other.phrase, holds=False)]
    return Pairs(tuple(pairs), tuple(unmatched))


def _true_pair(
    concept: ProbeConcept, target: Target, relation: RelationKind, negatives: Negatives, match: int
) -> ConceptPair:
    is_hypernym = relation == "hypernym"
    return ConceptPair(
        concept=concept.id,
        phrase=concept.phrase,
        relation=relation,
        target=target.id,
        target_phrase=target.phrase,
        holds=True,
        level=concept.hypernyms.index(target) + 1 if is_hypernym else 0,
        basic=is_hypernym and concept.basic == target.id,
        negatives=negatives,
        match=match,
    )


def draw_lowest(
    candidates: Sequence[Candidate], n: int, rank: Mapping[str, int], rng: np.random.Generator
) -> list[Candidate]:
    """Draw up to n candidates without replacement, the lowest ranks first.

    Args:
        candidates: concepts to draw from.
        n: number of candidates to draw.
        rank: rank, such as the number of earlier draws, keyed by candidate id; 0 if missing.
        rng: generator that shuffles candidates of the same rank.
    """
    shuffled = [candidates[k] for k in rng.permutation(len(candidates))]
    return sorted(shuffled, key=lambda candidate: rank.get(candidate.id, 0))[:n]


@dataclass(frozen=True, slots=True)
class QuestionWriter:
    """Writer of the questions about pairs of concept and target.

    Attributes:
        concepts: source of the wrong options of choice questions.
        clips: ids of the clips of each concept, keyed by concept id.
        spoken: `ProbeQuestion.audio` of each spoken word, keyed by concept id.
        config: settings of the questions.
    """

    concepts: ConceptSet
    clips: Mapping[str, Sequence[str]]
    spoken: Mapping[str, str]
    config: QuestionConfig

    def __call__(self, pairs: Pairs) -> list[ProbeQuestion]:
        """Return all questions; those about a true pair and its matched false pair are adjacent."""
        by_match: dict[tuple[str, int], list[ConceptPair]] = {}
        for pair in pairs.pairs:
            by_match.setdefault((pair.negatives, pair.match), []).append(pair)
        return [question for matched in by_match.values() for question in self._about(matched)]

    def _about(self, matched: Sequence[ConceptPair]) -> Iterator[ProbeQuestion]:
        """Yield the questions about a true pair and its false pair, with equally many clips."""
        n_common = min(len(self.clips.get(pair.concept, ())) for pair in matched)
        n_clips = min(n_common, self.config.n_clips or n_common)
        for pair in matched:
            clips = self.clips.get(pair.concept, ())[:n_clips]
            for question, text, audio in self._drafts(pair):
                for condition in self.config.conditions:
                    yield from self._under(condition, question, text, audio, clips)

    def _drafts(self, pair: ConceptPair) -> Iterator[tuple[ProbeQuestion, str, str]]:
        """Yield (question, text template, audio template); the question has no text yet.

        There is one per form and paraphrase. A text template is "" if the form has none.
        """
        wordings = self.config.wordings
        for form in self.config.forms:
            text_templates, audio_templates = wordings.of(pair.relation).of(form)
            end = "" if form == "choice" else wordings.instruction
            for number, audio_template in enumerate(audio_templates):
                text_template = text_templates[number] + end if text_templates else ""
                correct = int(pair.holds == (form == "negated"))
                question = ProbeQuestion(
                    pair=pair, condition="text", form=form, wording=number, text="", correct=correct
                )
                drafts = [question] if form != "choice" else self._choices(question)
                for draft in drafts:
                    yield draft, text_template, audio_template + end

    def _choices(self, question: ProbeQuestion) -> Iterator[ProbeQuestion]:
        """Yield the question with a true and three false targets as options, once per order.

        Yield nothing for a false pair, or if there are fewer than three false targets.
        """
        pair, seed = question.pair, self.config.seed
        if not pair.holds:
            return
        false = {t.phrase for t in self.concepts.false_targets(pair.relation, pair.concept)}
        key = f"{seed} {pair.key}"
        drawn = sorted(false, key=lambda phrase: stable_hash(f"{key} {phrase}"))[: N_OPTIONS - 1]
        if len(drawn) < N_OPTIONS - 1:
            return
        for order in range(self.config.n_orders):
            correct = (stable_hash(key) + order) % N_OPTIONS
            options = (*drawn[:correct], pair.target_phrase, *drawn[correct:])
            yield replace(question, options=options, correct=correct, order=order)

    def _under(
        self,
        condition: Condition,
        question: ProbeQuestion,
        text: str,
        audio: str,
        clips: Sequence[str],
    ) -> Iterator[ProbeQuestion]:
        """Yield the question under a condition: once per clip if the condition uses clips."""
        pair = question.pair
        if condition == "text":
            if text:
                yield _completed(question, condition, text)
        elif condition == "spoken word":
            if text and pair.concept in self.spoken:
                phrase, sound = self.config.wordings.spoken, self.spoken[pair.concept]
                yield _completed(question, condition, text, audio=sound, phrase=phrase)
        elif condition in CLIP_CONDITIONS:
            for clip in clips:
                sound = self._wrong_clip(clip, pair) if condition == "wrong clip" else clip
                if sound:
                    sound = "" if condition == "caption" else sound
                    yield _completed(question, condition, audio, clip=clip, audio=sound)
        elif clips:
            sound = {"silence": SILENCE, "noise": NOISE, "no audio": ""}[condition]
            yield _completed(question, condition, audio, audio=sound)

    def _wrong_clip(self, clip: str, pair: ConceptPair) -> str:
        """Return the id of a random clip of another concept; "" if there is no such clip."""
        others = [
            c for name in sorted(self.clips) if name != pair.concept for c in self.clips[name]
        ]
        key = f"{self.config.seed} {clip} {pair.key}"
        return others[stable_hash(key) % len(others)] if others else ""


def _completed(
    question: ProbeQuestion,
    condition: Condition,
    template: str,
    *,
    clip: str = "",
    audio: str = "",
    phrase: str = "",
) -> ProbeQuestion:
    """Return the question with its text; `phrase`, if not "", replaces the concept's phrase."""
    text = template.format(
        concept=phrase or question.pair.phrase,
        target=question.pair.target_phrase,
        options=join_options(question.options) if question.form == "choice" else "",
    )
    return replace(question, condition=condition, clip=clip, audio=audio, text=text)
