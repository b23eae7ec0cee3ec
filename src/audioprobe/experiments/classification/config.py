"""Configuration of a classification experiment (TOML)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from audioprobe.audio.windowing import Windowing
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.prompts.levels import Control
from audioprobe.types import Decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """Labelled clips that a model classifies.

    Attributes:
        name: name of the evaluation set in the results, unique in the run.
        dataset: data set that contains the clips.
        split: split of the data set.
        labels: class names; if empty, the labels of the data set that occur in the split.
        max_clips: number of clips to use, from the beginning of the split; 0 uses all clips.
        mapping: table that renames labels (columns label and name): a path, or the name of a
            shipped table; "" keeps the labels.
        thresholds_from: name of another evaluation set, on which the F1 thresholds are tuned; ""
            tunes them on the evaluated clips, so that F1 is an upper bound.
        familiar: whether the model was trained on such audio; None if unknown.
        allow_training_clips: whether to continue if `familiar` is false and the model was trained
            on some of these clips; otherwise, this is an error.
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
    """A prompt level: a prompt with its control condition, examples and descriptions.

    Attributes:
        prompt: name of a prompt.
        control: control condition: "none", "shuffled", "absent" or "wrong"; see
            `prompts.levels.PromptLevel`.
        examples: number of in-context examples.
        audio_examples: whether the examples include their audio.
        examples_split: split from which examples are drawn; it must not be evaluated.
        descriptions: table with the columns label and description: a path, the name of a shipped
            table, or AudioSet's ontology.json; "" if the prompt needs no descriptions.
        absent: table like `descriptions`, with classes that are not labels of the run, for the
            control "absent".
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
    """A classification experiment: every prompt level is applied to every evaluation set.

    Attributes:
        kind: "classification".
        model: language model that is evaluated.
        evaluation_sets: evaluation sets that are classified.
        prompt_levels: prompt levels; the first one is the baseline of comparisons.
        scorer: component that scores captions against labels.
        prompt_file: path of a file with prompts; "" uses the shipped prompts.
        windowing: how recordings are cut into mono windows; see `Windowing`.
        decoding: decoding settings of the captions; None uses the model's default, which is greedy.
        seeds: seeds of sampled decoding. The run is repeated with each seed, instead of
            `decoding.seed`; tables show the standard deviation over the seeds.
        cache: path of a response cache that several runs can share; "" uses no cache.
        bootstrap: settings of confidence intervals.
        seed: random seed of in-context examples and controls.
    """

    kind: Literal["classification"]
    model: ComponentSpec
    evaluation_sets: tuple[EvaluationSet, ...]
    prompt_levels: tuple[PromptSpec, ...]
    scorer: ComponentSpec = field(default_factory=lambda: ComponentSpec("embedding"))
    prompt_file: str = ""
    windowing: Windowing = field(default_factory=Windowing)
    decoding: Decoding | None = None
    seeds: tuple[int, ...] = ()
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        names = [evaluation_set.name for evaluation_set in self.evaluation_sets]
        if not names or not self.prompt_levels:
            raise InvalidInputError(
                "Expected at least one evaluation set and one prompt level; received "
                f"{len(names)} and {len(self.prompt_levels)}."
            )
        check_names("evaluation sets", names)
        self._check_seeds()
        for evaluation_set in self.evaluation_sets:
            source = evaluation_set.thresholds_from
            if source and (source == evaluation_set.name or source not in names):
                raise InvalidInputError(
                    f"{evaluation_set.name}: expected the name of another evaluation set in "
                    f"thresholds_from; received {source!r}.{did_you_mean(source, names)}"
                )
        for level in self.prompt_levels:
            if level.examples and not level.examples_split:
                raise InvalidInputError(
                    f"The prompt level {level.prompt!r} has examples, but no examples_split. Set "
                    "examples_split to the split from which examples are drawn."
                )
            if level.examples_split in {each.split for each in self.evaluation_sets} - {""}:
                raise InvalidInputError(
                    f"The prompt level {level.prompt!r} draws examples from the split "
                    f"{level.examples_split!r}, which is evaluated. Choose another split."
                )

    def _check_seeds(self) -> None:
        is_sampled = self.decoding is not None and self.decoding.temperature > 0
        if self.seeds and not is_sampled:
            raise InvalidInputError(
                "Expected a [decoding] with a temperature above 0 for several seeds: without "
                "sampling, all seeds give the same responses. Set the temperature, or remove seeds."
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise InvalidInputError(f"seeds must be different, got {self.seeds}.")

    @property
    def decodings(self) -> tuple[Decoding | None, ...]:
        """Decoding settings of each repetition; several only if there are `seeds`."""
        if self.decoding is None or not self.seeds:
            return (self.decoding,)
        return tuple(replace(self.decoding, seed=seed) for seed in self.seeds)


def read_classification(name: str | Path) -> ClassificationConfig:
    """Read a configuration from a path, or a shipped configuration by its name.

    Raises:
        InvalidInputError: if the file cannot be read, or has an unknown key, a missing key or an
            invalid value.
    """
    return read_config(ClassificationConfig, find_config(name, SHIPPED_CONFIGS))
