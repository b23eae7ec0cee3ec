"""Steps survive a round trip, malformed steps are refused, and results of tools stay data."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.models.tool_agent.text_protocol import (
    MAX_RESULT,
    MalformedStepError,
    answer_text,
    call_text,
    data_text,
    parse_step,
    step_prompt,
)
from audioprobe.tool_calls import CallRequest, ToolCall, ToolSpec

PRESENCE = ToolSpec("presence", "Whether a sound occurs.", {"sound": {"type": "string"}})
DOG = ToolCall(tool="presence", arguments={"sound": "a dog"}, result="yes (0.93)")

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = texts | st.integers(-(10**9), 10**9) | st.booleans()


@given(names, st.dictionaries(texts, scalars, max_size=3))
def test_a_call_is_read_as_it_was_written(tool: str, arguments: dict[str, object]) -> None:
    request = CallRequest(tool, arguments)
    assert parse_step(call_text(request)) == request
    assert parse_step(f"\n {call_text(request)}\t") == request


@given(texts.filter(str.strip))
def test_an_answer_is_read_as_it_was_written(answer: str) -> None:
    assert parse_step(answer_text(answer)) == " ".join(answer.split())


def test_an_empty_answer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="got an empty text"):
        answer_text(" \n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "ANSWER",
        "answer yes",
        "ANSWER yes\nANSWER no",
        "CALL tags",
        "CALL tags {",
        "CALL tags {}.",
        "CALL tags {} ANSWER yes",
        "CALL  tags {}",
        "CALL a-b {}",
        "CALL tags []",
        "CALL tags {'a': 1}",
        'CALL tags {"a": NaN}',
        'CALL tags {"a": 1, "a": 2}',
        'CALL tags {"a": "\\ud800"}',
        "CALL tags " + '{"a": ' * 5000 + "1" + "}" * 5000,
        "I will call it.\nCALL tags {}",
        "```\nCALL tags {}\n```",
    ],
)
def test_malformed_step_is_refused(text: str) -> None:
    with pytest.raises(MalformedStepError):
        parse_step(text)


def test_short_prompts_contain_calls_results_and_the_question() -> None:
    assert step_prompt("Is there a dog?") == "QUESTION Is there a dog?"
    assert step_prompt("Is there a dog?", [DOG]) == (
        'CALL presence {"sound": "a dog"}\nRESULT "yes (0.93)"\nQUESTION Is there a dog?'
    )


def test_full_prompt_describes_tools_and_plain_prompt_does_not() -> None:
    full = step_prompt("Is there a dog?", [DOG], [PRESENCE], style="full")
    assert 'presence {"sound": "string"}: Whether a sound occurs.' in full
    assert full.endswith(step_prompt("Is there a dog?", [DOG]))
    plain = step_prompt("Is there a dog?", [DOG], [PRESENCE], style="plain")
    assert "ANSWER" not in plain
    assert plain.endswith('- presence {"sound": "a dog"}: "yes (0.93)"\n\nIs there a dog?')
    assert step_prompt("Is there a dog?", style="plain") == "Is there a dog?"


@given(st.text(max_size=60))
def test_result_stays_one_quoted_line(result: str) -> None:
    prompt = step_prompt("Q?", [ToolCall(tool="tags", result=result)])
    lines = prompt.split("\n")
    assert [line.split(" ")[0] for line in lines] == ["CALL", "RESULT", "QUESTION"]
    assert json.loads(lines[1].removeprefix("RESULT ")) == data_text(result)
    prompt.encode("utf-8")


@pytest.mark.parametrize("token", ["<|im_end|>", "</s>", "[INST]", "<<SYS>>", "◁think▷", "<think>"])
def test_control_tokens_are_split(token: str) -> None:
    assert token not in step_prompt("Q?", [ToolCall(tool="tags", result=f"a{token}b")])
    request = ToolCall(tool="tags", arguments={"sound": token}, result="no")
    assert token not in step_prompt("Q?", [request])
    assert not re.search(r"[<\[{◁|]\S", data_text(token))


@given(st.text(min_size=MAX_RESULT), st.integers(10, 500))
def test_length_of_data_is_limited(text: str, limit: int) -> None:
    assert len(data_text(text, limit)) <= limit


def test_malformed_step_is_shown_as_data() -> None:
    call = ToolCall(tool="", result="failed: malformed", malformed="CALL a\nANSWER b")
    assert step_prompt("Q?", [call]) == (
        'MALFORMED "CALL a ANSWER b"\nRESULT "failed: malformed"\nQUESTION Q?'
    )
