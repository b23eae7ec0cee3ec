"""The same question under every condition, in every form, with its right answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from audioprobe.probing.pairs import ConceptPair, Pairs, wrong_targets
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.wordings import Form, Wordings, listed
from audioprobe.seeding import stable_hash

Condition: TypeAlias = Literal[
    "text", "audio", "caption", "wrong clip", "silence", "noise", "no audio", "spoken word"
]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
OF_A_CLIP: frozenset[Condition] = frozenset({"audio", "caption", "wrong clip"})
WITH_SOUND: frozenset[Condition] = frozenset(
    {"audio", "wrong clip", "silence", "noise", "spoken word"}
)
YES_NO = ("yes", "no")
N_OPTIONS = 4
"""Of a choice."""

SILENCE, NOISE = "(silence)", "(noise)"


@dataclass(frozen=True, slots=True)
class ProbeQuestion:
    """One question to a model.

    Attributes:
        pair: what is asked.
        condition: what stands for the concept.
        form: how it is asked.
        wording: number of the paraphrase.
        order: number of the order of the options; 0 for yes and no.
        clip: id of the clip of the concept that is asked about; "" where there is none.
        sound: what is played: the id of a clip, `SILENCE`, `NOISE`, "(spoken) CONCEPT", or "".
        text: the question, as it is asked; for a caption, what is asked about it.
        options: "yes" and "no", or phrases.
        right: position of the right option.
    """

    pair: ConceptPair
    condition: Condition
    form: Form
    wording: int
    order: int
    clip: str
    sound: str
    text: str
    options: tuple[str, ...]
    right: int

    @property
    def key(self) -> tuple[object, ...]:
        """The same under every condition and for every clip: what is paired."""
        return (
            *self.pair.key,
            self.pair.negatives,
            self.pair.match,
            self.form,
            self.wording,
            self.order,
        )


@dataclass(frozen=True, slots=True)
class QuestionConfig:
    """How pairs become questions.

    Attributes:
        wordings: what is said.
        conditions: under which each pair is asked.
        forms: in which each pair is asked.
        n_orders: orders of the options of a choice, up to 4; the right one moves by one place.
        n_clips: of a concept at most; 0 takes all. A pair and its match take equally many.
        seed: of orders and wrong clips.
    """

    wordings: Wordings
    conditions: tuple[Condition, ...] = ("text", "audio")
    forms: tuple[Form, ...] = ("yes-no",)
    n_orders: int = 1
    n_clips: int = 2
    seed: int = 0


def questions_of(
    pairs: Pairs,
    subjects: ConceptSet,
    clips: Mapping[str, Sequence[str]],
    spoken: Mapping[str, str],
    plan: QuestionConfig,
) -> list[ProbeQuestion]:
    """Every question of a probe, those of a pair together.

    Args:
        pairs: balanced.
        subjects: where wrong options of a choice come from.
        clips: ids of clips by concept.
        spoken: keys of spoken words by concept.
        plan: how pairs become questions.
    """
    writer = _Writer(subjects, clips, spoken, plan)
    by_match: dict[tuple[str, int], list[ConceptPair]] = {}
    for pair in pairs.pairs:
        by_match.setdefault((pair.negatives, pair.match), []).append(pair)
    return [question for matched in by_match.values() for question in writer.of(matched)]


@dataclass(frozen=True, slots=True)
class _QuestionText:
    """A question before it is known what stands for the concept."""

    pair: ConceptPair
    form: Form
    wording: int
    text: str
    sound: str
    options: tuple[str, ...]
    right: int
    order: int = 0


class _Writer:
    def __init__(
        self,
        subjects: ConceptSet,
        clips: Mapping[str, Sequence[str]],
        spoken: Mapping[str, str],
        plan: QuestionConfig,
    ) -> None:
        self._subjects, self._clips, self._spoken, self._plan = subjects, clips, spoken, plan

    def of(self, matched: Sequence[ConceptPair]) -> Iterator[ProbeQuestion]:
        """Questions of a right pair and its wrong one.

        Both take equally many clips, or a guesser who knows how often "yes" is right would gain.
        """
        there = min(len(self._clips.get(pair.concept, ())) for pair in matched)
        n_clips = min(there, self._plan.n_clips or there)
        for pair in matched:
            own = list(self._clips.get(pair.concept, ()))[:n_clips]
            for asked in self._forms(pair):
                for condition in self._plan.conditions:
                    yield from self._under(condition, asked, own)

    def _forms(self, pair: ConceptPair) -> Iterator[_QuestionText]:
        wording, end = self._plan.wordings.of(pair.relation), self._plan.wordings.instruction
        for form in self._plan.forms:
            texts, sounds = wording.of(form)
            for number, sound in enumerate(sounds):
                text = texts[number] if texts else ""
                if form == "choice":
                    asked = _QuestionText(pair, form, number, text, sound, (), 0)
                    yield from self._choices(asked) if pair.holds else ()
                else:
                    right = int(pair.holds == (form == "negated"))
                    text = text and text + end
                    yield _QuestionText(pair, form, number, text, sound + end, YES_NO, right)

    def _choices(self, asked: _QuestionText) -> Iterator[_QuestionText]:
        """What holds, among three that do not; none where there are too few wrong ones."""
        pair, seed = asked.pair, self._plan.seed
        wrong = {t.phrase for t in wrong_targets(self._subjects, pair.relation, pair.concept)}
        key = f"{seed} {pair.key}"
        drawn = sorted(wrong, key=lambda phrase: stable_hash(f"{key} {phrase}"))[: N_OPTIONS - 1]
        if len(drawn) < N_OPTIONS - 1:
            return
        for order in range(self._plan.n_orders):
            place = (stable_hash(key) + order) % N_OPTIONS
            options = (*drawn[:place], pair.target_phrase, *drawn[place:])
            yield replace(asked, options=options, right=place, order=order)

    def _under(
        self, condition: Condition, asked: _QuestionText, own: Sequence[str]
    ) -> Iterator[ProbeQuestion]:
        concept = asked.pair.concept
        if condition == "text":
            if asked.text:
                yield _question(condition, asked, asked.text)
        elif condition == "spoken word":
            if asked.text and concept in self._spoken:
                said, sound = self._plan.wordings.spoken, self._spoken[concept]
                yield _question(condition, asked, asked.text, sound=sound, concept=said)
        elif condition in OF_A_CLIP:
            for clip in own:
                sound = self._played(condition, clip, asked.pair)
                if sound or condition == "caption":
                    yield _question(condition, asked, asked.sound, clip=clip, sound=sound)
        elif own:
            played = {"silence": SILENCE, "noise": NOISE, "no audio": ""}[condition]
            yield _question(condition, asked, asked.sound, sound=played)

    def _played(self, condition: Condition, clip: str, pair: ConceptPair) -> str:
        """The clip; or one of another concept, the same for every wording, "" if there is none."""
        if condition != "wrong clip":
            return "" if condition == "caption" else clip
        concepts = sorted(name for name in self._clips if name != pair.concept)
        others = [name for concept in concepts for name in self._clips[concept]]
        key = f"{self._plan.seed} {clip} {pair.key}"
        return others[stable_hash(key) % len(others)] if others else ""


def _question(
    condition: Condition,
    asked: _QuestionText,
    template: str,
    *,
    clip: str = "",
    sound: str = "",
    concept: str = "",
) -> ProbeQuestion:
    text = template.format(
        concept=concept or asked.pair.phrase,
        target=asked.pair.target_phrase,
        options=listed(asked.options) if asked.form == "choice" else "",
    )
    return ProbeQuestion(
        asked.pair,
        condition,
        asked.form,
        asked.wording,
        asked.order,
        clip,
        sound,
        text,
        asked.options,
        asked.right,
    )
