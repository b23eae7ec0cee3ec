"""Questions to a model: each once, those about a sound together, each failure its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from audioprobe.errors import AudioReadError
from audioprobe.inference.stream import Answer, Infer, PromptFailure, map_prompts
from audioprobe.probing.answers import parse_choice, parse_yes_no
from audioprobe.probing.questions import WITH_SOUND, YES_NO, ProbeQuestion
from audioprobe.probing.trial import Trial
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.prompts.levels import shipped
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.types import Decoding, Prompt, Response, Waveform


@dataclass(frozen=True, slots=True)
class PromptingOptions:
    """How a model is asked; the defaults suit the small LTU.

    Attributes:
        wordings: name of a set that ships ("plain", "instructed"), or a file of one's own.
        text: ask for free answers.
        likelihoods: ask for the model's own probabilities, where it has any.
        max_new_tokens: of a free answer.
        yes: what "yes" reads like as an answer.
        no: what "no" reads like.
        option: how an option reads as an answer, with {}.
    """

    wordings: str = "plain"
    text: bool = True
    likelihoods: bool = True
    max_new_tokens: int = 12
    yes: str = "Yes."
    no: str = "No."
    option: str = "{}."


@dataclass(slots=True)
class ProbeRunner:
    """Asks every question of a probe.

    Attributes:
        model: who is asked.
        sounds: by the key that questions have; reading one may fail.
        manners: how.
        around_caption: how a caption stands before a question, with {caption} and {question}.
        progress: called after each response.
        captions: of clips, filled as they are asked for.
        n_calls: prompts that the model was given, likelihoods and free answers apart.
        digests: of the sounds that were played, by their key; "failed" where one was not read.
        unheard: seconds of sounds that the model said it left out, by their key.
    """

    model: LanguageModel
    sounds: Mapping[str, Callable[[], Waveform]]
    manners: PromptingOptions
    around_caption: str
    progress: ProgressCallback = ignore_progress
    captions: dict[str, str | PromptFailure] = field(default_factory=dict)
    n_calls: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    _heard: dict[str, Waveform | PromptFailure] = field(default_factory=dict)

    def __call__(self, questions: Sequence[ProbeQuestion]) -> tuple[Trial, ...]:
        """A trial for each question, in order.

        Raises:
            ContractError: if the model answers more or fewer prompts than it was given.
            AudioProbeError: for what no single question is the cause of, such as missing weights.
        """
        self._caption(questions)
        asked = [question for question in questions if not self._untold(question)]
        said = self._said(_by_sound(map(self._key, asked))) if self.manners.text else {}
        rated = self._rated(asked) if self.manners.likelihoods else {}
        return tuple(self._trial(question, said, rated) for question in questions)

    def _caption(self, questions: Sequence[ProbeQuestion]) -> None:
        clips = sorted({q.clip for q in questions if q.condition == "caption"} - {*self.captions})
        found = self._asked(
            "captions",
            [(shipped()["caption"].text, clip, "") for clip in clips],
            self.model.generate,
        )
        for clip, response in zip(clips, found, strict=True):
            if isinstance(response, PromptFailure):
                self.captions[clip] = response
            elif response.abstained or not response.text.strip():
                self.captions[clip] = PromptFailure("the model gave no caption")
            else:
                self.captions[clip] = response.text.strip()

    def _untold(self, question: ProbeQuestion) -> PromptFailure | None:
        """Why there is no caption to ask about."""
        caption = self.captions[question.clip] if question.condition == "caption" else None
        return caption if isinstance(caption, PromptFailure) else None

    def _key(self, question: ProbeQuestion) -> "_Key":
        """Equal for equal prompts: clips that are captioned alike are asked about once."""
        caption = self.captions[question.clip] if question.condition == "caption" else ""
        return question.text, question.sound, "" if isinstance(caption, PromptFailure) else caption

    def _said(self, keys: Sequence["_Key"]) -> dict["_Key", Response | PromptFailure]:
        decoding = Decoding(max_new_tokens=self.manners.max_new_tokens)

        def ask(prompts: Iterable[Prompt]) -> Iterator[Response]:
            return self.model.generate(prompts, decoding)

        found = dict(zip(keys, self._asked("answers", keys, ask), strict=True))
        for (_, sound, _), response in found.items():
            left_out = {} if isinstance(response, PromptFailure) else response.details
            seconds = left_out.get("truncated audio (s)")
            if isinstance(seconds, int | float):
                self.unheard[sound] = float(seconds)
        return found

    def _rated(
        self, questions: Sequence[ProbeQuestion]
    ) -> dict[tuple["_Key", str], float | PromptFailure]:
        """Log-likelihoods by prompt and continuation, with those of the same prompt unheard."""
        model = self.model
        if not isinstance(model, LikelihoodModel):
            return {}
        wanted: dict[tuple[str, ...], dict[_Key, None]] = {}
        for question in questions:
            texts = tuple(
                sorted(self._continuation(option, question) for option in question.options)
            )
            keys = wanted.setdefault(texts, {})
            keys[self._key(question)] = None
            if _has_prior(question):
                keys[question.text, "", ""] = None
        found: dict[tuple[_Key, str], float | PromptFailure] = {}
        for n, (texts, keys) in enumerate(wanted.items()):
            ordered = _by_sound(keys)
            ask = partial(model.log_likelihood, continuations=texts)
            answers = self._asked(f"likelihoods {n + 1}/{len(wanted)}", ordered, ask)
            for key, answer in zip(ordered, answers, strict=True):
                for k, text in enumerate(texts):
                    found[key, text] = (
                        answer if isinstance(answer, PromptFailure) else answer[k].total
                    )
        return found

    def _continuation(self, option: str, question: ProbeQuestion) -> str:
        if question.options == YES_NO:
            return self.manners.yes if option == YES_NO[0] else self.manners.no
        written = self.manners.option.format(option)
        return written[:1].upper() + written[1:]

    def _trial(
        self,
        question: ProbeQuestion,
        said: Mapping["_Key", Response | PromptFailure],
        rated: Mapping[tuple["_Key", str], float | PromptFailure],
    ) -> Trial:
        if untold := self._untold(question):
            return Trial(question, failure=untold.message)
        key = self._key(question)
        response = said.get(key)
        texts = [self._continuation(option, question) for option in question.options]
        own = [rated[key, text] for text in texts] if (key, texts[0]) in rated else []
        failed = [one.message for one in (response, *own) if isinstance(one, PromptFailure)]
        if failed:
            return Trial(question, failure=failed[0])
        before = [rated.get(((question.text, "", ""), text)) for text in texts]
        prior = [x for x in before if isinstance(x, float)] if _has_prior(question) else []
        text = response.text if isinstance(response, Response) else None
        return Trial(
            question,
            text,
            None if text is None else read(text, question),
            tuple(x for x in own if isinstance(x, float)),
            tuple(prior) if len(prior) == len(texts) else (),
        )

    def _asked(
        self, what: str, keys: Sequence["_Key"], ask: Infer[Prompt, Answer]
    ) -> list[Answer | PromptFailure]:
        """One answer or failure per key, in order."""
        self.n_calls[what] = self.n_calls.get(what, 0) + len(keys)
        makers = [partial(self._prompt, key) for key in keys]
        return map_prompts(ask, makers, self.progress, stage=what)

    def _prompt(self, key: "_Key") -> Prompt | PromptFailure:
        text, sound, caption = key
        if caption:
            return Prompt(self.around_caption.format(caption=caption, question=text))
        if not sound:
            return Prompt(text)
        heard = self._sound(sound)
        return heard if isinstance(heard, PromptFailure) else Prompt(text, audio=heard)

    def _sound(self, key: str) -> Waveform | PromptFailure:
        """The last one is kept: the questions about a sound follow each other."""
        if key not in self._heard:
            self._heard.clear()
            try:
                self._heard[key] = self.sounds[key]()
            except AudioReadError as error:
                self._heard[key] = PromptFailure(str(error))
            if key not in self.digests:
                sound = self._heard[key]
                self.digests[key] = "failed" if isinstance(sound, PromptFailure) else sound.digest()
        return self._heard[key]


_Key = tuple[str, str, str]
"""A question, the key of the sound that is played, and the caption that is told."""


def read(text: str, question: ProbeQuestion) -> int | None:
    """Position of the option that a free answer names; None where it names none, or several."""
    if question.options == YES_NO:
        answer = parse_yes_no(text)
        return None if answer == "invalid" else YES_NO.index(answer)
    return parse_choice(text, question.options)


def _by_sound(keys: Iterable[_Key]) -> list[_Key]:
    """Each once, those of a sound together."""
    return sorted(dict.fromkeys(keys), key=lambda key: (key[1], key[2]))


def _has_prior(question: ProbeQuestion) -> bool:
    return question.condition in WITH_SOUND
