"""How ids of clips and captions are shown in tables; results keep them as they are."""

from collections.abc import Sequence
from itertools import takewhile

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
