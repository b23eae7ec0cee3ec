"""Tools of a tagger: known results, laws, and one pass of the tagger per clip."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.models.tool_agent.agents import FRAMES, FrameLevels, FunctionTool, scene
from tests.scripted import JointLevels, LevelTagger

from audioprobe import Scripted
from audioprobe.errors import BackendNotFoundError, InvalidInputError, NonFiniteError
from audioprobe.models.tool_agent.audio_tools import TAGGER_TOOLS, tagger_tools
from audioprobe.models.tool_agent.tools import ModelTool, Tool, make_tools
from audioprobe.protocols import FrameTagger
from audioprobe.testing import check_frame_tagger
from audioprobe.types import FloatArray, Waveform


def run(
    name: str, frames: FloatArray = FRAMES, audio: Waveform | None = None, **options: Any
) -> str:
    """Return the result of one tool; the arguments of the call are the option `arguments`."""
    arguments = options.pop("arguments", {})
    (tool,) = tagger_tools(FrameLevels(frames), [name], **options)
    return tool.run(audio or scene(), arguments)


def test_tagger_with_frames_follows_its_protocol() -> None:
    check_frame_tagger(FrameLevels())
    assert isinstance(FrameLevels(), FrameTagger)
    assert not isinstance(LevelTagger(), FrameTagger)


def test_results_of_all_tools() -> None:
    assert run("tags") == "a dog (0.90), a church bell (0.90), rain (0.70)"
    assert run("tags", max_tags=1) == "a dog (0.90)"
    assert run("tags", tag_threshold=0.95) == "no sound"
    assert run("presence", arguments={"sound": "a dog"}) == "yes (0.90)"
    assert run("presence", presence_threshold=0.8, arguments={"sound": "rain"}) == "no (0.70)"
    assert run("count") == "3 (a dog, rain, a church bell)"
    assert run("count", min_frames=2) == "2 (a dog, rain)"
    assert run("count", frame_threshold=0.95) == "0"
    assert run("order", arguments={"which": "first"}) == "a dog"
    assert run("order", arguments={"which": "last"}) == "a church bell"
    assert run("order", frame_threshold=1.0, arguments={"which": "last"}) == "no sound"
    assert run("loudness") == "a dog"
    assert run("loudness", labels=["Rain", "Church bell"]) == "rain"
    assert run("loudness", frame_threshold=1.0) == "no sound"


@pytest.mark.parametrize("sound", ["Dog", "dog", "a dog", "THE DOG.", "  a   dog "])
def test_names_are_compared_without_case_and_article(sound: str) -> None:
    assert run("presence", arguments={"sound": sound}) == "yes (0.90)"


def test_unknown_sound_gets_a_suggestion() -> None:
    with pytest.raises(InvalidInputError, match=r"unknown sound 'a dogg'. Did you mean 'dog'"):
        run("presence", arguments={"sound": "a dogg"})


frame_scores = arrays(np.float64, (5, 3), elements=st.floats(0, 1, width=16), unique=True)


@given(frame_scores)
def test_time_reversal_exchanges_first_and_last_and_keeps_the_rest(frames: FloatArray) -> None:
    first = run("order", frames, arguments={"which": "first"})
    assert run("order", frames[::-1], arguments={"which": "last"}) == first
    assert run("count", frames[::-1]) == run("count", frames)
    audio = scene()
    reversed_audio = Waveform(audio.samples[::-1].copy(), audio.sample_rate)
    assert run("loudness", frames[::-1], reversed_audio) == run("loudness", frames)


@given(frame_scores, st.floats(0.1, 2.0))
def test_loudest_sound_does_not_depend_on_the_gain(frames: FloatArray, gain: float) -> None:
    assert run("loudness", frames, scene(gain)) == run("loudness", frames)


@given(frame_scores)
def test_count_falls_with_the_threshold(frames: FloatArray) -> None:
    counts = [int(run("count", frames, frame_threshold=t).split()[0]) for t in (0.1, 0.5, 0.9)]
    assert counts == sorted(counts, reverse=True)


def test_louder_of_two_sounds_that_do_not_overlap_is_named() -> None:
    frames = np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]])
    quiet_first = np.repeat(np.array([0.1, 0.1, 0, 0.5, 0.5], np.float32), 500)
    assert run("loudness", frames, Waveform(quiet_first, 1000)) == "rain"
    assert run("loudness", frames, Waveform(quiet_first[::-1].copy(), 1000)) == "a dog"


def test_more_probable_of_two_sounds_at_the_same_time_is_named() -> None:
    assert run("loudness", np.array([[0.5, 0.7, 0.9]] * 5)) == "a church bell"
    assert run("loudness", np.array([[0.9, 0.7, 0.5]] * 5), scene(0.0)) == "a dog"


def test_audio_that_is_shorter_than_the_frames_has_no_power_there() -> None:
    short = Waveform(np.full(600, 0.1, np.float32), 1000)
    assert run("loudness", audio=short) == "a dog"


def test_tools_share_the_scores_of_a_clip() -> None:
    tagger = FrameLevels()
    arguments = {"presence": {"sound": "rain"}, "order": {"which": "last"}}
    for tool in tagger_tools(tagger):
        for _ in range(2):
            tool.run(scene(), arguments.get(tool.spec.name, {}))
    assert tagger.n_clips == 2  # per clip and per frame


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        run("count", np.full((2, 3), np.nan))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tag_threshold": 0.0}, "must be above 0"),
        ({"frame_threshold": 1.5}, "'count' must be above 0 and at most 1, got 1.5"),
        ({"max_tags": 0}, "max_tags"),
        ({"min_frames": 0}, "min_frames"),
        ({"labels": ["Cat"]}, "got 'Cat'"),
        ({"labels": []}, "got 'none'"),
        ({"names": ["counting"]}, "got 'counting'. Did you mean 'count'"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tagger_tools(FrameLevels(), **options)


def test_options_and_tagger_are_part_of_info() -> None:
    (tool,) = tagger_tools(FrameLevels(), ["count"], labels=["Dog"], min_frames=2)
    assert tool.info.options == {"threshold": 0.3, "labels": ("Dog",), "min_frames": 2}
    assert tool.info.parts["tagger"] == FrameLevels().info


def names(*sources: Any) -> list[str]:
    return [tool.spec.name for tool in make_tools(sources)]


def test_components_become_tools() -> None:
    assert names(FrameLevels()) == list(TAGGER_TOOLS)
    assert names(LevelTagger()) == ["tags", "presence"]
    assert names(Scripted("a crow")) == ["caption", "question"]
    assert names("tags:yamnet", "count:yamnet", "transcription:scripted:hello") == [
        "tags",
        "count",
        "transcription",
    ]
    tool = FunctionTool(str)
    assert make_tools([tool]) == (tool,)
    assert isinstance(tool, Tool)


def test_a_backend_that_is_named_twice_is_loaded_once() -> None:
    first, second = make_tools(["caption:scripted:hello", "question:scripted:hello"])
    assert isinstance(first, ModelTool)
    assert isinstance(second, ModelTool)
    assert first._model is second._model
    assert first.run(scene(), {}) == second.run(scene(), {"question": "Who?"}) == "hello"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([FrameLevels(), LevelTagger()], "got 'presence' more than once"),
        (["count:scripted:a"], "needs an encoder that is a tagger|no encoder"),
        ([JointLevels()], "which has no tags"),
        ([object()], "neither a tagger nor a language model"),
        ("yamnet", "Expected a list of tools, got the text 'yamnet'"),
        (["tag:yamnet"], "There is no tool 'tag' of 'yamnet'. Did you mean 'tags'"),
    ],
)
def test_sources_that_are_not_tools_are_refused(sources: Any, message: str) -> None:
    with pytest.raises((InvalidInputError, BackendNotFoundError), match=message):
        make_tools(sources)


def test_a_tagger_without_frames_cannot_count() -> None:
    with pytest.raises(InvalidInputError, match="can become the tools tags, presence, got 'count'"):
        tagger_tools(LevelTagger(), ["count"])


def test_empty_question_and_missing_description_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="question must be"):
        ModelTool(Scripted("a"), question=" ")
    with pytest.raises(InvalidInputError, match="and a description"):
        ModelTool(Scripted("a"), "describe")
