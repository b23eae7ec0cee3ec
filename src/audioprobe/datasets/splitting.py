"""Divide clips into splits: groups and near copies stay together, labels are spread evenly."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.types import Clip

SEPARATOR = ";"
"""Text between the labels of a clip in a table."""

_COLUMNS = ("id", "path", "start", "duration", "labels", "group", "split")
_UNLABELLED = "NA"  # `Manifest` reads it as a clip without reference labels


def split_by_group(
    clips: Sequence[Clip],
    shares: Mapping[str, float],
    *,
    together: Iterable[tuple[str, str]] = (),
    seed: int = 0,
) -> dict[str, str]:
    """Divide clips into splits without leaks, and return the split of each clip by its id.

    Clips of one group are in one split, and so are clips that must stay together. The largest sets
    of such clips are assigned first, each to the split that lacks most of its labels, as in
    iterative stratification (Sechidis et al., 2011). The result does not depend on the order of
    the clips.

    Args:
        clips: clips with unique ids; a clip without a group is a group of its own.
        shares: share of the clips in each split by its name, as in {"train": 0.8, "test": 0.2}; all
            above 0. They are divided by their sum.
        together: pairs of ids of clips that must be in the same split, such as near copies.
        seed: random seed of the order of sets of equal size.

    Raises:
        InvalidInputError: if a share is not above 0, if ids are not unique, or if there are fewer
            sets of clips than splits.
    """
    if not shares or min(shares.values()) <= 0:
        raise InvalidInputError(f"Expected shares above 0, got {dict(shares)}.")
    ordered = sorted(clips, key=lambda clip: clip.id)
    ids = [clip.id for clip in ordered]
    if len(set(ids)) < len(ids):
        raise InvalidInputError("Expected clips with unique ids. Pass each clip once.")
    sets = _connected(ordered, together)
    n_sets = int(sets.max(initial=-1)) + 1
    if n_sets < len(shares):
        raise InvalidInputError(
            f"Expected at least as many groups as splits ({len(shares)}), got {n_sets} after near "
            "copies were joined. Use smaller groups, or fewer splits."
        )
    contents = _contents(ordered, sets, n_sets)
    sizes, ties = contents[:, 0], np.random.default_rng(seed).random(n_sets)
    names = list(shares)
    totals = contents.sum(axis=0)
    target = np.array([shares[name] for name in names]) / sum(shares.values())
    missing = target[:, None] * totals
    chosen = np.zeros(n_sets, dtype=np.int64)
    filled = np.zeros(len(names), dtype=np.bool_)
    for position, number in enumerate(np.lexsort((ties, -sizes))):
        scores = (missing / totals) @ contents[number]
        if n_sets - position <= np.count_nonzero(~filled):  # no split may stay empty
            scores[filled] = -np.inf
        split = int(np.argmax(scores))
        filled[split] = True
        chosen[number] = split
        missing[split] -= contents[number]
    return {clip_id: names[chosen[k]] for clip_id, k in zip(ids, sets, strict=True)}


def _connected(clips: Sequence[Clip], together: Iterable[tuple[str, str]]) -> npt.NDArray[np.int32]:
    """Return the number of the set that each clip belongs to, shape (n_clips,)."""
    position = {clip.id: n for n, clip in enumerate(clips)}
    first_of_group: dict[str, int] = {}
    edges = [(position[a], position[b]) for a, b in together]
    for n, clip in enumerate(clips):
        if clip.group is not None:
            edges.append((n, first_of_group.setdefault(clip.group, n)))
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    n_clips = len(clips)
    graph = sparse.coo_array((np.ones(len(edges)), (rows, columns)), shape=(n_clips, n_clips))
    _, sets = connected_components(graph, directed=False)
    return np.asarray(sets)


def _contents(
    clips: Sequence[Clip], sets: npt.NDArray[np.int32], n_sets: int
) -> npt.NDArray[np.float64]:
    """Return the number of clips and of each label in every set, (n_sets, 1 + n_labels)."""
    counts = Counter(
        (k, label)
        for k, clip in zip(sets.tolist(), clips, strict=True)
        for label in clip.labels or ()
    )
    labels = {label: n for n, label in enumerate(sorted({label for _, label in counts}), 1)}
    contents = np.zeros((n_sets, 1 + len(labels)))
    contents[:, 0] = np.bincount(sets, minlength=n_sets)
    for (k, label), n in counts.items():
        contents[k, labels[label]] = n
    return contents


def write_split_table(clips: Sequence[Clip], splits: Mapping[str, str], path: str | Path) -> Path:
    """Write a table of clips with their splits, which `Manifest` reads.

    Args:
        clips: clips of files.
        splits: split of each clip by its id.
        path: CSV file; audio files below its folder are written relative to it.

    Raises:
        InvalidInputError: if a clip has no file, or a label contains ";".
    """
    folder = Path(path).absolute().parent
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    for clip in clips:
        if clip.path is None or any(SEPARATOR in label for label in clip.labels or ()):
            raise InvalidInputError(
                f"{clip.id}: expected a clip of a file, with labels without {SEPARATOR!r}. Rename "
                "the label, or leave out the clip."
            )
        file = clip.path.absolute()
        name = os.path.relpath(file, folder) if file.is_relative_to(folder) else str(file)
        labels = _UNLABELLED if clip.labels is None else SEPARATOR.join(clip.labels)
        duration = "" if clip.duration is None else repr(clip.duration)
        row = (clip.id, Path(name).as_posix(), repr(clip.start), duration, labels)
        writer.writerow((*row, clip.group or "", splits[clip.id]))
    return atomic_write(Path(path), stream.getvalue())
