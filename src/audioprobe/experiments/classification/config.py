"""What a run of in-context classification depends on, as one file of TOML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.prompts.levels import Control

SHIPPED = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A component by its name.

    Attributes:
        name: as `audioprobe backends` lists it, "NAME" or "NAME:ARGUMENT".
        options: its keyword arguments.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """What is classified.

    Attributes:
        name: of the results, unique in the run.
        dataset: where the clips come from.
        split: of the data set.
        labels: class names; empty takes those of the data set that some clip of the split has.
        most: clips to take, the first ones; 0 takes all.
        mapping: a table with the columns label (of the data set) and name, see `datasets.mapped`,
            by its path or the name of one that ships; "" keeps the labels as they are.
        thresholds_from: name of the sounds whose scores the thresholds of F1 are tuned on; "" tunes
            them on the scored clips themselves, which is an upper bound and is called so.
        familiar: whether the model learned from such sound, for the drop between data sets; None
            where nobody knows.
        allow_training_clips: go on where `familiar` is false and the model was trained on some of
            the very clips; otherwise that is an error.
    """

    name: str
    dataset: ComponentSpec
    split: str
    labels: tuple[str, ...] = ()
    most: int = 0
    mapping: str = ""
    thresholds_from: str = ""
    familiar: bool | None = None
    allow_training_clips: bool = False


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """A rung of the ladder.

    Attributes:
        prompt: name of a prompt.
        control: see `prompts.levels.PromptLevel`.
        examples: how many examples are shown.
        sounds: whether they come with sound.
        examples_split: of the data set, where examples are drawn from; never the one classified.
        descriptions: a table with the columns label and description, by its path or the name of one
            that ships, or AudioSet's ontology.json; "" where the prompt has no place for any.
        absent: the same for classes that are not asked about.
    """

    prompt: str
    control: Control = "none"
    examples: int = 0
    sounds: bool = False
    examples_split: str = ""
    descriptions: str = ""
    absent: str = ""


@dataclass(frozen=True, slots=True)
class ClassificationConfig:
    """A run of in-context classification.

    Attributes:
        kind: "classification".
        model: who listens.
        sounds: what is classified; every rung is asked of all of it.
        rungs: what is asked; comparisons are with the first.
        scorer: compares captions with labels.
        prompts: a file of prompts; "" takes those that ship.
        cache: a store that runs share, so that no prompt is ever answered twice; "" has none.
        bootstrap: how intervals are computed.
        seed: of examples and controls.
    """

    kind: Literal["classification"]
    model: ComponentSpec
    sounds: tuple[EvaluationSet, ...]
    rungs: tuple[PromptSpec, ...]
    scorer: ComponentSpec = field(default_factory=lambda: ComponentSpec("embedding"))
    prompts: str = ""
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        names = [sound.name for sound in self.sounds]
        if not names or not self.rungs:
            raise InvalidInputError(
                f"A run needs sounds and at least one rung; got {len(names)} sounds and "
                f"{len(self.rungs)} rungs."
            )
        refuse_bad_names("sounds", names)
        for sound in self.sounds:
            tuned = sound.thresholds_from
            if tuned and (tuned == sound.name or tuned not in names):
                raise InvalidInputError(
                    f"{sound.name}: thresholds_from must name other sounds of the run, got "
                    f"{tuned!r}.{did_you_mean(tuned, names)}"
                )
        for rung in self.rungs:
            if rung.examples and not rung.examples_split:
                raise InvalidInputError(
                    f"The rung {rung.prompt!r} shows examples: name the split to draw them from "
                    "(examples_split)."
                )
            if rung.examples_split in {sound.split for sound in self.sounds} - {""}:
                raise InvalidInputError(
                    f"The rung {rung.prompt!r} draws examples from the split "
                    f"{rung.examples_split!r}, which is classified. Name another split."
                )


def refuse_bad_names(what: str, names: Sequence[str]) -> None:
    """Names become file names, and tell results apart.

    Raises:
        InvalidInputError: if two are the same, or one has other characters than a file name should.
    """
    if len(set(names)) < len(names):
        raise InvalidInputError(f"A run needs {what} of different names, got {', '.join(names)}.")
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInputError(
                f"The name {name!r} becomes a file name: use letters, digits, - and _."
            )


def read_classification(name: str | Path) -> ClassificationConfig:
    """Read a configuration, by its path or the name of one that ships.

    Raises:
        InvalidInputError: as `configs.read_config`.
    """
    return read_config(ClassificationConfig, find_config(name, SHIPPED))
