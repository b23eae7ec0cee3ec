"""A study of architectures that takes seconds: a tiny LLaMA on features of a few scenes."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from tests.tiny_ltu import write_base
from tests.tiny_recipe import SOURCES

from audioprobe.experiments.architectures.config import (
    ArchitecturesConfig,
    Arm,
    parse_architectures,
)
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.run import ArchitecturesRun
from audioprobe.experiments.architectures.storage import ArmResult
from audioprobe.progress import ignore_progress

N_SCENES = 16
_ARGUMENTS = {"learning_rate": 1e-3, "warmup_steps": 1, "save_every": 1}
ARMS: dict[str, dict[str, Any]] = {
    "linear": {},
    "codes": {"connector": {"kind": "codes", "n_codes": 4}},
    "cross-attention": {
        "connector": {
            "kind": "cross_attention",
            "every": 2,
            "token_width": 8,
            "width": 4,
            "n_heads": 2,
        }
    },
    "controller": {"input": "tools"},
    "cascade": {"input": "tags"},
    "blind": {"input": "nothing"},
    "true-tags": {"input": "true tags"},
}
"""Definition of one arm for each input, and for tokens with three connectors."""


def recipe(base: Path) -> dict[str, Any]:
    """Return the tables of a recipe without recordings: a stage in text, and one about audio."""
    return {
        "base": str(base),
        "held_out": 0.2,
        "encoder": {"name": "yamnet", "options": {"hop": 1.92}},
        "scenes": {
            "n_train": N_SCENES,
            "n_validation": 0,
            "max_sources": 2,
            "bare_share": 0.5,
            "sources": list(SOURCES),
            "recordings": False,
        },
        "lora": {"rank": 2, "alpha": 4, "dropout": 0.0},
        "alignment": {"arguments": {"steps": 2, **_ARGUMENTS}, "batch_size": 4},
        "codebook": {"n_starts": 1},
        "stages": [
            {
                "name": "text",
                "train": "lora",
                "arguments": {"steps": 2, **_ARGUMENTS},
                "scenes": 0,
                "text_pairs": 1,
                "max_tokens": 250,
            },
            {
                "name": "audio",
                "train": "projector+lora",
                "arguments": {"steps": 2, **_ARGUMENTS},
                "scenes": 2,
                "questions_per_scene": 2,
                "plain_captions": True,
                "text_pairs": 1,
                "max_tokens": 250,
            },
        ],
    }


def write_recipe(folder: Path, **changes: object) -> Path:
    """Write a recipe and its base to a folder, and return the path of the recipe."""
    base = folder / "base"
    if not base.is_dir():
        base.mkdir(parents=True)
        write_base(base, with_sound=False)
    path = folder / "tiny-recipe.toml"
    path.write_text(tomli_w.dumps({**recipe(base), **changes}), encoding="utf-8")
    return path


def settings(recipe_path: Path, *names: str, **changes: object) -> dict[str, Any]:
    """Return a study of some arms, by default of all, as tables of TOML."""
    return {
        "kind": "architectures",
        "recipe": str(recipe_path),
        "seeds": 1,
        "rates": {"factors": [1.0, 3.0], "steps": 1, "n_scenes": 3},
        "evaluation": {"n_clips": 1, "max_trained": 2, "n_scenes": 4, "locate_trials": 0},
        "bootstrap": {"n_resamples": 20},
        "arms": [{"name": name, **ARMS[name]} for name in names or ARMS],
        **changes,
    }


def parsed(tables: Mapping[str, object]) -> ArchitecturesConfig:
    return parse_architectures(tomli_w.dumps(tables), "the study")


def study(tables: Mapping[str, object]) -> ArchitecturesRun:
    return ArchitecturesRun(parsed(tables), tomli_w.dumps(tables))


def materials(tables: Mapping[str, object], folder: Path) -> ArmMaterials:
    return ArmMaterials(parsed(tables), folder, ignore_progress)


def arm(name: str) -> Arm:
    """Return an arm of `ARMS`."""
    tables = {"kind": "architectures", "recipe": "", "arms": [{"name": name, **ARMS[name]}]}
    return parsed(tables).arms[0]


def without_times(result: ArmResult) -> dict[str, Any]:
    """Return the fields of a result that do not depend on the time of the run."""
    names = set(ArmResult.__dataclass_fields__) - {"seconds_per_step", "start"}
    return {name: getattr(result, name) for name in names}


def copied(made: ArmMaterials, folder: Path) -> Path:
    """Copy features, tagger and logits to the folder of another study, which reuses them."""
    shutil.copytree(made.folder, folder, dirs_exist_ok=True)
    return folder
