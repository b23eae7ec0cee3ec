"""Targets: configurations in TOML of every kind."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import Inputs, damaged_toml
from tests.fuzz.target import Target, file_target

import audioprobe
from audioprobe.concepts.concept import read_concepts
from audioprobe.experiments.architectures.config import parse_architectures, read_architectures
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.finetuning.config import parse_study, read_study
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.interpretability.config import read_interpretability
from audioprobe.experiments.probing.config import read_probe
from audioprobe.probing.wordings import read_wordings
from audioprobe.prompts.template import read_templates
from audioprobe.small_ltu.recipe import read_recipe

SOURCE = Path(audioprobe.__file__).parent
_CONFIGS = SOURCE / "experiments" / "configs"


def shipped(*names: str) -> list[dict[str, Any]]:
    """Return the content of configurations of experiments that are shipped."""
    return [tomllib.loads((_CONFIGS / f"{name}.toml").read_text("utf-8")) for name in names]


def _of(*paths: str) -> Callable[[], Inputs]:
    return lambda: damaged_toml([tomllib.loads((SOURCE / p).read_text("utf-8")) for p in paths])


def _of_experiments(*names: str) -> Callable[[], Inputs]:
    return lambda: damaged_toml(shipped(*names))


def _few_concepts() -> Inputs:
    tables = tomllib.loads((SOURCE / "concepts" / "concepts.toml").read_text("utf-8"))
    few = dict(list(tables["concepts"].items())[:3])
    return damaged_toml([{**tables, "concepts": few}])


def _study(path: Path) -> None:
    training_runs(read_study(path))


def _run_text(parse: Callable[[str, str], object]) -> Callable[[bytes, Path], object]:
    return lambda content, _folder: parse(content.decode("utf-8", "replace"), "config.toml")


TARGETS = [
    file_target(f"config-{name}", inputs, "config.toml", read)
    for name, inputs, read in (
        (
            "classification",
            _of_experiments("recordings", "edansa", "audioset"),
            read_classification,
        ),
        (
            "probing",
            _of_experiments("concepts", "concepts-study", "familiar-unfamiliar"),
            read_probe,
        ),
        ("finetuning", _of_experiments("finetuning-study", "finetuning-recordings"), _study),
        ("interpretability", _of_experiments("interpretability"), read_interpretability),
        ("architectures", _of_experiments("architectures"), read_architectures),
        ("recipe", _of("small_ltu/recipes/mini.toml", "small_ltu/recipes/quick.toml"), read_recipe),
        (
            "wordings",
            _of("probing/templates/plain.toml", "probing/templates/brief.toml"),
            read_wordings,
        ),
        ("prompts", _of("prompts/classification.toml"), read_templates),
        ("concepts", _few_concepts, read_concepts),
    )
] + [
    Target("text-architectures", _of_experiments("architectures"), _run_text(parse_architectures)),
    Target("text-finetuning", _of_experiments("finetuning-study"), _run_text(parse_study)),
]
