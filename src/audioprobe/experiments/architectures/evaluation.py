"""Evaluation of a trained arm: the same questions for all arms of a seed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TypeAlias, TypeVar

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioProbeError, AudioReadError
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import (
    EvaluationQuestions,
    SceneQuestion,
)
from audioprobe.experiments.architectures.storage import AgentResponse, SceneTrial
from audioprobe.inference import infer_each
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.probing.trial import ProbeQuestion, Trial
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.protocols import LikelihoodModel
from audioprobe.types import Decoding, LogLikelihood, Prompt, Response, Waveform

ANSWERS = ("Yes.", "No.")
"""Texts whose likelihood is compared."""

_TEST = "test"
_Answer = TypeVar("_Answer")
_MAX_AGENT_RESPONSES = 200  # questions whose calls are recorded
_AgentPrompt: TypeAlias = tuple[str, str, tuple[str, ...], Callable[[], Waveform | str | None]]
"""Name of the clip, question, possible answers, and function that reads the clip."""


class ArmEvaluator:
    """Questions of a seed, asked to the models of arms.

    Args:
        materials: test clips and scenes.
        questions: the questions.
        progress: called after every clip.
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
        answers = dict(self._probed(model))
        return tuple(answers[n] for n in range(len(questions)))

    def _probed(self, model: LikelihoodModel) -> Iterator[tuple[int, Trial]]:
        """Yield number and answer of each question, one clip after another."""
        questions = self._questions.probe
        order = sorted(range(len(questions)), key=lambda n: questions[n].audio)
        done = 0
        for audio, group in groupby(order, key=lambda n: questions[n].audio):
            numbers = list(group)
            waveform = self._waveform(audio)
            answers = _answers([questions[n] for n in numbers], waveform, model, _yes_no)
            yield from zip(numbers, answers, strict=True)
            done += len(numbers)
            self._progress(ProgressEvent(stage="questions", done=done, total=len(questions)))

    def scene_trials(self, model: LikelihoodModel) -> tuple[SceneTrial, ...]:
        """Return the answers to the questions about scenes."""
        trials: list[SceneTrial] = []
        for number, group in groupby(self._questions.scenes, key=lambda q: q.scene):
            waveform = read_waveform(self._scenes[number])
            trials += _answers(list(group), waveform, model, _scene_answer)
            total = len(self._questions.scenes)
            self._progress(ProgressEvent(stage="scenes", done=len(trials), total=total))
        return tuple(trials)

    def agent_responses(self, agent: ToolAgent) -> tuple[AgentResponse, ...]:
        """Return responses with calls to some questions about clips, and all about scenes.

        Answers are limited to yes and no, or to the options of a question about a scene.
        """
        probe = [q for q in self._questions.probe if q.audio]
        step = max(1, len(probe) // _MAX_AGENT_RESPONSES)
        prompts: list[_AgentPrompt] = [
            (q.audio, q.text, ANSWERS, partial(self._waveform, q.audio)) for q in probe[::step]
        ]
        prompts += [
            (f"scene {q.scene}", q.text, q.options, partial(read_waveform, self._scenes[q.scene]))
            for q in self._questions.scenes
        ]
        responses: dict[int, Response | None] = {}
        order = sorted(range(len(prompts)), key=lambda n: prompts[n][2])
        for options, group in groupby(order, key=lambda n: prompts[n][2]):
            answer = partial(agent.generate, decoding=Decoding(choices=options))
            for n, result in infer_each(answer, _readable(group, prompts)):
                responses[n] = result if isinstance(result, Response) else None
                event = ProgressEvent(stage="calls", done=len(responses), total=len(prompts))
                self._progress(event)
        return tuple(
            AgentResponse(clip=clip, question=text, response=responses.get(n))
            for n, (clip, text, _, _) in enumerate(prompts)
        )

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


def _readable(
    numbers: Iterable[int], prompts: Sequence[_AgentPrompt]
) -> Iterator[tuple[int, Prompt]]:
    """Yield number and prompt of the questions whose clip can be read."""
    for n in numbers:
        _, text, _, read = prompts[n]
        waveform = read()
        if isinstance(waveform, Waveform):
            yield n, Prompt(text, waveform)


_Question = TypeVar("_Question", ProbeQuestion, SceneQuestion)


def _answers(
    questions: Sequence[_Question],
    waveform: Waveform | str | None,
    model: LikelihoodModel,
    make: Callable[[_Question, Sequence[LogLikelihood], str], _Answer],
) -> list[_Answer]:
    """Return the answer to each question about a clip; a question that fails is a failure.

    An agent with tools fails if its controller does not answer.
    """
    answers: list[_Answer] = []
    for options, group in groupby(questions, key=_options):
        same = list(group)
        if isinstance(waveform, str):
            answers += [make(question, (), waveform) for question in same]
            continue
        prompts = ((question, Prompt(question.text, waveform)) for question in same)
        for question, result in infer_each(
            partial(model.log_likelihood, continuations=options), prompts
        ):
            if isinstance(result, AudioProbeError):
                answers.append(make(question, (), str(result) or type(result).__name__))
            else:
                answers.append(make(question, result, ""))
    return answers


def _options(question: ProbeQuestion | SceneQuestion) -> tuple[str, ...]:
    return question.options if isinstance(question, SceneQuestion) else ANSWERS


def _yes_no(question: ProbeQuestion, values: Sequence[LogLikelihood], failure: str) -> Trial:
    totals = tuple(value.total for value in values)
    return Trial(question=question, log_likelihoods=totals, failure=failure)


def _scene_answer(
    question: SceneQuestion, values: Sequence[LogLikelihood], failure: str
) -> SceneTrial:
    means = tuple(value.total / value.n_tokens for value in values)
    return SceneTrial(question=question, log_likelihoods=means, failure=failure)
