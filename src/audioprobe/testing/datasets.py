"""Contract of data sets."""

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.testing.rules import check_info, check_refusal, require


def check_dataset(dataset: Dataset) -> None:
    """Unique ids, known labels, and no group in two splits.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(dataset, "dataset")
    known = set(dataset.labels)
    require(len(known) == len(dataset.labels) > 0, "labels: at least one, all different")
    split_of: dict[str, str] = {}
    ids: set[str] = set()
    for split in dataset.splits:
        for clip in dataset.clips(split):
            require(clip.id not in ids, f"clips: the id {clip.id!r} comes once")
            require(set(clip.labels or ()) <= known, f"clips: labels of {clip.id!r} are known")
            if clip.group is not None:
                home = split_of.setdefault(clip.group, split)
                require(home == split, f"clips: group {clip.group!r} is in one split only")
            ids.add(clip.id)
    require(bool(ids), "clips: at least one split has clips")
    check_refusal(
        lambda: dataset.clips("no such split"),
        InvalidInputError,
        "clips: refuses an unknown split with InvalidInputError",
    )
