"""Which calls a question needs, and training questions in the text protocol of an agent."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from audioprobe.audio.windowing import read_waveform
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.tag_texts import clip_probabilities
from audioprobe.models.tool_agent.audio_tools import TaggerTool, tagger_tools
from audioprobe.models.tool_agent.text_protocol import answer_text, call_text, step_prompt
from audioprobe.protocols import FrameTagger
from audioprobe.small_ltu.building import TRAIN
from audioprobe.small_ltu.questions import FIRST, HOW_MANY, LAST, LOUDEST, PRESENCE
from audioprobe.tool_calls import CallRequest, ToolCall
from audioprobe.training.examples import QARecord
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Waveform

TAG_THRESHOLD = 0.05
"""Minimum probability of a label that the tool "tags" lists, as in the captions of other arms."""

_PRESENCE = [
    re.compile(re.escape(text).replace(re.escape("{}"), "(?P<sound>.+)")) for text in PRESENCE
]
_CALLS = {
    FIRST: CallRequest("order", {"which": "first"}),
    LAST: CallRequest("order", {"which": "last"}),
    LOUDEST: CallRequest("loudness"),
    HOW_MANY: CallRequest("count"),
}
_TAGS = CallRequest("tags")


def plan_of(question: str) -> tuple[CallRequest, ...]:
    """Return the calls that a question about a scene needs: the plan that a controller learns.

    Questions for presence, number, order and loudness need the tool of this name, and all others
    the list of labels.
    """
    for pattern in _PRESENCE:
        if match := pattern.fullmatch(question):
            return (CallRequest("presence", {"sound": match["sound"]}),)
    return (_CALLS.get(question, _TAGS),)


def agent_tools(tagger: FrameTagger) -> tuple[TaggerTool, ...]:
    """Return the tools of the agent, all of which use one tagger."""
    return tagger_tools(tagger, tag_threshold=TAG_THRESHOLD)


class SceneTools:
    """Training questions in the text protocol of an agent, with the results of its tools.

    A question about a clip becomes two questions in text: which call it needs, and its answer after
    the result. Tools run on the training scene itself, with probabilities of a tagger that was
    fitted on other scenes.

    Args:
        materials: scenes of the training, and probabilities of their labels.
    """

    def __init__(self, materials: ArmMaterials) -> None:
        self._clips = materials.scenes.clips(TRAIN)
        self._tagger = SceneTagger(materials)
        self._tools = {tool.spec.name: tool for tool in agent_tools(self._tagger)}

    def __call__(self, records: Sequence[QARecord]) -> list[QARecord]:
        """Return the questions to train; questions without audio are not changed."""
        written: list[QARecord] = []
        for record in records:
            if not record.audio_id:
                written.append(record)
                continue
            calls: list[ToolCall] = []
            waveform = read_waveform(self._clips[int(record.audio_id)])
            self._tagger.add(waveform, int(record.audio_id))
            for request in plan_of(record.instruction):
                prompt = step_prompt(record.instruction, calls)
                written.append(_in_text(record, prompt, call_text(request)))
                result = self._tools[request.tool].run(waveform, request.arguments)
                call = ToolCall(tool=request.tool, arguments=request.arguments, result=result)
                calls.append(call)
            prompt = step_prompt(record.instruction, calls)
            written.append(_in_text(record, prompt, answer_text(record.output)))
        return written


class SceneTagger(InfoRepr):
    """Probabilities of labels of training scenes, in clips and frames; see `FrameTagger`.

    Args:
        materials: logits of the training scenes.
    """

    def __init__(self, materials: ArmMaterials) -> None:
        self._materials, self._tagger = materials, materials.tagger
        self.labels, self.phrases = self._tagger.labels, self._tagger.phrases
        self.hop = self._tagger.hop
        self._rows: dict[str, int] = {}

    @property
    def info(self) -> ComponentInfo:
        """Number of scenes, and the tagger of other clips."""
        options = {"n_scenes": len(self._materials.out_of_fold_logits)}
        parts = {"tagger": self._tagger.info}
        return ComponentInfo("encoder", "tags of training scenes", "1", options, parts)

    def add(self, waveform: Waveform, row: int) -> None:
        """Register the waveform of a training scene."""
        self._rows[waveform.digest()] = row

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the probabilities of all labels for registered waveforms."""
        for waveform in waveforms:
            yield clip_probabilities(self._logits(waveform))

    def tag_frames(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the probabilities in each frame, shape (n_frames, n_labels)."""
        for waveform in waveforms:
            yield np.asarray(expit(self._logits(waveform)), dtype=np.float32)

    def _logits(self, waveform: Waveform) -> FloatArray:
        return self._materials.scene_logits(self._rows[waveform.digest()])


def _in_text(record: QARecord, prompt: str, target: str) -> QARecord:
    return replace(record, instruction=prompt, output=target, audio_id="")
