"""Every rung tells more than the one before, and its control keeps the form without the sense."""

import re

import pytest

from audioprobe.classification.caption import CAPTION_QUESTION
from audioprobe.errors import InvalidInputError
from audioprobe.prompts.levels import PromptLevel, caption_of, shipped

LABELS = ("grouse", "rain", "truck")
DESCRIPTIONS = {"grouse": "a low cackle", "rain": "a steady hiss", "truck": "a rumble", "x": "?"}
ABSENT = {"lion": "a roar", "rain": "not absent", "oboe": "a reedy tone", "bee": "a buzz"}
LADDER = shipped()


def ask(rung: PromptLevel, seed: int = 0) -> str:
    return rung.question(LABELS, DESCRIPTIONS, ABSENT, seed=seed)


def described(question: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+): (.*)$", question, re.MULTILINE))


def test_the_first_rung_is_ltus_own_question_and_each_is_longer() -> None:
    questions = [ask(PromptLevel(template)) for template in LADDER.values()]
    assert questions[0] == CAPTION_QUESTION
    assert list(LADDER) == ["caption", "task", "labels", "descriptions", "acoustic"]
    assert all(question.startswith("Close-ended question: ") for question in questions)
    assert "grouse, rain, truck" in questions[2]
    assert described(questions[3]) == {name: DESCRIPTIONS[name] for name in LABELS}


@pytest.mark.parametrize("seed", range(5))
def test_controls_keep_the_form(seed: int) -> None:
    rung = ask(PromptLevel(LADDER["acoustic"]))
    shuffled = ask(PromptLevel(LADDER["acoustic"], "shuffled"), seed)
    assert sorted(described(shuffled).values()) == sorted(described(rung).values())
    assert all(described(shuffled)[name] != DESCRIPTIONS[name] for name in LABELS)
    absent = described(ask(PromptLevel(LADDER["acoustic"], "absent"), seed))
    assert set(absent) == {"lion", "oboe", "bee"}
    assert absent["lion"] == ABSENT["lion"]


def test_examples_are_drawn_by_the_seed_and_wrong_ones_are_all_wrong() -> None:
    shots = [("grouse",), ("rain", "truck"), ("truck",), ()]
    rung = PromptLevel(LADDER["caption"], n_examples=3)
    found = rung.examples(shots, "What?", seed=1)
    assert [example.answer for _, example in found] == [caption_of(shots[n]) for n, _ in found]
    assert found[0][1].question == "What?"
    again = PromptLevel(LADDER["caption"], "wrong", n_examples=3).examples(shots, "What?", seed=1)
    assert [number for number, _ in again] == [number for number, _ in found]
    assert all(example.answer != caption_of(shots[number]) for number, example in again)
    assert caption_of(()) == "Audio caption: The sound of nothing in particular."


def test_names_tell_rungs_apart() -> None:
    template = LADDER["acoustic"]
    rungs = [
        PromptLevel(template),
        PromptLevel(template, "absent"),
        PromptLevel(template, n_examples=2, sounds=True),
    ]
    assert [rung.name for rung in rungs] == [
        "acoustic",
        "acoustic, absent",
        "acoustic, 2 examples with sound",
    ]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no control of it"):
        PromptLevel(LADDER["caption"], "shuffled")
    with pytest.raises(InvalidInputError, match="one of none, shuffled"):
        PromptLevel(LADDER["caption"], "mixed")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="two examples or more"):
        PromptLevel(LADDER["caption"], "wrong", n_examples=1)
    with pytest.raises(InvalidInputError, match="no description of grouse"):
        PromptLevel(LADDER["acoustic"]).question(LABELS, {}, {}, seed=0)
    with pytest.raises(InvalidInputError, match="3 absent classes are needed"):
        PromptLevel(LADDER["acoustic"], "absent").question(LABELS, DESCRIPTIONS, {"a": "b"}, seed=0)
    with pytest.raises(InvalidInputError, match="2 examples are wanted and there are 1"):
        PromptLevel(LADDER["caption"], n_examples=2).examples([("rain",)], "?", seed=0)
    with pytest.raises(InvalidInputError, match="the same labels"):
        PromptLevel(LADDER["caption"], "wrong", n_examples=2).examples(
            [("a",), ("a",)], "?", seed=0
        )
