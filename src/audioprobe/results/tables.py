"""Create tables of classification results, for display, spreadsheets and caption comparison."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from audioprobe.errors import InvalidInputError
from audioprobe.io.data_table import DataTable
from audioprobe.io.text_table import Table, columns, csv_lines, printable
from audioprobe.results.scores import NOT_SCORED, Caption, LabelScores, ScoredClips
from audioprobe.training_data import training_notes

MISSING = "–"
"""Text of table cells without a value."""

CAPTION_PREFIX = "Audio caption: "
"""First words of LTU's captions, which are scored, but not displayed."""

_SHOWN_LABELS = 3  # more columns do not fit into a terminal


def remove_common_folder(clip_ids: Sequence[str]) -> tuple[str, ...]:
    """Return file paths without the leading folders that are the same in all paths."""
    if len(clip_ids) < 2:
        return tuple(clip_ids)
    parts = [clip_id.split("/") for clip_id in clip_ids]
    levels = zip(*(folders[:-1] for folders in parts), strict=False)
    n_common = len(list(takewhile(lambda names: len(set(names)) == 1, levels)))
    return tuple("/".join(names[n_common:]) for names in parts)


def displayed_caption(text: str) -> str:
    """Return a caption without "Audio caption: ", with which LTU starts its captions."""
    return text.removeprefix(CAPTION_PREFIX) or text


def clip_table(result: ScoredClips) -> Table:
    """Return a table with one row per scored clip: id, caption (if any), and best labels.

    Labels are not shown for clips in which the model recognised nothing.
    """
    n_best = min(_SHOWN_LABELS, len(result.labels))
    captions, recognised = result.captions_by_clip(), result.recognised
    rows = []
    for clip_id, name, best in zip(
        result.clip_ids,
        remove_common_folder(result.clip_ids),
        result.label_scores.best(n_best),
        strict=True,
    ):
        caption = (_caption_cell(captions[clip_id]),) if result.by_captions else ()
        scores = [
            f"{label} {score:.2f}" if clip_id in recognised else MISSING for label, score in best
        ]
        rows.append((name, *caption, *scores))
    header = ("clip", "caption") if result.by_captions else ("clip",)
    return Table((*header, *(f"label {k}" for k in range(1, n_best + 1))), tuple(rows))


def failure_table(result: ScoredClips) -> Table:
    """Return a table with one row per clip without scores: id, stage and cause of the failure."""
    rows = tuple((f.clip_id, f.stage, f.error, f.message) for f in result.failures)
    return Table(("clip", "stage", "error", "cause"), rows)


def summary_sentence(result: ScoredClips) -> str:
    """Return a sentence with the counts of scored, failed, truncated and training clips."""
    counts, n_captions = result.counts, len(result.captions)
    pooling = result.provenance.options.get("pooling")
    parts = [f"{counts['scored']} of {counts['clips']} clips scored"]
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    if counts.get("unrecognised"):
        parts.append(f"{counts['unrecognised']} in which the model recognised nothing")
    if not result.by_captions:
        parts.append(f"scores are {result.measure}, windows of a clip pooled by {pooling}")
    n_windows = len({(caption.clip_id, caption.start) for caption in result.captions})
    if n_windows > len({caption.clip_id for caption in result.captions}):
        parts.append(f"{n_windows} windows pooled by {pooling}")
    if n_captions > n_windows:
        parts.append(f"{n_captions // n_windows} samples per window, averaged")
    n_truncated = sum(caption.finish == "length" for caption in result.captions)
    if n_truncated:
        parts.append(f"{n_truncated} of {n_captions} captions cut off by the token limit")
    too_long = [caption for caption in result.captions if caption.details.get(NOT_SCORED)]
    if too_long:
        parts.append(
            f"{len(too_long)} of {n_captions} captions longer than the scorer reads, "
            f"the first of {printable(too_long[0].clip_id)}"
        )
    parts += training_notes(result.provenance.training_clips, counts["clips"])
    return ", ".join(parts) + "."


def score_lines(result: ScoredClips) -> Iterator[str]:
    """Yield the lines of a CSV table with one row per clip and the scores of every measure.

    A measure is a kind of score, such as "cosine". Columns are named after the labels; column names
    of alternative measures end with the measure in brackets. A failed clip has its cause instead of
    scores.
    """
    texts = _caption_columns(result.captions_by_clip()) if result.by_captions else {}
    first, last = ("clip", *texts), ("failed at", "cause")
    names = _unique_names(result, ("clip", "caption", "details", *last))
    numeric = columns(names, first=len(first))
    return csv_lines((*first, *names, *last), _score_rows(result, texts, len(names)), numeric)


