"""Recorded states of the trials of a study, which several measurements use."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.probe_estimates import ProbeSettings
from audioprobe.interpretability.recording import record
from audioprobe.interpretability.recording_files import Recording
from audioprobe.progress import ProgressCallback, staged
from audioprobe.protocols import Inspectable
from audioprobe.sites import find_sites
from audioprobe.types import BoolArray, IntArray

CONCEPT_SPANS: dict[Modality, str] = {"text": "concept", "audio": "audio"}
"""The span that stands for the concept in each modality: its phrase, or its clip."""
ANSWER_SPAN = "last"
"""The span from which the answer is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementOptions:
    """Settings of all measurements.

    Attributes:
        sites: names or patterns of the sites whose states are compared.
        patched_sites: names or patterns of the sites at which states are replaced or changed.
        batch_size: prompts per forward pass.
        max_trials: maximum number of trials in measurements with several forward passes per trial,
            drawn evenly from all roles and evaluation sets; 0 means all.
        n_controls: number of control tasks of a linear probe.
        n_permutations: number of permutations in tests of similarity and transfer.
        probe: folds, penalty, seed and intervals of linear probes.
        seed: random seed of permutations, controls and of the draw of trials.
    """

    sites: tuple[str, ...] = ("encoder.out", "connector.out", "lm.resid.*")
    patched_sites: tuple[str, ...] = ("lm.resid.*",)
    batch_size: int = 8
    max_trials: int = 200
    n_controls: int = 10
    n_permutations: int = 100
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.batch_size, self.n_controls, self.n_permutations)
        if min(counts) < 1 or self.max_trials < 0:
            raise InvalidInputError(
                "Expected batch_size, n_controls and n_permutations >= 1 and max_trials >= 0, "
                f"received {', '.join(map(str, counts))} and {self.max_trials}."
            )


@dataclass(frozen=True, slots=True)
class TrialStates:
    """States of the trials in one modality.

    Attributes:
        recording: recorded states of the distinct prompts.
        rows: row of the recording of each trial.
    """

    recording: Recording
    rows: IntArray

    @property
    def sites(self) -> tuple[str, ...]:
        """Recorded sites."""
        return self.recording.sites

    def at(self, site: str, span: str) -> States:
        """Return the states of all trials, shape (n_trials, width); NaN if they are missing."""
        return self.recording.states(site, span)[self.rows]


def record_states(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
    *,
    modalities: Sequence[Modality] = ("text", "audio"),
) -> dict[Modality, TrialStates]:
    """Record the states of all trials in text and about audio, or read them if they are complete.

    Text has states in the language model only.

    Args:
        model: the model.
        trials: the trials.
        options: sites and batch size.
        folder: folder of the recorded states.
        progress: called after every batch.
        modalities: which prompts are recorded.

    Raises:
        InvalidInputError: if a site is unknown, or the folder contains other states.
    """
    states: dict[Modality, TrialStates] = {}
    for modality in modalities:
        span = CONCEPT_SPANS[modality]
        questions = [trial.trial(modality).question for trial in trials.record.trials]
        keys = [(q.text, q.pair.concept, q.clip, q.options, q.correct) for q in questions]
        numbers = {key: n for n, key in reversed([*enumerate(keys)])}
        distinct = sorted(numbers.values())
        sites = find_sites(options.sites, model.sites)
        if modality == "text":
            sites = tuple(site for site in sites if site.startswith("lm."))
        if not sites:
            raise InvalidInputError(
                f"Expected a site of the language model in options.sites, received {options.sites}."
            )
        recording = record(
            model,
            trials.only(distinct).prompts(modality),
            sites,
            (span, ANSWER_SPAN),
            folder / f"states-{modality}",
            batch_size=options.batch_size,
            progress=staged(progress, f"states, {modality}"),
        )
        row_of = {number: row for row, number in enumerate(distinct)}
        rows = np.array([row_of[numbers[key]] for key in keys], dtype=np.int64)
        states[modality] = TrialStates(recording, rows)
    return states


def randomized_network(model: Inspectable, seed: int) -> Inspectable | None:
    """Return the model with permuted weights; None if its weights are quantized.

    The measurement "floors of linear probes" reports the reason.
    """
    try:
        return model.randomized(seed)
    except UnsupportedInputError:
        return None


def first_of_each(names: Sequence[Hashable]) -> IntArray:
    """Return the index of the first occurrence of each name."""
    first = {name: n for n, name in reversed([*enumerate(names)])}
    return np.array(sorted(first.values()), dtype=np.int64)


def is_defined(states: States) -> BoolArray:
    """Return whether the states of each item are defined, shape (n_items,)."""
    return np.asarray(~np.isnan(states).any(axis=1), dtype=np.bool_)
