"""The measurements of a study, in one registry.

A measurement is a function of a model and matched trials. It returns curves over sites, whose
items are ids of trials (`StudyTrials.ids`) or names of clips (`StudyTrials.clips`), and tables of
what has no value per item. To add one, write such a function and an entry in `MEASUREMENTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from audioprobe.experiments.interpretability.floors import FLOORS, probe_floors
from audioprobe.experiments.interpretability.interventions import (
    BLOCKING,
    ERASING,
    NEAREST,
    PATCHING,
    blocked_attention,
    erased_words,
    passes_of_blocking,
    passes_of_erasing,
    passes_of_patching,
    passes_of_words,
    patched_texts,
    words_of_clips,
)
from audioprobe.experiments.interpretability.representations import (
    DISTANCE,
    LINEAR,
    SIMILARITY,
    TRANSFER,
    compare_text_and_audio,
    modality_distances,
    probe_sites,
    transfer_between_modalities,
)
from audioprobe.experiments.interpretability.states import MeasurementOptions
from audioprobe.experiments.interpretability.trial_probes import (
    STAGES,
    class_and_answer,
    passes_of_probes,
)
from audioprobe.experiments.interpretability.trials import StudyTrials
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback
from audioprobe.protocols import Inspectable

MeasurementFunction: TypeAlias = Callable[
    [Inspectable, StudyTrials, MeasurementOptions, Path, ProgressCallback],
    Mapping[str, SiteCurve | DataTable],
]
"""Function of model, trials, options, folder for intermediate files (shared by all measurements,
and kept when a run resumes) and progress. It returns curves and tables by name."""


@dataclass(frozen=True, slots=True)
class StudyMeasurement:
    """A measurement of a study.

    Attributes:
        compute: the function that measures.
        n_passes: number of forward passes over a prompt, without those that record states; a
            function of the number of trials.
        text: what is measured, for the report.
        uses_states: whether it uses the states of all trials, which several measurements share.
    """

    compute: MeasurementFunction
    n_passes: Callable[[int], int]
    text: str
    uses_states: bool = False


def _none(n_trials: int) -> int:
    """Return the number of passes of a measurement that uses recorded states only."""
    return 0 * n_trials


def _once(n_trials: int) -> int:
    """Return the number of passes of a measurement that runs each trial once."""
    return n_trials


MEASUREMENTS: Mapping[str, StudyMeasurement] = {
    LINEAR: StudyMeasurement(
        probe_sites,
        _none,
        "Logistic regressions read the broad class of a concept from its clip or its phrase, and "
        "the correct answer from the last position. No concept is in both training and test set. "
        "Selectivity is accuracy minus that of random labels.",
        uses_states=True,
    ),
    TRANSFER: StudyMeasurement(
        transfer_between_modalities,
        _none,
        "The same classifiers are trained in one modality and tested in the other. The ceiling is "
        "a classifier that is trained on the test modality; p-values are of permuted labels.",
        uses_states=True,
    ),
    SIMILARITY: StudyMeasurement(
        compare_text_and_audio,
        _none,
        "Unbiased linear CKA of the concepts in text (phrase) and in audio (clip), each layer with "
        "each site; p-values are corrected for all pairs of sites.",
        uses_states=True,
    ),
    DISTANCE: StudyMeasurement(
        modality_distances,
        _none,
        "Separability is the AUC of a linear classifier of the modality. Retrieval is the share of "
        "concepts whose nearest state in the other modality is their own, after centring.",
        uses_states=True,
    ),
    NEAREST: StudyMeasurement(
        words_of_clips,
        passes_of_words,
        "Each position of a clip is compared with the phrases of all concepts in text, in all "
        "layers of the language model, by cosine after centring of each modality. The value is the "
        "share of positions whose nearest text is that of the concept; the control exchanges "
        "concepts.",
        uses_states=True,
    ),
    PATCHING: StudyMeasurement(
        patched_texts,
        passes_of_patching,
        "States of the text prompt replace those of the audio prompt, one layer at a time: the "
        "last position, and the mean of the phrase of the concept at all positions of the clip. "
        "The value is the recovered share of the logit difference; 1 is the answer in text.",
    ),
    BLOCKING: StudyMeasurement(
        blocked_attention,
        passes_of_blocking,
        "Attention edges are removed in windows of layers; the control removes as many random "
        "edges.",
    ),
    ERASING: StudyMeasurement(
        erased_words,
        passes_of_erasing,
        "The direction of the phrase of the concept in text is removed from the positions of the "
        "clip, one layer at a time; the control removes that of another concept.",
        uses_states=True,
    ),
    STAGES: StudyMeasurement(
        class_and_answer,
        passes_of_probes,
        "Logistic regressions read the broad class of the concept of each trial from its clip, and "
        "the correct answer from the last position; the controls have permuted labels or permuted "
        "weights. With patching and blocked attention, these curves show at which stage the "
        "concept is lost.",
    ),
    FLOORS: StudyMeasurement(
        probe_floors,
        _once,
        "What a linear probe reads of the class without the model: from mean and standard "
        "deviation of the log-mel spectrogram, and from the network with permuted weights (a "
        "frozen encoder that is not part of the network keeps its weights).",
    ),
}
"""All measurements by name, in the order in which they are made."""
