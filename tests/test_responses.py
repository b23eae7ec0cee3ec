"""Log-likelihoods and responses are validated; reasoning is separated from answers."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.responses import LogLikelihood, Response, split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>It sings.</think>\nA crow.", "It sings.", "A crow."),
        ("<think>\n\n</think>\n\nYes", "", "Yes"),
        ("<think/>Yes", None, "<think/>Yes"),
        ("<THINK>It sings.</Think> Yes", "It sings.", "Yes"),
        ("<thinking>It sings.</thinking>Yes", "It sings.", "Yes"),
        ("<thought>It sings.</thought>Yes", "It sings.", "Yes"),
        ("<reasoning>It sings.</reasoning>Yes", "It sings.", "Yes"),
        ('< think lang="en" >It sings.</ think >Yes', "It sings.", "Yes"),
        ("<seed:think>It sings.</seed:think>Yes", "It sings.", "Yes"),
        ("◁think▷It sings.◁/think▷Yes", "It sings.", "Yes"),
        ("[THINK]It sings.[/THINK]Yes", "It sings.", "Yes"),
        ("<|START_THINKING|>It sings.<|END_THINKING|>Yes", "It sings.", "Yes"),
        ("<|begin_of_thought|>It sings.<|end_of_thought|>Yes", "It sings.", "Yes"),
        ("It sings.</think>Yes", "It sings.", "Yes"),
        ("It\n</think>\nsings.</think>Yes", "It\n\n\nsings.", "Yes"),
        ("<think>a</think>b</think>c", "a\nb", "c"),
        ("<think>a<think>b</think>c</think>d", "a\nb\nc", "d"),
        ("<think>a<reasoning>b</think>c", "a\nb", "c"),
        ("<think>a</reasoning>b</think>c", "a\nb", "c"),
        ("<think>a</think>Yes.<think>b</think>No.", "a\nb", "Yes.\nNo."),
        ("Yes.<think>a</think>", "a", "Yes."),
        ("<think>a</think>", "a", ""),
        (
            "<|channel|>analysis<|message|>It sings.<|end|><|start|>assistant<|channel|>commentary"
            "<|message|>Now<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            "It sings.\nNow",
            "Yes.",
        ),
        ("<|channel|>final<|message|>Yes.", "", "Yes."),
        ("analysisIt sings.assistantfinalYes.", "It sings.", "Yes."),
        ("<|channel>thought\nIt sings.<channel|>Yes.", "It sings.", "Yes."),
    ],
)
def test_closed_blocks_are_reasoning(text: str, reasoning: str | None, answer: str) -> None:
    assert split_reasoning(text) == (reasoning, answer)


@pytest.mark.parametrize(
    "text",
    [
        "<think>It could be a crow",
        "Yes. <think>Or not",
        "<think>a</think>Yes<think>wait",
        "<think>a<think>b</think>c",
        "<thinking>a</reasoning>b",
        "[THINK]It could be a crow",
        "<|channel|>analysis<|message|>It sings.<|end|>",
        "analysisIt sings. Yes.",
    ],
)
def test_unclosed_block_leaves_no_answer(text: str) -> None:
    reasoning, answer = split_reasoning(text)
    assert answer is None
    assert reasoning is not None


@pytest.mark.parametrize(
    "text",
    [
        "", " A crow. ", "I think so.", "<b>Yes</b>", "a < think", "think>", "[thinking] of birds",
        "An analysis of sound", "The assistantfinal", "analysis",
    ],
)  # fmt: skip
def test_text_without_a_block_is_unchanged(text: str) -> None:
    assert split_reasoning(text) == (None, text)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["<think>", "</think>", "<thought>", "</thought>", "a", "b "])))
def test_answer_contains_no_mark(parts: list[str]) -> None:
    reasoning, answer = split_reasoning("".join(parts))
    for text in (reasoning, answer):
        assert text is None or not any(part in text for part in parts if part.startswith("<"))


_PROSE = st.text(st.characters(exclude_characters="<>[]◁▷"))


@settings(max_examples=50)
@given(_PROSE, _PROSE)
def test_reasoning_does_not_change_the_answer(thought: str, answer: str) -> None:
    assert split_reasoning(f"<think>{thought}</think>{answer}") == (thought.strip(), answer.strip())


@pytest.mark.parametrize("total", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_log_likelihood_must_be_finite(total: float) -> None:
    with pytest.raises(NonFiniteError):
        LogLikelihood(total, 2)


@pytest.mark.parametrize(("total", "n_tokens"), [(0.3, 1), (0.01, 3), (1e-3, 1)])
def test_log_likelihood_must_be_at_most_zero(total: float, n_tokens: int) -> None:
    with pytest.raises(InvalidInputError, match="at most 0 nats"):
        LogLikelihood(total, n_tokens)


@pytest.mark.parametrize(("total", "n_tokens"), [(1e-9, 1), (5e-5, 1), (2e-4, 8)])
def test_positive_log_likelihood_within_rounding_becomes_zero(total: float, n_tokens: int) -> None:
    assert LogLikelihood(total, n_tokens).total == 0.0


@pytest.mark.parametrize("n_tokens", [0, -1])
def test_log_likelihood_needs_a_token(n_tokens: int) -> None:
    with pytest.raises(InvalidInputError, match="at least one token"):
        LogLikelihood(-1.0, n_tokens)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>A bird?</think>\nA crow.", "A crow.", "A bird?"),
        ("A bird?</think>A crow.", "A crow.", "A bird?"),
        ("<think></think> Yes.", "Yes.", ""),
    ],
)
def test_reasoning_is_stored_in_the_details_of_a_response(
    text: str, answer: str, reasoning: str
) -> None:
    response = Response(text, "length", details={"truncated audio (s)": 1.0})
    assert (response.text, response.finish) == (answer, "length")
    assert response.details == {"truncated audio (s)": 1.0, "reasoning": reasoning}
    assert from_json(Response, to_json(response)) == response == replace(response)


@pytest.mark.parametrize("text", ["A crow.", "", " I think so. ", "1 < 2"])
def test_response_without_reasoning_is_unchanged(text: str) -> None:
    assert Response(text).text == text
    assert Response(text).details == {}


@pytest.mark.parametrize(
    "text", ["<think>A bird? A crow", "<think>A crow.</think>", "<think>a</think>\n\n<think>b"]
)
def test_reasoning_without_an_answer_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="reasoning only"):
        Response(text, "length")