def _score_rows(
    result: ScoredClips, texts: Mapping[str, Mapping[str, str]], n_scores: int
) -> Iterator[tuple[str, ...]]:
    """Yield a row per scored clip, and then a row per failed clip.

    Args:
        result: scores, captions and failures.
        texts: cells of the columns with texts, by name of the column and then by clip id.
        n_scores: number of columns with scores.
    """
    for position, clip_id in enumerate(result.clip_ids):
        scores = [
            repr(float(value))
            for measure in result.measures.values()
            for value in measure.values[position]
        ]
        yield (clip_id, *(column[clip_id] for column in texts.values()), *scores, "", "")
    blank = ("",) * n_scores
    for f in result.failures:
        captions = (column[f.clip_id] for column in texts.values())
        yield (f.clip_id, *captions, *blank, f.stage, f.message)


def score_data(result: ScoredClips) -> DataTable:
    """Return a table of data with one row per scored clip and label."""
    scores, truth = result.label_scores.data().columns, result.truth
    present = [
        None if (labels := truth.get(str(clip))) is None else label in labels
        for clip, label in zip(scores["clip"], scores["label"], strict=True)
    ]
    groups = [result.groups.get(str(clip)) for clip in scores["clip"]]
    return DataTable({"clip": scores["clip"], "group": groups, **scores, "present": present})


def compare_captions(results: Mapping[str, ScoredClips]) -> Table:
    """Return a table with one row per clip: reference labels, if known, and each model's caption.

    If a model failed on a clip, the cell has the cause of the failure.

    Args:
        results: results of the same clips, by name of the model.

    Raises:
        InvalidInputError: if there is no result, or the results are of different clips.
    """
    if not results:
        raise InvalidInputError("Expected one result per model, got none.")
    first = next(iter(results.values()))
    clip_ids = list(first.captions_by_clip())
    if any(set(other.captions_by_clip()) != set(clip_ids) for other in results.values()):
        raise InvalidInputError(
            "Expected results of the same clips, got different clips. Run all models on the same "
            "clips."
        )
    captions = [_joined_captions(result) for result in results.values()]
    rows = []
    for clip_id, name in zip(clip_ids, remove_common_folder(clip_ids), strict=True):
        labels = [", ".join(first.truth.get(clip_id) or ())] if first.truth else []
        rows.append((name, *labels, *(column[clip_id] for column in captions)))
    return Table(("clip", *(["labels"] if first.truth else []), *results), tuple(rows))


def _caption_cell(captions: Sequence[Caption]) -> str:
    """Return the text of a table cell: one caption of a clip, and how many are not shown.

    The caption is of the first window in which the model recognised something, if there is one; of
    several samples, the most frequent one is shown with its number.
    """
    first = min(captions, key=lambda caption: (caption.abstained, caption.start))
    n_windows = len({caption.start for caption in captions})
    more = f" (+{n_windows - 1} windows)" if n_windows > 1 else ""
    return _most_frequent([c for c in captions if c.start == first.start]) + more


def _most_frequent(samples: Sequence[Caption]) -> str:
    """Return the most frequent caption of a window, such as "A crow. (3/5)" for 3 of 5 samples."""
    counts = Counter(caption.text for caption in samples if not caption.abstained)
    counts = counts or Counter(caption.text for caption in samples)
    ((text, n),) = counts.most_common(1)
    share = f" ({n}/{len(samples)})" if len(samples) > 1 else ""
    return displayed_caption(text) + share


def _joined_captions(result: ScoredClips) -> dict[str, str]:
    captions = {}
    for clip_id, of_clip in result.captions_by_clip().items():
        windows: dict[float, list[Caption]] = {}
        for caption in of_clip:
            windows.setdefault(caption.start, []).append(caption)
        captions[clip_id] = " / ".join(map(_most_frequent, windows.values())) or MISSING
    return captions | {f.clip_id: f"{f.error}: {f.message}" for f in result.failures}


def _caption_columns(captions: Mapping[str, Sequence[Caption]]) -> dict[str, dict[str, str]]:
    """Return the table columns "caption" and "details", each keyed by clip id.

    The texts of a clip's windows and samples are joined by " | ". Without any details, that column
    is left out.
    """

    def joined(windows: Sequence[str]) -> str:
        return " | ".join(windows) if any(windows) else ""

    def details(caption: Caption) -> str:
        return ", ".join(f"{name}: {value}" for name, value in caption.details.items())

    texts = {key: joined([c.text for c in windows]) for key, windows in captions.items()}
    notes = {key: joined([details(c) for c in windows]) for key, windows in captions.items()}
    return {"caption": texts} | ({"details": notes} if any(notes.values()) else {})


def _unique_names(result: ScoredClips, reserved: Sequence[str]) -> list[str]:
    """Return a unique column name for each label of each measure.

    A name that another column already has gets the prefix "label ".
    """
    alternatives: Mapping[str, LabelScores] = result.alternatives
    names: list[str] = []
    used = set(reserved)
    for column in [*result.labels, *(f"{x} ({m})" for m in alternatives for x in result.labels)]:
        name = column
        while name in used:
            name = f"label {name}"
        used.add(name)
        names.append(name)
    return names
