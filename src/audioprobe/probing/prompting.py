"""Send the prompts of a probe to a model: equal prompts once, failures recorded per question."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from audioprobe.errors import AudioReadError
from audioprobe.inference import Answer, Infer, PromptFailure, map_prompts
from audioprobe.probing.answers import parse_choice, parse_yes_no
from audioprobe.probing.questions import AUDIO_CONDITIONS, YES_NO, ProbeQuestion
from audioprobe.probing.trial import Trial
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.prompts.levels import shipped_templates
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.types import Decoding, Prompt, Response, Waveform


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptingOptions:
    """Settings of the prompts; the defaults are for the small LTU.

    Attributes:
        wordings: name of a shipped set of wordings ("plain", "instructed"), or path of a file.
        free_text: whether to generate free-text responses.
        likelihoods: whether to compute the likelihood of each option, if the model supports it.
        max_new_tokens: maximum number of tokens of a free-text response.
        yes: text of the answer "yes" whose likelihood is computed.
        no: text of the answer "no" whose likelihood is computed.
        option: text of an answer to a choice question; "{}" stands for the option.
    """

    wordings: str = "plain"
    free_text: bool = True
    likelihoods: bool = True
    max_new_tokens: int = 12
    yes: str = "Yes."
    no: str = "No."
    option: str = "{}."


@dataclass(frozen=True, slots=True)
class _Key:
    """Key that is equal for equal prompts; clips with the same caption share a prompt."""

    text: str
    audio: str = ""
    caption: str = ""


@dataclass(slots=True, kw_only=True)
class ProbeRunner:
    """Runner that asks a model every question of a probe.

    Attributes:
        model: the model.
        sounds: functions that load a waveform, by `ProbeQuestion.audio`; they may raise.
        options: settings of the prompts.
        caption_template: prompt for questions about a caption, with {caption} and {question}.
        progress: called after each response.
        captions: captions by clip id, generated when they are needed.
        n_calls: number of prompts by stage (captions, responses, likelihoods).
        digests: digest of each sound that was used, by `ProbeQuestion.audio`; "failed" for a sound
            that could not be read.
        seconds_ignored: seconds of each sound that the model reported as truncated, by
            `ProbeQuestion.audio`.
    """

    model: LanguageModel
    sounds: Mapping[str, Callable[[], Waveform]]
    options: PromptingOptions
    caption_template: str
    progress: ProgressCallback = ignore_progress
    captions: dict[str, str | PromptFailure] = field(default_factory=dict)
    n_calls: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    seconds_ignored: dict[str, float] = field(default_factory=dict)
    _waveform: tuple[str, Waveform | PromptFailure] | None = None

    def __call__(self, questions: Sequence[ProbeQuestion]) -> tuple[Trial, ...]:
        """Return a trial for each question, in order.

        Raises:
            ContractError: if the number of the model's answers differs from that of the prompts.
            AudioProbeError: for causes that affect all questions, such as missing weights.
        """
        self._make_captions(questions)
        answerable = [q for q in questions if self._caption_failure(q) is None]
        keys = _sorted_by_audio(map(self._key, answerable))
        responses = self._responses(keys) if self.options.free_text else {}
        likelihoods = self._likelihoods(answerable) if self.options.likelihoods else {}
        return tuple(self._trial(question, responses, likelihoods) for question in questions)

    def _make_captions(self, questions: Sequence[ProbeQuestion]) -> None:
        clips = sorted({q.clip for q in questions if q.condition == "caption"} - {*self.captions})
        keys = [_Key(shipped_templates()["caption"].text, clip) for clip in clips]
        responses = self._ask("captions", keys, self.model.generate)
        for clip, response in zip(clips, responses, strict=True):
            if isinstance(response, PromptFailure):
                self.captions[clip] = response
            elif response.abstained or not response.text.strip():
                self.captions[clip] = PromptFailure("the model gave no caption")
            else:
                self.captions[clip] = response.text.strip()

    def _caption_failure(self, question: ProbeQuestion) -> PromptFailure | None:
        caption = self.captions[question.clip] if question.condition == "caption" else ""
        return caption if isinstance(caption, PromptFailure) else None

    def _key(self, question: ProbeQuestion) -> _Key:
        caption = self.captions[question.clip] if question.condition == "caption" else ""
        return _Key(question.text, question.audio, caption if isinstance(caption, str) else "")

    def _responses(self, keys: Sequence[_Key]) -> dict[_Key, Response | PromptFailure]:
        decoding = Decoding(max_new_tokens=self.options.max_new_tokens)

        def generate(prompts: Iterable[Prompt]) -> Iterator[Response]:
            return self.model.generate(prompts, decoding)

        responses = dict(zip(keys, self._ask("answers", keys, generate), strict=True))
        for key, response in responses.items():
            if isinstance(response, Response):
                seconds = response.details.get("truncated audio (s)")
                if isinstance(seconds, int | float):
                    self.seconds_ignored[key.audio] = float(seconds)
        return responses

    def _likelihoods(
        self, questions: Sequence[ProbeQuestion]
    ) -> dict[tuple[_Key, str], float | PromptFailure]:
        """Return log-likelihoods by prompt and continuation, including prompts without audio."""
        model = self.model
        if not isinstance(model, LikelihoodModel):
            return {}
        keys_by_texts: dict[tuple[str, ...], dict[_Key, None]] = {}
        for question in questions:
            texts = tuple(sorted(self._continuations(question)))
            keys = keys_by_texts.setdefault(texts, {})
            keys[self._key(question)] = None
            if question.condition in AUDIO_CONDITIONS:
                keys[_Key(question.text)] = None
        values: dict[tuple[_Key, str], float | PromptFailure] = {}
        for n, (texts, keys) in enumerate(keys_by_texts.items(), 1):
            ordered = _sorted_by_audio(keys)
            ask = partial(model.log_likelihood, continuations=texts)
            answers = self._ask(f"likelihoods {n}/{len(keys_by_texts)}", ordered, ask)
            for key, answer in zip(ordered, answers, strict=True):
                for k, text in enumerate(texts):
                    values[key, text] = (
                        answer if isinstance(answer, PromptFailure) else float(answer[k].total)
                    )
        return values

    def _continuations(self, question: ProbeQuestion) -> list[str]:
        """Return the text of each option whose likelihood is computed."""
        if question.options == YES_NO:
            return [self.options.yes, self.options.no]
        texts = [self.options.option.format(option) for option in question.options]
        return [text[:1].upper() + text[1:] for text in texts]

    def _trial(
        self,
        question: ProbeQuestion,
        responses: Mapping[_Key, Response | PromptFailure],
        likelihoods: Mapping[tuple[_Key, str], float | PromptFailure],
    ) -> Trial:
        caption_failure = self._caption_failure(question)
        if caption_failure:
            return Trial(question=question, failure=caption_failure.message)
        key = self._key(question)
        response = responses.get(key)
        texts = self._continuations(question)
        values = (
            [likelihoods[key, text] for text in texts] if (key, texts[0]) in likelihoods else []
        )
        for answer in (response, *values):
            if isinstance(answer, PromptFailure):
                return Trial(question=question, failure=answer.message)
        prior: list[float] = []
        if question.condition in AUDIO_CONDITIONS:
            without_audio = [likelihoods.get((_Key(question.text), text)) for text in texts]
            prior = [value for value in without_audio if isinstance(value, float)]
        text = response.text if isinstance(response, Response) else None
        return Trial(
            question=question,
            response=text,
            parsed=None if text is None else parse_response(text, question),
            log_likelihoods=tuple(value for value in values if isinstance(value, float)),
            prior_log_likelihoods=tuple(prior) if len(prior) == len(texts) else (),
        )

    def _ask(
        self, stage: str, keys: Sequence[_Key], ask: Infer[Prompt, Answer]
    ) -> list[Answer | PromptFailure]:
        """Send one prompt per key; return the answers or failures, in order."""
        self.n_calls[stage] = self.n_calls.get(stage, 0) + len(keys)
        prompts = [partial(self._prompt, key) for key in keys]
        return map_prompts(ask, prompts, self.progress, stage=stage)

    def _prompt(self, key: _Key) -> Prompt | PromptFailure:
        if key.caption:
            text = self.caption_template.format(caption=key.caption, question=key.text)
            return Prompt(text)
        if not key.audio:
            return Prompt(key.text)
        waveform = self._read(key.audio)
        return waveform if isinstance(waveform, PromptFailure) else Prompt(key.text, audio=waveform)

    def _read(self, audio: str) -> Waveform | PromptFailure:
        """Load a sound. The last sound is cached, because prompts are sorted by their audio."""
        if self._waveform is not None and self._waveform[0] == audio:
            return self._waveform[1]
        waveform: Waveform | PromptFailure
        try:
            waveform = self.sounds[audio]()
        except AudioReadError as error:
            waveform = PromptFailure(str(error))
        self._waveform = audio, waveform
        if audio not in self.digests:
            self.digests[audio] = waveform.digest() if isinstance(waveform, Waveform) else "failed"
        return waveform


def parse_response(text: str, question: ProbeQuestion) -> int | None:
    """Return the index of the option that a response names; None if the response is invalid."""
    if question.options == YES_NO:
        answer = parse_yes_no(text)
        return None if answer == "invalid" else YES_NO.index(answer)
    return parse_choice(text, question.options)


def _sorted_by_audio(keys: Iterable[_Key]) -> list[_Key]:
    """Return the distinct keys, sorted so that keys with the same audio are adjacent."""
    return sorted(dict.fromkeys(keys), key=lambda key: (key.audio, key.caption))
