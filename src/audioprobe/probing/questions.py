"""Create questions about pairs of concept and target, under every condition and in every form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from audioprobe.probing.pairs import ConceptPair, Pairs, false_targets
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.wordings import Form, Wordings, join_options
from audioprobe.texts import stable_hash

Condition: TypeAlias = Literal[
    "text", "audio", "caption", "wrong clip", "silence", "noise", "no audio", "spoken word"
]
"""What represents the concept in the prompt: its word, a clip of it, the model's caption of the
clip, a clip of another concept, silence, noise, nothing, or its spoken word."""
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
CLIP_CONDITIONS: frozenset[Condition] = frozenset({"audio", "caption", "wrong clip"})
"""Conditions with a question for each clip."""
AUDIO_CONDITIONS: frozenset[Condition] = frozenset(
    {"audio", "wrong clip", "silence", "noise", "spoken word"}
)
"""Conditions whose prompts have audio."""
YES_NO = ("yes", "no")
N_OPTIONS = 4
"""Number of options of a choice question."""
SILENCE, NOISE = "(silence)", "(noise)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeQuestion:
    """A question to a model.

    Attributes:
        pair: the concept and the target (the class or name that the question asks about).
        condition: what represents the concept in the prompt.
        form: yes/no, negated yes/no, or choice.
        wording: index of the paraphrase.
        order: index of the order of the options; 0 for yes/no questions.
        clip: id of the clip of the concept; "" if the question has no clip.
        audio: key of the sound in the prompt: the id of a clip, `SILENCE`, `NOISE`, or
            "(spoken) CONCEPT"; "" if the prompt has no sound.
        text: text of the question, without the caption.
        options: "yes" and "no", or the phrases of a choice question.
        correct: index of the correct option.
    """

    pair: ConceptPair
    condition: Condition
    form: Form = "yes-no"
    wording: int = 0
    order: int = 0
    clip: str = ""
    audio: str = ""
    text: str
    options: tuple[str, ...] = YES_NO
    correct: int

    @property
    def key(self) -> tuple[object, ...]:
        """Key that is equal for the same question under other conditions and about other clips."""
        pair = self.pair
        return *pair.key, pair.negatives, pair.match, self.form, self.wording, self.order


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionConfig:
    """Settings by which pairs become questions.

    Attributes:
        wordings: texts of the questions.
        conditions: conditions under which each pair is asked.
        forms: forms in which each pair is asked.
        n_orders: number of option orders of a choice question, 1 to 4; the correct option moves by
            one position in each.
        n_clips: maximum number of clips per concept; 0 means all. A true pair and its matched false
            pair use the same number of clips.
        seed: seed of option orders and wrong clips.
    """

    wordings: Wordings
    conditions: tuple[Condition, ...] = ("text", "audio")
    forms: tuple[Form, ...] = ("yes-no",)
    n_orders: int = 1
    n_clips: int = 2
    seed: int = 0


def questions_of(
    pairs: Pairs,
    concepts: ConceptSet,
    clips: Mapping[str, Sequence[str]],
    spoken: Mapping[str, str],
    config: QuestionConfig,
) -> list[ProbeQuestion]:
    """Return all questions of a probe, grouped by matched pair.

    Args:
        pairs: balanced pairs.
        concepts: source of the wrong options of a choice.
        clips: clip ids by concept.
        spoken: `ProbeQuestion.audio` of spoken words, by concept.
        config: how pairs become questions.
    """
    writer = _QuestionWriter(concepts, clips, spoken, config)
    by_match: dict[tuple[str, int], list[ConceptPair]] = {}
    for pair in pairs.pairs:
        by_match.setdefault((pair.negatives, pair.match), []).append(pair)
    return [question for matched in by_match.values() for question in writer.questions(matched)]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question before its condition is chosen, with a template for text and one for audio."""

    question: ProbeQuestion
    text: str
    audio: str


