"""Parser of answers to yes/no questions: a table of cases, and invariants."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.probing.answers.yes_no_cases import ASIDES, CASES

from audioprobe.probing.answers import parse_yes_no


def test_statements_about_something_else_are_invalid() -> None:
    assert {text: parse_yes_no(text) for text in ASIDES} == dict.fromkeys(ASIDES, "invalid")


@pytest.mark.parametrize("side", CASES)
def test_each_case_has_its_side(side: str) -> None:
    assert {text: parse_yes_no(text) for text in CASES[side]} == dict.fromkeys(CASES[side], side)


@given(st.text())
@example("{" * 5000 + '"a"')
@example("[" * 5000)
@example("<think>" * 500)
@example("\\boxed{" * 500)
def test_any_text_is_yes_no_or_invalid(text: str) -> None:
    assert parse_yes_no(text) in ("yes", "no", "invalid")


WORDS = sorted({word for texts in CASES.values() for text in texts for word in text.split()})
TEXTS = st.one_of(
    st.sampled_from([text for texts in CASES.values() for text in texts]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
)
MARKUP = (
    "**{}**", "_{}_", "`{}`", "({})", "[{}]", "\"{}\"", "> {}", "# {}", "- {}", "1. {}",
    "```\n{}\n```",
    "<answer>{}</answer>", "<b>{}</b>", "\\boxed{{{}}}", "$\\text{{{}}}$", "Answer: {}",
    "**Final answer:** {}", "<think>Yes? No.</think>{}", "<|im_start|>assistant\n{}<|im_end|>",
    " \n{}\n ", "{}\u200b", "\ufeff{}",
)  # fmt: skip
COURTESY = (
    "Sure! {}", "Certainly. {}", "Of course! {}", "Great question! {}", "Thank you. {}",
    "{} Hope this helps!", "{} Is there anything else you want to know?", "{} Thanks!",
    "{} You're welcome.", "No problem! {}", "Gerne! {}", "Merci. {}", "Claro. {}", "好的。{}",
    "Absolutely! {}", "Definitely. {}", "{} Let me know if you need anything else.",
)  # fmt: skip


@given(TEXTS, st.sampled_from(MARKUP + COURTESY))
def test_markup_and_courtesy_never_flip_a_side(text: str, around: str) -> None:
    sides = {parse_yes_no(text), parse_yes_no(around.format(text))}
    assert not {"yes", "no"} <= sides


@pytest.mark.parametrize("around", MARKUP + COURTESY)
def test_plain_answers_keep_their_side(around: str) -> None:
    for side, texts in (
        ("yes", ("Yes.", "Yes, it is.", "Ja.", "是的。", "はい。")),
        ("no", ("No.", "No, it is not.", "Nein.", "不是。", "아니요.")),
    ):
        for text in texts:
            assert parse_yes_no(around.format(text)) == side


@given(st.sampled_from(CASES["yes"] + CASES["no"]), st.sampled_from(CASES["yes"] + CASES["no"]))
def test_a_contradicting_addition_never_flips_the_side(first: str, second: str) -> None:
    bare = {"yes": "Yes.", "no": "No."}
    side = parse_yes_no(first)
    assert parse_yes_no(f"{bare[side]} {second}") in (side, "invalid")
    assert parse_yes_no(f"{second}\n{bare[side]}") in (side, "invalid")


@pytest.mark.parametrize("side", ["yes", "no"])
def test_case_space_and_quotes_do_not_matter(side: str) -> None:
    for text in CASES[side]:
        for changed in (text.upper(), f"\t{text} \n", text.replace("'", "\u2019")):
            if "<" not in text and "{" not in text and "\\" not in text:
                assert parse_yes_no(changed) == side, changed
