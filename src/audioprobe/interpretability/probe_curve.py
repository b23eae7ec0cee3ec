"""Curves of linear probes over the sites of a recording.

Conventions:
    The value of an item at a site is 1 if a classifier that was trained on other groups predicts
    its label, otherwise 0; see `linear_probe`. Items without states are undefined.

    The value of an item in a control is the mean accuracy, in that control, of the items with the
    same label. So a classifier that always predicts the most frequent label is equal to its
    control for each label, also if only the items with right answers are compared. The mean over
    items is the accuracy of the control.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.labelled_recording import (
    ACCURACY,
    LabelledRecording,
    accuracy_by_class,
)
from audioprobe.interpretability.linear_probe import control_tasks, held_out
from audioprobe.interpretability.probe_estimates import (
    DEFAULT_SETTINGS,
    ProbeSettings,
    check_counts,
    check_testable,
    is_correct,
)
from audioprobe.interpretability.probe_fitting import LabelledStates
from audioprobe.interpretability.recording_files import COLUMNS, Recording
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.interpretability.transfer_probe import Standardize, TransferComparison
from audioprobe.metrics.grouping import grouped
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.sites import find_sites
from audioprobe.types import Float64Array

CONTROL_TASKS, SHUFFLED, RANDOMIZED = "control tasks", "shuffled labels", "randomized network"
PERMUTED, CEILING = "permuted labels", "trained on the test modality"
"""Names of the controls."""


def probe_curve(
    recording: Recording,
    labels: Sequence[Hashable],
    *,
    concepts: Sequence[Hashable],
    groups: Sequence[Hashable] | None = None,
    sites: Sequence[str] = ("*",),
    span: str = "audio",
    randomized: Recording | None = None,
    n_controls: int = 20,
    settings: ProbeSettings = DEFAULT_SETTINGS,
    progress: ProgressCallback = ignore_progress,
) -> SiteCurve:
    """Train a linear probe at each site, and return whether it predicts each item's label.

    The controls are "control tasks", in which labels are permuted over the concepts (Hewitt and
    Liang, EMNLP 2019), "shuffled labels", in which they are permuted over the items, and
    "randomized network", the same probe of a network with random weights. The site
    "encoder.input", if it was recorded, shows what can be read without a network.

    Args:
        recording: recorded states, pooled over spans.
        labels: label of each prompt of the recording.
        concepts: concept of each prompt, the unit of intervals and tests. If the items of a concept
            have several labels, the labels of control tasks are permuted within groups.
        groups: group of each prompt, which is held out as a whole, such as its source; None means
            its concept.
        sites: names of recorded sites; "*" stands for any text.
        span: a recorded span. Sites without it, such as those of the encoder for a span of text,
            are undefined.
        randomized: recording of the same prompts by `model.randomized(seed)`; None leaves this
            control out.
        n_controls: number of control tasks, and of shuffles, at least 1.
        settings: folds, L2 penalty and seed.
        progress: called after every site.

    Returns:
        A curve with the measure "accuracy".

    Raises:
        InvalidInputError: if an argument is out of range, lengths differ, a label is missing, no
            site has the span, or there are too few concepts, or groups per label; the message has
            the number that is needed.
    """
    check_counts(n_controls=n_controls)
    names = find_sites(sites, recording.sites)
    items = LabelledRecording(recording, labels, concepts, concepts if groups is None else groups)
    floor = None
    if randomized is not None:
        _check_same_prompts(recording, randomized)
        floor = LabelledRecording(randomized, labels, concepts, items.groups)
    columns: list[dict[str, Float64Array]] = []
    for number, site in enumerate(names, 1):
        place = Place(site, span)
        column = {ACCURACY: _accuracy(items, place, settings)}
        for control in (CONTROL_TASKS, SHUFFLED):
            column[control] = _control(items, place, control, n_controls, settings)
        if floor is not None:
            column[RANDOMIZED] = _accuracy(floor, place, settings)
        columns.append(column)
        progress(ProgressEvent(stage="probe", done=number, total=len(names)))
    return items.curve(columns, [Place(site, span) for site in names])


def transfer_curve(
    train: Recording,
    train_labels: Sequence[Hashable],
    test: Recording,
    test_labels: Sequence[Hashable],
    *,
    train_concepts: Sequence[Hashable],
    test_concepts: Sequence[Hashable],
    sites: Sequence[str] = ("lm.resid.*",),
    train_span: str = "last",
    test_span: str = "last",
    standardize: Standardize = "each",
    n_permutations: int = 20,
    settings: ProbeSettings = DEFAULT_SETTINGS,
) -> SiteCurve:
    """Train linear probes on one recording, such as of text, and test them on another.

    See `transfer_probe`. The concepts of the test items are in neither training set.

    Args:
        train: recording of the prompts of the training modality.
        train_labels: label of each prompt of `train`.
        test: recording of the prompts of the test modality, by the same model.
        test_labels: label of each prompt of `test`.
        train_concepts: concept of each prompt of `train`.
        test_concepts: concept of each prompt of `test`.
        sites: names of sites that both recorded; "*" stands for any text.
        train_span: span of the training states.
        test_span: span of the test states, the span of the places of the curve.
        standardize: "each" removes a shift between the modalities that all items share, "train"
            does not.
        n_permutations: number of permutations of the labels, at least 1.
        settings: folds, L2 penalty and seed.

    Returns:
        A curve of the test items with the measure "accuracy". Its controls are "permuted labels",
        and the ceiling "trained on the test modality".

    Raises:
        InvalidInputError: if an argument is out of range, lengths or widths differ, no site has the
            spans, or there are too few concepts.
    """
    check_counts(n_permutations=n_permutations)
    first = LabelledRecording(train, train_labels, train_concepts, train_concepts)
    second = LabelledRecording(test, test_labels, test_concepts, test_concepts)
    places = [
        Place(site, test_span)
        for site in find_sites(sites, [site for site in test.sites if site in train.sites])
    ]
    columns: list[dict[str, Float64Array]] = []
    for place in places:
        column = {name: np.full(len(test), np.nan) for name in (ACCURACY, PERMUTED, CEILING)}
        _, train_items = first.items(place.site, train_span)
        rows, test_items = second.items(place.site, test_span)
        if len(train_items[0]) and len(rows):
            comparison = TransferComparison.of(train_items, test_items, standardize, settings)
            if isinstance(comparison, str):
                raise InvalidInputError(
                    f"Expected labels in enough concepts of both modalities, got: {comparison} "
                    f"({place.site}). Add prompts of other concepts."
                )
            ordered = rows[comparison.data.order[comparison.is_test] - len(train_items[0])]
            measured = _transferred(comparison, n_permutations, settings.seed)
            for name, values in measured.items():
                column[name][ordered] = values
        columns.append(column)
    return second.curve(columns, places)


def _accuracy(items: LabelledRecording, place: Place, settings: ProbeSettings) -> Float64Array:
    """Return 1 for each item whose held-out prediction is correct, otherwise 0; NaN without states.

    Raises:
        InvalidInputError: if there are states, but too few labels or groups.
    """
    rows, labelled = items.items(place.site, place.span)
    result = np.full(len(items.recording), np.nan)
    if len(rows):
        data = LabelledStates.of(*labelled)
        check_testable(data, f"{place.site} ({place.span})")
        result[rows[data.order]] = is_correct(held_out(data, settings)[0], data.targets)
    return result


def _control(
    items: LabelledRecording, place: Place, control: str, n_controls: int, settings: ProbeSettings
) -> Float64Array:
    """Return the value of each item in a control with random labels; NaN without states."""
    rows, labelled = items.items(place.site, place.span)
    result = np.full(len(items.recording), np.nan)
    if len(rows):
        data = LabelledStates.of(*labelled)
        ordered = rows[data.order]
        # Types are numbered in the order of the sorted items, so that the order of prompts does not
        # matter; each item is a type of its own if labels are shuffled.
        types = [items.concepts[n] for n in ordered] if control == CONTROL_TASKS else None
        kinds = np.asarray(grouped(len(rows), types).of_item, dtype=np.int64)
        tasks = control_tasks(data, kinds, n_controls, settings)
        result[ordered] = accuracy_by_class(tasks, data.targets)
    return result


def _transferred(
    comparison: TransferComparison, n_permutations: int, seed: int
) -> dict[str, Float64Array]:
    """Return the values of the sorted test items: after transfer, with permuted labels, ceiling."""
    targets = comparison.data.targets
    tested = targets[comparison.is_test]
    permuted = comparison.permuted(n_permutations, seed)
    tasks = ((classes, is_correct(predicted, classes)) for classes, predicted in permuted)
    return {
        ACCURACY: is_correct(comparison.predicted(comparison.transfers, targets), tested),
        PERMUTED: accuracy_by_class(tasks, tested),
        CEILING: is_correct(comparison.predicted(comparison.ceilings, targets), tested),
    }


def _check_same_prompts(first: Recording, second: Recording) -> None:
    column = COLUMNS.index("digest")
    if [row[column] for row in first.rows] != [row[column] for row in second.rows]:
        raise InvalidInputError(
            "Expected a recording of the randomized network with the same prompts, got other "
            "prompts. Record the same prompts with model.randomized(seed)."
        )
