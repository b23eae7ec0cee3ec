"""Each prompt level gives more information than the one before, and controls keep its form."""

import re

import pytest

from audioprobe.classification.caption import CAPTION_QUESTION
from audioprobe.errors import InvalidInputError
from audioprobe.prompts import PromptLevel, label_caption, shipped_templates

LABELS = ("grouse", "rain", "truck")
DESCRIPTIONS = {"grouse": "a low cackle", "rain": "a steady hiss", "truck": "a rumble", "x": "?"}
ABSENT = {"lion": "a roar", "rain": "not absent", "oboe": "a reedy tone", "bee": "a buzz"}
TEMPLATES = shipped_templates()
CAPTION, ACOUSTIC = TEMPLATES["caption"], TEMPLATES["acoustic"]


def question(level: PromptLevel, seed: int = 0) -> str:
    return level.question(LABELS, DESCRIPTIONS, ABSENT, seed=seed)


def descriptions_in(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+): (.*)$", text, re.MULTILINE))


def test_the_first_level_is_the_question_of_ltu_and_each_level_adds_to_it() -> None:
    questions = [question(PromptLevel(template)) for template in TEMPLATES.values()]
    assert questions[0] == CAPTION_QUESTION
    assert list(TEMPLATES) == ["caption", "task", "labels", "descriptions", "acoustic"]
    assert all(text.startswith("Close-ended question: ") for text in questions)
    assert "grouse, rain, truck" in questions[2]
    assert descriptions_in(questions[3]) == {name: DESCRIPTIONS[name] for name in LABELS}


@pytest.mark.parametrize("seed", range(5))
def test_controls_keep_the_form_of_the_level(seed: int) -> None:
    level = descriptions_in(question(PromptLevel(ACOUSTIC)))
    shuffled = descriptions_in(question(PromptLevel(ACOUSTIC, "shuffled"), seed))
    assert sorted(shuffled.values()) == sorted(level.values())
    assert all(shuffled[name] != DESCRIPTIONS[name] for name in LABELS)
    absent = descriptions_in(question(PromptLevel(ACOUSTIC, "absent"), seed))
    assert set(absent) == {"lion", "oboe", "bee"}
    assert absent["lion"] == ABSENT["lion"]


def test_examples_are_drawn_by_the_seed_and_the_wrong_control_makes_all_answers_wrong() -> None:
    shots = [("grouse",), ("rain", "truck"), ("truck",), ()]
    examples = PromptLevel(CAPTION, n_examples=3).examples(shots, "What?", seed=1)
    wrong = PromptLevel(CAPTION, "wrong", n_examples=3).examples(shots, "What?", seed=1)
    assert [example.answer for _, example in examples] == [
        label_caption(shots[position]) for position, _ in examples
    ]
    assert examples[0][1].question == "What?"
    assert [position for position, _ in wrong] == [position for position, _ in examples]
    assert all(example.answer != label_caption(shots[position]) for position, example in wrong)
    assert label_caption(()) == "Audio caption: The sound of nothing in particular."


def test_levels_have_distinct_names() -> None:
    levels = [
        PromptLevel(ACOUSTIC),
        PromptLevel(ACOUSTIC, "absent"),
        PromptLevel(ACOUSTIC, n_examples=2, with_audio=True),
    ]
    assert [level.name for level in levels] == [
        "acoustic",
        "acoustic, absent",
        "acoustic, 2 examples with sound",
    ]


def test_invalid_levels_and_missing_descriptions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'shuffled' needs a prompt with"):
        PromptLevel(CAPTION, "shuffled")
    with pytest.raises(InvalidInputError, match="one of none, shuffled"):
        PromptLevel(CAPTION, "mixed")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="at least 2 for the control 'wrong', got 1"):
        PromptLevel(CAPTION, "wrong", n_examples=1)
    with pytest.raises(InvalidInputError, match="no description of grouse"):
        PromptLevel(ACOUSTIC).question(LABELS, {}, {}, seed=0)
    with pytest.raises(InvalidInputError, match="at least 3 absent classes"):
        PromptLevel(ACOUSTIC, "absent").question(LABELS, DESCRIPTIONS, {"a": "b"}, seed=0)
    with pytest.raises(InvalidInputError, match="at least 2 clips for examples, got 1"):
        PromptLevel(CAPTION, n_examples=2).examples([("rain",)], "?", seed=0)
    with pytest.raises(InvalidInputError, match="the same labels"):
        PromptLevel(CAPTION, "wrong", n_examples=2).examples([("a",), ("a",)], "?", seed=0)
