"""How a classification is shown, as a table and a summary; results keep every text as it is."""

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from audioprobe.io.text_table import Table, printable
from audioprobe.results.scores import NOT_SCORED, Caption
from audioprobe.results.training_data import training_notes

if TYPE_CHECKING:
    from audioprobe.results.classification import ClassificationResult

_SHOWN_LABELS = 3  # in the table of a result: more do not fit a line

LEAD = "Audio caption: "
"""What LTU puts before a caption. It is part of the text that the study scores."""


def without_folder(clip_ids: Sequence[str]) -> tuple[str, ...]:
    """Ids without the folder that all of them have in common.

    A single id, and ids of which one has no folder, stay as they are.
    """
    if len(clip_ids) < 2:
        return tuple(clip_ids)
    parts = [clip_id.split("/") for clip_id in clip_ids]
    levels = zip(*(folders[:-1] for folders in parts), strict=False)
    n_common = len(list(takewhile(lambda names: len(set(names)) == 1, levels)))
    return tuple("/".join(names[n_common:]) for names in parts)


def shown_caption(text: str) -> str:
    """A caption without the words by which LTU introduces it."""
    return text.removeprefix(LEAD) or text


def clip_table(result: "ClassificationResult") -> Table:
    """A row per scored clip: caption if any, best labels, their scores; see its `table`."""
    n = min(_SHOWN_LABELS, len(result.labels))
    captions, recognised = result.captions_by_clip(), result.recognised
    rows, best_labels = [], result.label_scores.best(n)
    names = without_folder(result.clip_ids)
    for clip_id, name, best in zip(result.clip_ids, names, best_labels, strict=True):
        said = (_short(captions[clip_id]),) if result.by_captions else ()
        rows.append((name, *said, *_cells(best, clip_id in recognised)))
    before = ("clip", "caption") if result.by_captions else ("clip",)
    return Table((*before, *(f"label {k}" for k in range(1, n + 1))), tuple(rows))


def summary_of(result: "ClassificationResult") -> str:
    """What was scored, what was not, how windows were pooled."""
    counts = result.counts
    pooling = result.provenance.options.get("pooling")
    parts = [f"{counts['scored']} of {counts['clips']} clips scored"]
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    if counts.get("unrecognised"):
        parts.append(f"{counts['unrecognised']} in which the model recognised nothing")
    if not result.by_captions:
        parts.append(f"scores are {result.measure}, windows of a clip pooled by {pooling}")
    if len(result.captions) > len({caption.clip_id for caption in result.captions}):
        parts.append(f"{len(result.captions)} windows pooled by {pooling}")
    n_cut = sum(caption.finish == "length" for caption in result.captions)
    if n_cut:
        parts.append(f"{n_cut} of {len(result.captions)} captions cut off by the token limit")
    unread = [caption for caption in result.captions if caption.details.get(NOT_SCORED)]
    if unread:
        parts.append(
            f"{len(unread)} of {len(result.captions)} captions longer than the scorer reads, "
            f"the first of {printable(unread[0].clip_id)}"
        )
    parts += training_notes(result.provenance.training_clips, counts["clips"])
    return ", ".join(parts) + "."


def _short(captions: tuple[Caption, ...]) -> str:
    """The first caption in which something was recognised, and how many more there are."""
    first = min(captions, key=lambda caption: (caption.abstained, caption.start))
    more = f" (+{len(captions) - 1} windows)" if len(captions) > 1 else ""
    return shown_caption(first.text) + more


def _cells(best: tuple[tuple[str, float], ...], is_recognised: bool) -> tuple[str, ...]:
    if not is_recognised:
        return ("–",) * len(best)
    return tuple(f"{name} {value:.2f}" for name, value in best)
