"""Answers in free text: a table of hard cases, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.probes.answers import chosen, yes_or_no

CASES = {
    "yes": [
        "Yes.", "yes", "YES!", "**Yes**", '"Yes"', "Yes, it is a bird.", "Yeah", "Correct.", "True",
        "That's right.", "Of course.", "It is.", "Yes, no doubt.", "Without a doubt, yes.",
        "I think so.", "I think yes.", "Probably yes.", "Most likely yes", "The answer is yes.",
        "Well, yes.", "It is a bird.", "Sí", "Oui.", "Ja!", "是的", "はい", "да",
        "Yes\nQuestion: is",
        "Indeed, it is.", "Answer: Yes", "A: Yes.", "Yes - a crow is not a fish, it is a bird.",
    ],
    "no": [
        "No.", "no", "Nope", "No, it is not.", "False", "It is not.", "It isn't a bird.",
        "Not really.", "I don't think so.", "I do not believe it is.", "Probably not.",
        "Not at all.", "No, it is a dog.",
        "Certainly not!", "No, that is a dog.", "Nein", "Non.", "Нет", "不是", "いいえ",
        "This is not a bird.", "The answer is no.", "No doubt: no.", "Incorrect.",
    ],
    "invalid": [
        "", " ", "...", "Yes and no.", "Yes or no", "yes/no", "Maybe.", "Perhaps it is.", "A bird.",
        "Is it a bird?", "I don't know.", "I cannot tell.", "It could be a bird.", "It depends.",
        "I'm not sure.", "No, yes.", "Yes, it is not.", "No idea.", "Could you repeat that?",
        "As a language model I cannot hear.", "The sound of rain.", "Yesterday it rained.",
        "Nobody knows.", "Not sure.", "Sorry, I can't help with that.", "I have no idea.",
        "Norwegian", "No, it is.", "Yes? No?", "Possibly yes", "No, maybe.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("text", "side"), [(t, s) for s, texts in CASES.items() for t in texts])
def test_hard_cases(text: str, side: str) -> None:
    assert yes_or_no(text) == side


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    assert yes_or_no(text) in ("yes", "no", "invalid")
    assert chosen(text, ["a bird", "a dog"]) in (0, 1, None)


@given(st.sampled_from(["Yes.", "No."]), st.sampled_from(["", " ", "\n"]), st.booleans())
def test_spaces_and_case_change_nothing(text: str, around: str, upper: bool) -> None:
    changed = around + (text.upper() if upper else text) + around
    assert yes_or_no(changed) == yes_or_no(text)


OPTIONS = ["a bird", "a song bird", "a dog", "weather"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A bird.", 0), ("bird", 0), ("It is a song bird.", 1), ("DOG!", 2), ("Weather", 3),
        ("B", 1),
        ("(c)", 2), ("Option D.", 3), ("The answer is b", 1), ("A bird or a dog", None),
        ("a cat", None), ("", None), ("Not a dog.", None), ("Is it a dog?", None), ("E", None),
        ("dogma", None), ("It's a dog, I think.", 2), ("A) a bird", 0), ("A song bird", 1),
    ],
)  # fmt: skip
def test_choices(text: str, expected: int | None) -> None:
    assert chosen(text, OPTIONS) == expected
