"""Configuration of a classification experiment (TOML)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.prompts.levels import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """Clips with labels that are classified.

    Attributes:
        name: of the results, unique in the run.
        dataset: where the clips come from.
        split: of the data set.
        labels: class names; empty takes those of the data set that occur in the split.
        max_clips: number of clips to take from the beginning of the split; 0 takes all.
        mapping: a table that renames labels (columns label and name): its path, or the name of one
            that ships; "" keeps the labels.
        thresholds_from: name of the evaluation set whose scores the F1 thresholds are tuned on; ""
            tunes them on the scored clips themselves, which is an upper bound.
        familiar: whether the model was trained on such audio; None if unknown.
        allow_training_clips: continue if `familiar` is false and the model was trained on some of
            these clips; otherwise that is an error.
    """

    name: str
    dataset: ComponentSpec
    split: str
    labels: tuple[str, ...] = ()
    max_clips: int = 0
    mapping: str = ""
    thresholds_from: str = ""
    familiar: bool | None = None
    allow_training_clips: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec:
    """A prompt level.

    Attributes:
        prompt: name of a prompt.
        control: see `prompts.levels.PromptLevel`.
        examples: number of in-context examples.
        audio_examples: whether the examples include their audio.
        examples_split: split that examples are drawn from; never the one that is classified.
        descriptions: a table with the columns label and description: its path, or the name of one
            that ships, or AudioSet's ontology.json; "" if the prompt needs none.
        absent: the same for classes that are not among the labels.
    """

    prompt: str
    control: Control = "none"
    examples: int = 0
    audio_examples: bool = False
    examples_split: str = ""
    descriptions: str = ""
    absent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationConfig:
    """A classification experiment: every prompt level on every evaluation set.

    Attributes:
        kind: "classification".
        model: the language model.
        evaluation_sets: the clips.
        prompt_levels: the prompts; the first is the baseline of comparisons.
        scorer: compares captions with labels.
        prompt_file: a file of prompts; "" takes those that ship.
        cache: path of a response cache that runs can share; "" uses none.
        bootstrap: how intervals are computed.
        seed: of in-context examples and controls.
    """

    kind: Literal["classification"]
    model: ComponentSpec
    evaluation_sets: tuple[EvaluationSet, ...]
    prompt_levels: tuple[PromptSpec, ...]
    scorer: ComponentSpec = field(default_factory=lambda: ComponentSpec("embedding"))
    prompt_file: str = ""
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        names = [evaluation_set.name for evaluation_set in self.evaluation_sets]
        if not names or not self.prompt_levels:
            raise InvalidInputError(
                "A classification run needs at least one evaluation set and one prompt level; "
                f"received {len(names)} and {len(self.prompt_levels)}."
            )
        check_names("evaluation sets", names)
        for evaluation_set in self.evaluation_sets:
            source = evaluation_set.thresholds_from
            if source and (source == evaluation_set.name or source not in names):
                raise InvalidInputError(
                    f"{evaluation_set.name}: thresholds_from must name another evaluation set of "
                    f"the run; received {source!r}.{did_you_mean(source, names)}"
                )
        for level in self.prompt_levels:
            if level.examples and not level.examples_split:
                raise InvalidInputError(
                    f"The prompt level {level.prompt!r} shows examples: set examples_split to the "
                    "split that they are drawn from."
                )
            if level.examples_split in {each.split for each in self.evaluation_sets} - {""}:
                raise InvalidInputError(
                    f"The prompt level {level.prompt!r} draws examples from the split "
                    f"{level.examples_split!r}, which is classified. Choose another split."
                )


def read_classification(name: str | Path) -> ClassificationConfig:
    """Read a configuration by its path, or by the name of one that ships.

    Raises:
        InvalidInputError: as `read_config`.
    """
    return read_config(ClassificationConfig, find_config(name, SHIPPED_CONFIGS))
