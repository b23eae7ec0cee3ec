"""Reasoning blocks are separated from answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.responses import split_reasoning


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
def test_an_unclosed_block_leaves_no_answer(text: str) -> None:
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


@given(st.lists(st.sampled_from(["<think>", "</think>", "<thought>", "</thought>", "a", "b "])))
def test_no_mark_is_left_in_an_answer(parts: list[str]) -> None:
    reasoning, answer = split_reasoning("".join(parts))
    for text in (reasoning, answer):
        assert text is None or not any(part in text for part in parts if part.startswith("<"))


_PROSE = st.text(st.characters(exclude_characters="<>[]◁▷"))


@given(_PROSE, _PROSE)
def test_text_in_a_block_never_changes_the_answer(thought: str, answer: str) -> None:
    assert split_reasoning(f"<think>{thought}</think>{answer}") == (thought.strip(), answer.strip())
