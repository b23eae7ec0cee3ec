"""Configuration of an interpretability study (TOML)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from audioprobe.audio.windowing import Windowing
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.experiments.interpretability.measurements import MEASUREMENTS
from audioprobe.experiments.interpretability.rules import ConclusionRules
from audioprobe.experiments.interpretability.states import MeasurementOptions
from audioprobe.experiments.probing.config import ConceptSpec, ProbeEvaluationSet
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import FIRST_SECONDS, checked_windowing
from audioprobe.probing.wordings import PromptingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpretabilityConfig:
    """A study: one model, yes/no questions about classes in text and in audio, and measurements.

    Attributes:
        kind: "interpretability".
        model: the model, whose activations must be accessible.
        evaluation_sets: clips; `familiar` states whether the model was trained on such audio.
        optional_sets: names of evaluation sets that are left out, with a notice, if their data set
            cannot be loaded.
        training: name of a shipped small LTU, such as "mini", or folder of a training by
            `audioprobe train-ltu`, whose relations (concept, class) are known; "" if the relations
            in the training of the model are unknown.
        concepts: source of the concepts; only concepts with clips are used.
        prompting: texts of the questions and of the two answers. Answers are compared by their
            likelihood; free text and samples are not requested.
        measurements: names of the measurements. More can be added to a finished study.
        options: sites, spans and sizes of the measurements.
        n_clips: maximum number of clips per concept; 0 means all.
        n_wordings: number of wordings of each question; 0 means all.
        max_pairs: maximum number of true relations per evaluation set and role in the training,
            each with a false relation; 0 means all.
        windowing: how clips are read; the length is "crop" (default: the first 10 s), "pad" or
            "whole".
        rules: thresholds of the conclusions.
        cache: path of a response cache that several runs can share; "" means no cache.
        bootstrap: how confidence intervals are computed; concepts are resampled.
        seed: random seed of drawn questions and of the measurements.
        seconds_per_prompt: duration of a forward pass over one prompt in seconds, from which
            `--dry-run` estimates the duration of the study.
    """

    kind: Literal["interpretability"]
    model: ComponentSpec
    evaluation_sets: tuple[ProbeEvaluationSet, ...]
    optional_sets: tuple[str, ...] = ()
    training: str = ""
    concepts: ConceptSpec = field(default_factory=ConceptSpec)
    prompting: PromptingOptions = field(default_factory=PromptingOptions)
    measurements: tuple[str, ...] = field(default=tuple(MEASUREMENTS), compare=False)
    options: MeasurementOptions = field(default_factory=MeasurementOptions)
    n_clips: int = 1
    n_wordings: int = 1
    max_pairs: int = 0
    windowing: Windowing = FIRST_SECONDS
    rules: ConclusionRules = field(default_factory=ConclusionRules, compare=False)
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0
    seconds_per_prompt: float = field(default=0.2, compare=False)

    def __post_init__(self) -> None:
        checked_windowing(self.windowing)
        names = [each.name for each in self.evaluation_sets]
        check_names("evaluation sets", names)
        if not names:
            raise InvalidInputError("Expected at least one evaluation set, received none.")
        for what, values, known in (
            ("evaluation set in optional_sets", self.optional_sets, names),
            ("measurement", self.measurements, list(MEASUREMENTS)),
        ):
            for name in values:
                if name not in known:
                    raise InvalidInputError(
                        f"Expected a known {what} ({', '.join(known)}), received {name!r}."
                        f"{did_you_mean(name, known)}"
                    )
        for name, count in (
            ("n_clips", self.n_clips),
            ("n_wordings", self.n_wordings),
            ("max_pairs", self.max_pairs),
        ):
            if count < 0:
                raise InvalidInputError(f"Expected {name} >= 0, received {count}.")

    @property
    def likelihoods_only(self) -> PromptingOptions:
        """Settings of the prompts, without free text and samples."""
        return replace(self.prompting, free_text=False, likelihoods=True, samples=0)


def read_interpretability(name: str | Path) -> InterpretabilityConfig:
    """Read a configuration from a path, or by the name of a shipped one.

    Raises:
        InvalidInputError: see `read_config`.
    """
    return read_config(InterpretabilityConfig, find_config(name, SHIPPED_CONFIGS))
