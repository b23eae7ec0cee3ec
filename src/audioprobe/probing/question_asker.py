"""Ask a model questions: equal prompts once, failures recorded per question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from audioprobe.errors import AudioReadError
from audioprobe.inference import Answer, Infer, PromptFailure, map_prompts
from audioprobe.probing.answers import parse_choice, parse_yes_no
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.trial import (
    AUDIO_CONDITIONS,
    YES_NO,
    ProbeQuestion,
    SampledAnswer,
    Trial,
)
from audioprobe.probing.wordings import PromptingOptions
from audioprobe.progress import ProgressCallback
from audioprobe.prompts.levels import shipped_templates
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.types import Decoding, Prompt, Response, Waveform


@dataclass(frozen=True, slots=True)
class PromptKey:
    """Identifies a prompt, so that equal prompts are sent once.

    Attributes:
        text: text of the prompt, including the caption if there is one.
        audio: key of the sound, see `ProbeQuestion.audio`; "" if there is none.
        caption: the caption; "" if there is none.
    """

    text: str
    audio: str = ""
    caption: str = ""


_Likelihoods = dict[tuple[PromptKey, str], float | PromptFailure]  # by prompt and continuation


@dataclass(slots=True, kw_only=True)
class QuestionAsker:
    """Asks a model the questions of a probe, and counts the prompts.

    Attributes:
        model: the model.
        probe: questions and their sounds.
        options: settings of the prompts.
        progress: called after each response.
        captions: the model's captions for questions about captions, keyed by clip id.
        n_calls: number of prompts by stage (captions, answers, likelihoods).
        digests: hash of each sound that was used, keyed by `ProbeQuestion.audio`, to detect
            changes; "failed" for a sound that could not be read.
        seconds_ignored: seconds of each sound that the model reported as truncated, keyed by
            `ProbeQuestion.audio`.
    """

    model: LanguageModel
    probe: PreparedProbe
    options: PromptingOptions
    progress: ProgressCallback
    captions: dict[str, str | PromptFailure] = field(default_factory=dict)
    n_calls: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    seconds_ignored: dict[str, float] = field(default_factory=dict)
    _last_sound: tuple[str, Waveform | PromptFailure] | None = None

    def trials(self) -> tuple[Trial, ...]:
        """Return a trial (the question with its answers) for each question, in order."""
        questions = self.probe.questions
        self._make_captions(questions)
        keys = [self._key(question) for question in questions]
        prompted = [
            (question, key)
            for question, key in zip(questions, keys, strict=True)
            if isinstance(key, PromptKey)
        ]
        responses = self._responses([key for _, key in prompted]) if self.options.free_text else {}
        likelihoods = self._likelihoods(prompted) if self.options.likelihoods else {}
        samples = self._samples([key for _, key in prompted])
        return tuple(
            replace(
                self._trial(question, key, responses, likelihoods),
                samples=tuple(_sampled(of_seed[key], question) for of_seed in samples),
            )
            if isinstance(key, PromptKey)
            else Trial(question=question, failure=key.message)
            for question, key in zip(questions, keys, strict=True)
        )

    def _make_captions(self, questions: Sequence[ProbeQuestion]) -> None:
        clips = sorted({q.clip for q in questions if q.condition == "caption"})
        keys = [PromptKey(shipped_templates()["caption"].text, clip) for clip in clips]
        for key, response in self._ask("captions", keys, self.model.generate).items():
            if isinstance(response, PromptFailure):
                self.captions[key.audio] = response
            elif response.abstained or not response.text.strip():
                self.captions[key.audio] = PromptFailure("the model gave no caption")
            else:
                self.captions[key.audio] = response.text.strip()

    def _key(self, question: ProbeQuestion) -> PromptKey | PromptFailure:
        """Return the key of a question's prompt; the failure if its caption is missing."""
        if question.condition != "caption":
            return PromptKey(question.text, question.audio)
        caption = self.captions[question.clip]
        if isinstance(caption, PromptFailure):
            return caption
        text = self.probe.caption_template.format(caption=caption, question=question.text)
        return PromptKey(text, caption=caption)

    def _responses(self, keys: Iterable[PromptKey]) -> dict[PromptKey, Response | PromptFailure]:
        decoding = Decoding(max_new_tokens=self.options.max_new_tokens)

        def generate(prompts: Iterable[Prompt]) -> Iterator[Response]:
            return self.model.generate(prompts, decoding)

        responses = self._ask("answers", keys, generate)
        for key, response in responses.items():
            if isinstance(response, Response):
                seconds = response.details.get("truncated audio (s)")
                if isinstance(seconds, int | float):
                    self.seconds_ignored[key.audio] = float(seconds)
        return responses

    def _samples(
        self, keys: Sequence[PromptKey]
    ) -> list[dict[PromptKey, Response | PromptFailure]]:
        """Return the sampled responses by prompt, once per seed."""
        decodings = self.options.sampling_decodings
        return [
            self._ask(
                f"samples {n}/{len(decodings)}", keys, partial(self.model.generate, decoding=each)
            )
            for n, each in enumerate(decodings, 1)
        ]

    def _likelihoods(self, prompted: Iterable[tuple[ProbeQuestion, PromptKey]]) -> _Likelihoods:
        """Return the log-likelihoods of the options, keyed by (prompt, text of the option).

        Return {} if the model does not compute likelihoods.

        Questions about audio are also asked without audio, for the prior-corrected reading.
        """
        model = self.model
        if not isinstance(model, LikelihoodModel):
            return {}
        keys_by_texts: dict[tuple[str, ...], list[PromptKey]] = {}
        for question, key in prompted:
            texts = tuple(sorted(self.options.continuations(question.options)))
            keys = keys_by_texts.setdefault(texts, [])
            keys.append(key)
            if question.condition in AUDIO_CONDITIONS:
                keys.append(PromptKey(question.text))
        values: _Likelihoods = {}
        for n, (texts, keys) in enumerate(keys_by_texts.items(), 1):
            ask = partial(model.log_likelihood, continuations=texts)
            answers = self._ask(f"likelihoods {n}/{len(keys_by_texts)}", keys, ask)
            for key, answer in answers.items():
                for k, text in enumerate(texts):
                    values[key, text] = (
                        answer if isinstance(answer, PromptFailure) else float(answer[k].total)
                    )
        return values

    def _trial(
        self,
        question: ProbeQuestion,
        key: PromptKey,
        responses: Mapping[PromptKey, Response | PromptFailure],
        likelihoods: _Likelihoods,
    ) -> Trial:
        response = responses.get(key)
        texts = self.options.continuations(question.options)
        values = [likelihoods[key, text] for text in texts if (key, text) in likelihoods]
        for answer in (response, *values):
            if isinstance(answer, PromptFailure):
                return Trial(question=question, failure=answer.message)
        prior: list[float] = []
        if question.condition in AUDIO_CONDITIONS:
            without_audio = [likelihoods.get((PromptKey(question.text), text)) for text in texts]
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
        self, stage: str, keys: Iterable[PromptKey], ask: Infer[Prompt, Answer]
    ) -> dict[PromptKey, Answer | PromptFailure]:
        """Send one prompt per distinct key, and return the answers or failures, by key.

        Prompts with the same sound are adjacent, so that each sound is loaded once.
        """
        ordered = sorted(dict.fromkeys(keys), key=lambda key: (key.audio, key.caption))
        self.n_calls[stage] = len(ordered)
        prompts = [partial(self._prompt, key) for key in ordered]
        answers = map_prompts(ask, prompts, self.progress, stage=stage)
        return dict(zip(ordered, answers, strict=True))

    def _prompt(self, key: PromptKey) -> Prompt | PromptFailure:
        waveform = self._load(key.audio) if key.audio else None
        return waveform if isinstance(waveform, PromptFailure) else Prompt(key.text, audio=waveform)

    def _load(self, audio: str) -> Waveform | PromptFailure:
        """Return the sound with this key, or the failure to read it; the last one is cached."""
        if self._last_sound is not None and self._last_sound[0] == audio:
            return self._last_sound[1]
        waveform: Waveform | PromptFailure
        try:
            waveform = self.probe.sounds[audio]()
        except AudioReadError as error:
            waveform = PromptFailure(str(error))
        self._last_sound = audio, waveform
        if audio not in self.digests:
            self.digests[audio] = waveform.digest() if isinstance(waveform, Waveform) else "failed"
        return waveform


def _sampled(response: Response | PromptFailure, question: ProbeQuestion) -> SampledAnswer:
    if isinstance(response, PromptFailure):
        return SampledAnswer(None, failure=response.message)
    return SampledAnswer(response.text, parse_response(response.text, question))


def parse_response(text: str, question: ProbeQuestion) -> int | None:
    """Return the index of the option that a response names; None if the response is invalid."""
    if question.options == YES_NO:
        answer = parse_yes_no(text)
        return None if answer == "invalid" else YES_NO.index(answer)
    return parse_choice(text, question.options)
