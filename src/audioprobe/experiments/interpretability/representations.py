"""Measurements of recorded states: linear probes, transfer, similarity, distance of modalities."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audioprobe.experiments.interpretability.probe_data import (
    CLASS,
    LABELS,
    ProbeData,
    estimate_cells,
    estimate_columns,
    span_of,
)
from audioprobe.experiments.interpretability.states import MeasurementOptions, record_states
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.interpretability.linear_probe import linear_probe
from audioprobe.interpretability.modality_distance import compare_modalities
from audioprobe.interpretability.similarity import compare_layers
from audioprobe.interpretability.transfer_probe import transfer_probe
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.protocols import Inspectable
from audioprobe.types import BoolArray

LINEAR, TRANSFER, SIMILARITY, DISTANCE = (
    "linear probe",
    "transfer probe",
    "similarity",
    "modality distance",
)
"""Names of the tables."""

_FEWEST_FOR_SIMILARITY = 4  # concepts of unbiased CKA
_MODALITIES: tuple[Modality, ...] = ("text", "audio")


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
        ProbeJob(group, mask, modality, label, site)
        for group, mask in trials.record.groups().items()
        for modality in _MODALITIES
        for label in LABELS
        for site in data.states[modality].sites
        if label == CLASS or site.startswith("lm.")
    ]
    return {LINEAR: table_of_probes(data, jobs, options, progress)}


class ProbeJob(NamedTuple):
    """A linear probe: which trials, modality, label and site."""

    group: str
    mask: BoolArray
    modality: Modality
    label: str
    site: str


def table_of_probes(
    data: ProbeData,
    jobs: Sequence[ProbeJob],
    options: MeasurementOptions,
    progress: ProgressCallback,
) -> DataTable:
    """Return a table with one row per linear probe; probes without items are left out."""
    rows = []
    for done, job in enumerate(jobs, 1):
        items = data.items(job.label, job.modality, job.site, job.mask)
        if items.labels:
            probe = linear_probe(
                items.states,
                items.labels,
                groups=items.concepts,
                n_controls=options.n_controls,
                n_orders=1,
                settings=options.probe,
            )
            span = span_of(job.label, job.modality)
            place = (job.group, job.modality, job.label, job.site, span)
            counts = (len(items.labels), items.n_missing, items.n_left_out)
            measured = (
                *estimate_cells(probe.accuracy),
                *estimate_cells(probe.selectivity),
                *estimate_cells(probe.auc),
            )
            rows.append(
                (*place, *counts, *measured, probe.chance, probe.p_value, probe.accuracy.method)
            )
        progress(ProgressEvent(stage=LINEAR, done=done, total=len(jobs)))
    names = ("group", "modality", "label", "site", "span", "n_items", "n_missing", "n_left_out")
    measures = (
        *estimate_columns("accuracy"),
        *estimate_columns("selectivity"),
        *estimate_columns("auc"),
    )
    return DataTable.from_rows((*names, *measures, "chance", "p_value", "method"), rows)


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
    directions: tuple[tuple[Modality, Modality], ...] = (("text", "audio"), ("audio", "text"))
    jobs: list[tuple[Modality, Modality, str, str]] = [
        (train, test, label, site)
        for train, test in directions
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
            aucs = (
                *estimate_cells(result.auc),
                *estimate_cells(result.ceiling_auc),
                result.null_auc,
            )
            rows.append(
                (*(train, test, label, site), *counts, *aucs, result.p_value, result.auc.method)
            )
        progress(ProgressEvent(stage=TRANSFER, done=done, total=len(jobs)))
    names = ("train", "test", "label", "site", "n_train", "n_test", "n_missing")
    measures = (
        *estimate_columns("auc"),
        *estimate_columns("ceiling_auc"),
        "null_auc",
        "p_value",
        "method",
    )
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
        (text, text_concepts), (audio, audio_concepts) = (
            data.concepts(m, mask) for m in _MODALITIES
        )
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
        cells = [cell for estimate in measures for cell in estimate_cells(estimate)]
        rows.append((site, distance.centroid_distance, *cells, distance.chance_retrieval))
        progress(ProgressEvent(stage=DISTANCE, done=done, total=len(text)))
    names = [
        *estimate_columns("separability"),
        *estimate_columns("cosine_difference"),
        *estimate_columns("retrieval"),
    ]
    header = ("site", "centroid_distance", *names, "chance_retrieval")
    return {DISTANCE: DataTable.from_rows(header, rows)}