@dataclass(frozen=True, slots=True)
class _QuestionWriter:
    concepts: ConceptSet
    clips: Mapping[str, Sequence[str]]
    spoken: Mapping[str, str]
    config: QuestionConfig

    def questions(self, matched: Sequence[ConceptPair]) -> Iterator[ProbeQuestion]:
        """Yield the questions of a true pair and its false pair.

        Both use the same number of clips, so that "yes" is correct for half of the questions.
        """
        n_common = min(len(self.clips.get(pair.concept, ())) for pair in matched)
        n_clips = min(n_common, self.config.n_clips or n_common)
        for pair in matched:
            clips = self.clips.get(pair.concept, ())[:n_clips]
            for draft in self._drafts(pair):
                for condition in self.config.conditions:
                    yield from self._under(condition, draft, clips)

    def _drafts(self, pair: ConceptPair) -> Iterator[_Draft]:
        wording, instruction = (
            self.config.wordings.of(pair.relation),
            self.config.wordings.instruction,
        )
        for form in self.config.forms:
            text_templates, audio_templates = wording.of(form)
            for number, audio_template in enumerate(audio_templates):
                end = "" if form == "choice" else instruction
                text_template = text_templates[number] + end if text_templates else ""
                correct = int(pair.holds == (form == "negated"))
                question = ProbeQuestion(
                    pair=pair, condition="text", form=form, wording=number, text="", correct=correct
                )
                draft = _Draft(question, text_template, audio_template + end)
                if form != "choice":
                    yield draft
                elif pair.holds:
                    yield from self._choices(draft)

    def _choices(self, draft: _Draft) -> Iterator[_Draft]:
        """Yield choices of the true target and three false ones; none if false ones are too few."""
        pair, seed = draft.question.pair, self.config.seed
        false = {t.phrase for t in false_targets(self.concepts, pair.relation, pair.concept)}
        key = f"{seed} {pair.key}"
        drawn = sorted(false, key=lambda phrase: stable_hash(f"{key} {phrase}"))[: N_OPTIONS - 1]
        if len(drawn) < N_OPTIONS - 1:
            return
        for order in range(self.config.n_orders):
            correct = (stable_hash(key) + order) % N_OPTIONS
            options = (*drawn[:correct], pair.target_phrase, *drawn[correct:])
            question = replace(draft.question, options=options, correct=correct, order=order)
            yield replace(draft, question=question)

    def _under(
        self, condition: Condition, draft: _Draft, clips: Sequence[str]
    ) -> Iterator[ProbeQuestion]:
        pair = draft.question.pair
        if condition == "text":
            if draft.text:
                yield _question(condition, draft, draft.text)
        elif condition == "spoken word":
            if draft.text and pair.concept in self.spoken:
                concept, audio = self.config.wordings.spoken, self.spoken[pair.concept]
                yield _question(condition, draft, draft.text, audio=audio, concept=concept)
        elif condition in CLIP_CONDITIONS:
            for clip in clips:
                audio = self._wrong_clip(clip, pair) if condition == "wrong clip" else clip
                audio = "" if condition == "caption" else audio
                if audio or condition == "caption":
                    yield _question(condition, draft, draft.audio, clip=clip, audio=audio)
        elif clips:
            audio = {"silence": SILENCE, "noise": NOISE, "no audio": ""}[condition]
            yield _question(condition, draft, draft.audio, audio=audio)

    def _wrong_clip(self, clip: str, pair: ConceptPair) -> str:
        """Return a clip of another concept, the same for every wording; "" if there is none."""
        others = [
            c for name in sorted(self.clips) if name != pair.concept for c in self.clips[name]
        ]
        key = f"{self.config.seed} {clip} {pair.key}"
        return others[stable_hash(key) % len(others)] if others else ""


def _question(
    condition: Condition,
    draft: _Draft,
    template: str,
    *,
    clip: str = "",
    audio: str = "",
    concept: str = "",
) -> ProbeQuestion:
    question = draft.question
    text = template.format(
        concept=concept or question.pair.phrase,
        target=question.pair.target_phrase,
        options=join_options(question.options) if question.form == "choice" else "",
    )
    return replace(question, condition=condition, clip=clip, audio=audio, text=text)
