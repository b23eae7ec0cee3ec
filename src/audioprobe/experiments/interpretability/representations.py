"""Measurements of recorded states: linear probes, transfer, similarity and distance of modalities."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioprobe.experiments.interpretability.states import (
    ANSWER_SPAN,
    CONCEPT_SPANS,
    MeasurementOptions,
    TrialStates,
    first_of_each,
    is_defined,
    record_states,
)
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.linear_probe import linear_probe
from audioprobe.interpretability.modality_distance import compare_modalities
from audioprobe.interpretability.probe_fitting import IntArray
from audioprobe.interpretability.similarity import compare_layers
from audioprobe.interpretability.transfer_probe import transfer_probe
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.protocols import Inspectable
from audioprobe.types import BoolArray, Estimate

LINEAR, TRANSFER, SIMILARITY, DISTANCE = (
    "linear probe",
    "transfer probe",
    "similarity",
    "modality distance",
)
"""Names of the tables."""

CLASS, ANSWER = "class", "answer"
"""Labels of probes: the broad class of the concept, such as "animal", or the correct answer."""
LABELS = (CLASS, ANSWER)

_FEWEST_CONCEPTS = 3  # of a class that is a label of a probe
_FEWEST_FOR_SIMILARITY = 4  # concepts of unbiased CKA
_MODALITIES: tuple[Modality, ...] = ("text", "audio")


@dataclass(frozen=True, slots=True)
class ProbeItems:
    """States with a label and a concept each, for a probe at one site.

    Attributes:
        states: shape (n_items, width).
        labels: label of each item.
        concepts: concept of each item, which is its group.
        n_missing: number of items without states.
        n_left_out: number of items of classes with too few concepts.
    """

    states: States
    labels: tuple[str, ...]
    concepts: tuple[str, ...]
    n_missing: int
    n_left_out: int


@dataclass(frozen=True, slots=True)
class ProbeData:
    """All trials with their recorded states."""

    trials: StudyTrials
    states: dict[Modality, TrialStates]

    def items(self, label: str, modality: Modality, site: str, mask: BoolArray) -> ProbeItems:
        """Return the items of a probe.

        Args:
            label: "class" (one item per clip, or per concept in text) or "answer" (one per trial).
            modality: modality of the states.
            site: site of the states.
            mask: whether to use each trial.
        """
        numbers = np.flatnonzero(mask)
        n_left_out = 0
        if label == CLASS:
            names = self.trials.clips if modality == "audio" else self.trials.concepts
            numbers = numbers[first_of_each([names[n] for n in numbers])]
            n_before = len(numbers)
            numbers = self._of_frequent_classes(numbers)
            n_left_out = n_before - len(numbers)
        states = self.states[modality].at(site, span_of(label, modality))[numbers]
        defined = is_defined(states)
        chosen = numbers[defined]
        return ProbeItems(
            states[defined],
            tuple(self._label(label, n) for n in chosen),
            tuple(self.trials.concepts[n] for n in chosen),
            len(numbers) - len(chosen),
            n_left_out,
        )

    def concepts(
        self, modality: Modality, mask: BoolArray
    ) -> tuple[dict[str, States], tuple[str, ...]]:
        """Return the states of clips or phrases of concepts by site, and the concept of each item.

        Items without states at any of the sites are left out.
        """
        states, span = self.states[modality], CONCEPT_SPANS[modality]
        numbers = np.flatnonzero(mask)
        by_site = {site: states.at(site, span)[numbers] for site in states.sites}
        defined = np.all([is_defined(values) for values in by_site.values()], axis=0)
        chosen = {site: values[defined] for site, values in by_site.items()}
        return chosen, tuple(self.trials.concepts[n] for n in numbers[defined])

    def _of_frequent_classes(self, numbers: IntArray) -> IntArray:
        kinds, concepts = self.trials.kinds, self.trials.concepts
        counts = Counter(kind for _, kind in {(concepts[n], kinds[n]) for n in numbers.tolist()})
        return numbers[[counts[kinds[n]] >= _FEWEST_CONCEPTS for n in numbers]]

    def _label(self, label: str, number: int) -> str:
        if label == CLASS:
            return self.trials.kinds[number]
        return "yes" if self.trials.record.trials[number].audio.question.pair.holds else "no"


def span_of(label: str, modality: Modality) -> str:
    """Return the span from which a label is read."""
    return CONCEPT_SPANS[modality] if label == CLASS else ANSWER_SPAN


def probe_sites(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, DataTable]:
    """Train a linear probe at each site: can class and answer be read for other concepts?

    Concepts are groups: no concept is in both training and test set. The class is read from the
    clip or the phrase of the concept, the answer from the last position of the prompt.
    """
    data = ProbeData(trials, record_states(model, trials, options, folder, progress))
    jobs = [
        (group, mask, modality, label, site)
        for group, mask in trials.record.groups().items()
        for modality in _MODALITIES
        for label in LABELS
        for site in data.states[modality].sites
        if label == CLASS or site.startswith("lm.")
    ]
    rows = []
    for done, (group, mask, modality, label, site) in enumerate(jobs, 1):
        items = data.items(label, modality, site, mask)
        if items.labels:
            probe = linear_probe(
                items.states,
                items.labels,
                groups=items.concepts,
                n_controls=options.n_controls,
                n_orders=1,
                settings=options.probe,
            )
            place = (group, modality, label, site, span_of(label, modality))
            counts = (len(items.labels), items.n_missing, items.n_left_out)
            measured = (*_cells(probe.accuracy), *_cells(probe.selectivity), *_cells(probe.auc))
            rows.append(
                (*place, *counts, *measured, probe.chance, probe.p_value, probe.accuracy.method)
            )
        progress(ProgressEvent(stage=LINEAR, done=done, total=len(jobs)))
    names = ("group", "modality", "label", "site", "span", "n_items", "n_missing", "n_left_out")
    measures = (*_columns("accuracy"), *_columns("selectivity"), *_columns("auc"))
    return {LINEAR: DataTable.from_rows((*names, *measures, "chance", "p_value", "method"), rows)}


def transfer_between_modalities(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, DataTable]:
    """Train a probe in one modality and test it in the other, at each site of the language model.

    Each modality is standardized on its own. Test concepts are in neither training set.
    """
    data = ProbeData(trials, record_states(model, trials, options, folder, progress))
    everything = np.ones(len(trials), dtype=np.bool_)
    jobs = [
        (train, test, label, site)
        for train, test in (_MODALITIES, _MODALITIES[::-1])
        for label in LABELS
        for site in data.states["text"].sites
    ]
    rows = []
    for done, (train, test, label, site) in enumerate(jobs, 1):
        first = data.items(label, train, site, everything)
        second = data.items(label, test, site, everything)
        if first.labels and second.labels:
            result = transfer_probe(
                first.states,
                first.labels,
                second.states,
                second.labels,
                train_groups=first.concepts,
                test_groups=second.concepts,
                standardize="each",
                n_permutations=options.n_permutations,
                settings=options.probe,
            )
            counts = (len(first.labels), len(second.labels), first.n_missing + second.n_missing)
            aucs = (*_cells(result.auc), *_cells(result.ceiling_auc), result.null_auc)
            rows.append(
                (*(train, test, label, site), *counts, *aucs, result.p_value, result.auc.method)
            )
        progress(ProgressEvent(stage=TRANSFER, done=done, total=len(jobs)))
    names = ("train", "test", "label", "site", "n_train", "n_test", "n_missing")
    measures = (*_columns("auc"), *_columns("ceiling_auc"), "null_auc", "p_value", "method")
    return {TRANSFER: DataTable.from_rows((*names, *measures), rows)}


def compare_text_and_audio(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, DataTable]:
    """Compute the similarity (CKA) of all layers in text with all sites about audio."""
    data = ProbeData(trials, record_states(model, trials, options, folder, progress))
    tables = []
    groups = trials.record.groups()
    for done, (group, mask) in enumerate(groups.items(), 1):
        (text, text_concepts), (audio, audio_concepts) = (data.concepts(m, mask) for m in _MODALITIES)
        if len({*text_concepts} & {*audio_concepts}) >= _FEWEST_FOR_SIMILARITY:
            similarity = compare_layers(
                text,
                audio,
                first_concepts=text_concepts,
                second_concepts=audio_concepts,
                n_permutations=options.n_permutations,
                seed=options.seed,
            )
            first = {"group": group, "n_concepts": similarity.n_concepts}
            tables.append((first, similarity.data()))
        progress(ProgressEvent(stage=SIMILARITY, done=done, total=len(groups)))
    return {SIMILARITY: DataTable.joined(tables) if tables else DataTable({})}


def modality_distances(
    model: Inspectable,
    trials: StudyTrials,
    options: MeasurementOptions,
    folder: Path,
    progress: ProgressCallback,
) -> dict[str, DataTable]:
    """Compute how far text and audio states are apart at each site of the language model."""
    data = ProbeData(trials, record_states(model, trials, options, folder, progress))
    everything = np.ones(len(trials), dtype=np.bool_)
    (text, text_concepts), (audio, audio_concepts) = (
        data.concepts(m, everything) for m in _MODALITIES
    )
    rows = []
    sites = text if len({*text_concepts} & {*audio_concepts}) > 1 else ()
    for done, site in enumerate(sites, 1):
        distance = compare_modalities(
            text[site],
            audio[site],
            first_concepts=text_concepts,
            second_concepts=audio_concepts,
            settings=options.probe,
        )
        measures = (distance.separability, distance.cosine_difference, distance.retrieval)
        cells = [cell for estimate in measures for cell in _cells(estimate)]
        rows.append((site, distance.centroid_distance, *cells, distance.chance_retrieval))
        progress(ProgressEvent(stage=DISTANCE, done=done, total=len(text)))
    names = [
        *_columns("separability"),
        *_columns("cosine_difference"),
        *_columns("retrieval"),
    ]
    header = ("site", "centroid_distance", *names, "chance_retrieval")
    return {DISTANCE: DataTable.from_rows(header, rows)}


def estimate_in(table: DataTable, row: int, name: str) -> Estimate:
    """Return an estimate from the columns that `_columns` names in a table of this module."""
    value, low, high, n = (table.columns[column][row] for column in _columns(name))
    assert isinstance(n, int)  # noqa: S101 - written by `_cells`
    return Estimate(value=_number(value), n=n, low=_number(low), high=_number(high), unit="concepts")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _columns(name: str) -> tuple[str, str, str, str]:
    """Return the names of the columns of an estimate."""
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


def _cells(estimate: Estimate) -> tuple[float | None, float | None, float | None, int]:
    """Return the values of the columns of an estimate."""
    return estimate.value, estimate.low, estimate.high, estimate.n
