"""Recipes are read from TOML, and a message names the place of a mistake."""

from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.small_ltu.recipe import PretrainedEncoder, read_recipe, shipped_recipes

RECIPE = """
base = "some/llama"
[scenes]
n_train = 8
[[encoder_stages]]
arguments = { steps = 1, learning_rate = 0.1 }
[[stages]]
name = "one"
train = "projector"
arguments = { steps = 1, learning_rate = 0.1 }
"""


def test_shipped_recipes_are_valid() -> None:
    assert set(shipped_recipes()) == {"mini", "mini-v1", "quick", "architectures"}
    recipes = {name: read_recipe(name) for name in shipped_recipes()}
    for name, recipe in recipes.items():
        assert recipe.base == "HuggingFaceTB/SmolLM2-135M-Instruct"
        is_ltu = isinstance(recipe.encoder, CavMaeConfig)
        assert (recipe.stages[0].train == "projector") == is_ltu, "LTU's first stage"
        assert bool(recipe.encoder_stages) == is_ltu, name
    encoder = recipes["mini-v1"].encoder
    assert isinstance(encoder, CavMaeConfig)
    assert 4 <= encoder.n_blocks <= 6
    assert recipes["mini"].encoder == PretrainedEncoder("yamnet", {"hop": 0.48})


def test_a_pretrained_encoder_has_no_encoder_stages(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE + '[encoder]\nname = "yamnet"\n')
    with pytest.raises(InvalidInputError, match="none for a pretrained encoder"):
        read_recipe(path)
    path.write_text(RECIPE + "[encoder]\nwidht = 8\n")
    with pytest.raises(InvalidInputError, match="widht"):
        read_recipe(path)
    path.write_text(RECIPE.replace("[scenes]", "[scenes]\nsynthesised_share = 1.5"))
    with pytest.raises(InvalidInputError, match=r"synthesised_share in \[0, 1\], got 1.5"):
        read_recipe(path)


def test_missing_keys_have_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert (recipe.lora.rank, recipe.lora.targets) == (8, ("q_proj", "v_proj"))
    assert recipe.scenes.n_train == 8
    assert recipe.stages[0].targets == "answer"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_train", "n_trian", r"scenes: unknown key 'n_trian'. Did you mean 'n_train'"),
        (
            "steps = 1, learning_rate = 0.1 }\n[[stages]]",
            "steps = 0 }\n[[stages]]",
            "encoder_stages, number 1: arguments: the key 'learning_rate'",
        ),
        ('name = "one"', "", "stages, number 1: the key 'name'"),
        ("[[encoder_stages]]", "[[encoder_stages", "cannot be read as TOML"),
        ('name = "one"', 'name = "one"\nscenes = 0', "not all of them 0"),
        ('name = "one"', 'name = "one"\ntext_pairs = -1', "text_pairs of at least 0"),
    ],
)
def test_message_names_the_place_of_a_mistake(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    assert old in RECIPE
    path.write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(InvalidInputError, match=message):
        read_recipe(path)


def test_repeated_stage_names_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE + RECIPE[RECIPE.index("[[stages]]") :])
    with pytest.raises(InvalidInputError, match="different names"):
        read_recipe(path)
    with pytest.raises(InvalidInputError, match="mini-v1, mini, quick"):
        read_recipe(tmp_path / "none.toml")
