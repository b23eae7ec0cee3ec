"""Evaluation of a trained arm: the same questions for all arms of a seed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, starmap
from typing import TypeVar

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioProbeError, AudioReadError
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import (
    EvaluationQuestions,
    SceneQuestion,
)
from audioprobe.experiments.architectures.storage import AgentResponse, SceneTrial
from audioprobe.inference import Infer, infer_each
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.probing.trial import ProbeQuestion, Trial
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.protocols import LikelihoodModel
from audioprobe.types import Decoding, LogLikelihood, Prompt, Response, Waveform

ANSWERS = ("Yes.", "No.")
"""Texts whose likelihood is compared."""

_TEST = "test"
_MAX_AGENT_RESPONSES = 200  # questions whose calls are recorded
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _ClipPrompt:
    """A question about a clip, or in text only.

    Attributes:
        clip: name of the clip; "" without a clip.
        text: the question.
        options: possible answers.
        read: function that reads the clip; it returns the cause if that fails, or None without a
            clip.
    """

    clip: str
    text: str
    options: tuple[str, ...]
    read: Callable[[], Waveform | str | None]


class ArmEvaluator:
    """Questions of a seed, asked to the models of arms.

    Args:
        materials: test clips and scenes.
        questions: the questions.
        progress: called after every question.
    """

    def __init__(
        self, materials: ArmMaterials, questions: EvaluationQuestions, progress: ProgressCallback
    ) -> None:
        self._materials, self._questions, self._progress = materials, questions, progress
        self._scenes = materials.test_scenes.clips(_TEST)

    def truth(self) -> dict[str, Sequence[str]]:
        """Return the labels of all test clips and scenes, by the digest of the waveform.

        Clips that cannot be read are left out.
        """
        truth: dict[str, Sequence[str]] = {}
        for name, clip in self._materials.clips_by_id.items():
            waveform = self._waveform(name)
            if isinstance(waveform, Waveform):
                truth[waveform.digest()] = clip.labels or ()
        for number in {question.scene for question in self._questions.scenes}:
            clip = self._scenes[number]
            truth[read_waveform(clip).digest()] = clip.labels or ()
        return truth

    def trials(self, model: LikelihoodModel) -> tuple[Trial, ...]:
        """Return the answers to the yes/no questions, in the order of the questions."""
        questions = self._questions.probe
        prompts = [self._probe_prompt(question) for question in questions]
        results = self._likelihoods(model, prompts, "questions")
        return tuple(starmap(_yes_no, zip(questions, results, strict=True)))

    def scene_trials(self, model: LikelihoodModel) -> tuple[SceneTrial, ...]:
        """Return the answers to the questions about scenes."""
        questions = self._questions.scenes
        prompts = [self._scene_prompt(question) for question in questions]
        results = self._likelihoods(model, prompts, "scenes")
        return tuple(starmap(_scene_answer, zip(questions, results, strict=True)))

    def agent_responses(self, agent: ToolAgent) -> tuple[AgentResponse, ...]:
        """Return responses with calls to some questions about clips, and all about scenes.

        Answers are limited to yes and no, or to the options of a question about a scene.
        """
        probe = [q for q in self._questions.probe if q.audio]
        step = max(1, len(probe) // _MAX_AGENT_RESPONSES)
        prompts = [self._probe_prompt(q) for q in probe[::step]]
        prompts += [self._scene_prompt(q) for q in self._questions.scenes]
        results = self._results(
            lambda options: partial(agent.generate, decoding=Decoding(choices=options)),
            prompts,
            "calls",
        )
        return tuple(
            AgentResponse(
                clip=prompt.clip,
                question=prompt.text,
                response=result if isinstance(result, Response) else None,
            )
            for prompt, result in zip(prompts, results, strict=True)
        )

    def _probe_prompt(self, question: ProbeQuestion) -> _ClipPrompt:
        read = partial(self._waveform, question.audio)
        return _ClipPrompt(question.audio, question.text, ANSWERS, read)

    def _scene_prompt(self, question: SceneQuestion) -> _ClipPrompt:
        return _ClipPrompt(
            clip=f"scene {question.scene}",
            text=question.text,
            options=question.options,
            read=lambda: read_waveform(self._scenes[question.scene]),
        )

    def _likelihoods(
        self, model: LikelihoodModel, prompts: Sequence[_ClipPrompt], stage: str
    ) -> list[Sequence[LogLikelihood] | str]:
        """Return the likelihood of each possible answer to each question, or why there is none.

        An agent with tools has none if its controller does not answer.
        """
        return self._results(
            lambda options: partial(model.log_likelihood, continuations=options), prompts, stage
        )

    def _results(
        self,
        infer: Callable[[tuple[str, ...]], Infer[Prompt, _Result]],
        prompts: Sequence[_ClipPrompt],
        stage: str,
    ) -> list[_Result | str]:
        """Return the result of each prompt, or why it failed or its clip cannot be read.

        Prompts with the same possible answers are one stream, in which questions about the same
        clip follow each other.

        Args:
            infer: function that returns a function of prompts, given the possible answers.
            prompts: the questions.
            stage: name in progress events.
        """
        results: dict[int, _Result | str] = {}
        order = sorted(range(len(prompts)), key=lambda n: (prompts[n].options, prompts[n].clip))

        def readable(numbers: Iterable[int]) -> Iterator[tuple[int, Prompt]]:
            for _, group in groupby(numbers, key=lambda n: prompts[n].clip):
                same = list(group)
                waveform = prompts[same[0]].read()
                if isinstance(waveform, str):
                    results.update(dict.fromkeys(same, waveform))
                else:
                    yield from ((n, Prompt(prompts[n].text, waveform)) for n in same)

        for options, group in groupby(order, key=lambda n: prompts[n].options):
            for n, result in infer_each(infer(options), readable(group)):
                if isinstance(result, AudioProbeError):
                    results[n] = str(result) or type(result).__name__
                else:
                    results[n] = result
                event = ProgressEvent(stage=stage, done=len(results), total=len(prompts))
                self._progress(event)
        return [results[n] for n in range(len(prompts))]

    def _waveform(self, clip: str) -> Waveform | str | None:
        """Return the waveform of a clip, the cause if it cannot be read, or None without a clip.

        All arms receive as much of a long clip as the encoder of an audio prefix does.
        """
        if not clip:
            return None
        try:
            waveform = read_waveform(self._materials.clips_by_id[clip])
        except AudioReadError as error:
            return str(error) or type(error).__name__
        n_samples = round(self._materials.audio.seconds * waveform.sample_rate)
        return Waveform(waveform.samples[:n_samples], waveform.sample_rate)


def _yes_no(question: ProbeQuestion, values: Sequence[LogLikelihood] | str) -> Trial:
    if isinstance(values, str):
        return Trial(question=question, log_likelihoods=(), failure=values)
    return Trial(question=question, log_likelihoods=tuple(value.total for value in values))


def _scene_answer(question: SceneQuestion, values: Sequence[LogLikelihood] | str) -> SceneTrial:
    if isinstance(values, str):
        return SceneTrial(question=question, log_likelihoods=(), failure=values)
    means = tuple(value.total / value.n_tokens for value in values)
    return SceneTrial(question=question, log_likelihoods=means)
