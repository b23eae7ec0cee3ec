"""Recipes are read as they are written, and what is wrong in one is told with its place."""

from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.small_ltu.recipe import read_recipe, shipped

GOOD = """
base = "some/llama"
[sounds]
n_train = 8
[[lessons]]
plan = { steps = 1, learning_rate = 0.1 }
[[stages]]
name = "one"
parts = ["projector"]
plan = { steps = 1, learning_rate = 0.1 }
"""


def test_the_shipped_recipes_are_read() -> None:
    assert shipped() == ("mini", "quick")
    for name in shipped():
        recipe = read_recipe(name)
        assert recipe.base == "HuggingFaceTB/SmolLM2-135M-Instruct"
        assert recipe.stages[0].parts == ("projector",), "LTU's first stage"
    assert 4 <= read_recipe("mini").encoder.n_blocks <= 6


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    recipe = read_recipe(path)
    assert (recipe.lora.rank, recipe.lora.targets) == (8, ("q_proj", "v_proj"))
    assert recipe.sounds.n_train == 8
    assert recipe.stages[0].loss == "answer"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n_train", "n_trian", r"sounds: unknown key 'n_trian'. Did you mean 'n_train'"),
        (
            'parts = ["projector"]',
            'parts = ["projection"]',
            "stages, number 1: parts, number 1: .*'projector'",
        ),
        (
            "steps = 1, learning_rate = 0.1 }\n[[stages]]",
            "steps = 0 }\n[[stages]]",
            "lessons, number 1: plan: the key 'learning_rate'",
        ),
        ('name = "one"', "", "stages, number 1: the key 'name'"),
        ("[[lessons]]", "[[lessons", "not readable as TOML"),
        ('name = "one"', 'name = "one"\nscenes = 0', "asks nothing"),
        ('name = "one"', 'name = "one"\nwords = -1', "cannot be negative"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InvalidInputError, match=words):
        read_recipe(path)


def test_stages_need_names_of_their_own_and_files_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + GOOD[GOOD.index("[[stages]]") :])
    with pytest.raises(InvalidInputError, match="different names"):
        read_recipe(path)
    with pytest.raises(InvalidInputError, match="neither a file nor one of mini, quick"):
        read_recipe(tmp_path / "none.toml")
