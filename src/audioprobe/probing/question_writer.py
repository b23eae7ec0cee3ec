"""Write the questions of a probe about balanced pairs of concept and target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audioprobe.probing.questions import N_OPTIONS, Pairs, QuestionConfig
from audioprobe.probing.relations.concept_set import ConceptSet
from audioprobe.probing.sounds import NOISE, SILENCE, window_key
from audioprobe.probing.trial import CLIP_CONDITIONS, ConceptPair, Condition, ProbeQuestion
from audioprobe.probing.wordings import join_options
from audioprobe.texts import stable_hash


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
                    if question.form == "reversed" and condition != "text":
                        continue
                    if condition == "conflicting text":
                        yield from self._conflicting(question, audio, clips, matched)
                    else:
                        yield from self._under(condition, question, text, audio, clips)

    def _drafts(self, pair: ConceptPair) -> Iterator[tuple[ProbeQuestion, str, str]]:
        """Yield (question, text template, audio template); the question has no text yet.

        There is one per form and paraphrase. A text template is "" if the form has none.
        """
        wordings = self.config.wordings
        for form in self.config.forms:
            if form == "reversed" and pair.relation != "synonym":
                continue  # only synonyms are symmetric
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
                for sound in self._sounds(condition, clip, pair):
                    yield _completed(question, condition, audio, clip=clip, audio=sound)
        elif clips:
            sound = {"silence": SILENCE, "noise": NOISE, "no audio": ""}[condition]
            yield _completed(question, condition, audio, audio=sound)

    def _conflicting(
        self,
        question: ProbeQuestion,
        template: str,
        clips: Sequence[str],
        matched: Sequence[ConceptPair],
    ) -> Iterator[ProbeQuestion]:
        """Yield the question about each clip, after a sentence that names another concept.

        Another option is correct for the named concept than for the clip. Yield nothing if there is
        no such concept.
        """
        named = self._conflict(question, matched)
        if named is None:
            return
        phrase, option = named
        for clip in clips:
            completed = _completed(question, "conflicting text", template, clip=clip, audio=clip)
            text = self.config.wordings.conflict.format(concept=phrase, question=completed.text)
            yield replace(completed, text=text, text_option=option)

    def _conflict(
        self, question: ProbeQuestion, matched: Sequence[ConceptPair]
    ) -> tuple[str, int] | None:
        """Return the phrase of a concept with another correct option, and the index of this option.

        For yes/no questions it is the concept of the matched pair: of a true and a false pair with
        the same target, the answer to one is "yes" and to the other "no".
        """
        pair = question.pair
        if question.form != "choice":
            opposite = (m for m in matched if m.target == pair.target and m.holds != pair.holds)
            other = next(opposite, None)
            return None if other is None else (other.phrase, 1 - question.correct)
        key = f"{self.config.seed} {pair.key}"
        for concept in sorted(
            self.concepts.concepts, key=lambda concept: stable_hash(f"{key} {concept.id}")
        ):
            true = {target.phrase for target in concept.targets(pair.relation)}
            correct = [n for n, option in enumerate(question.options) if option in true]
            if len(correct) != 1 or correct[0] == question.correct:
                continue
            false = self.concepts.false_targets(pair.relation, concept.id)
            others = {option for option in question.options if option not in true}
            if others <= {target.phrase for target in false}:
                return concept.phrase, correct[0]
        return None

    def _sounds(self, condition: Condition, clip: str, pair: ConceptPair) -> Sequence[str]:
        """Return the keys of the sounds that are played in questions about a clip.

        There is a sound per question; "" stands for a question without a sound.
        """
        if condition == "wrong clip":
            wrong = self._wrong_clip(clip, pair)
            return [wrong] if wrong else []
        if condition == "window":
            n = self.config.n_windows
            return [window_key(clip, number, n) for number in range(n)]
        return ["" if condition == "caption" else clip]

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
    concept, target = phrase or question.pair.phrase, question.pair.target_phrase
    if question.form == "reversed":
        concept, target = target, concept
    text = template.format(
        concept=concept,
        target=target,
        options=join_options(question.options) if question.form == "choice" else "",
    )
    return replace(question, condition=condition, clip=clip, audio=audio, text=text)
