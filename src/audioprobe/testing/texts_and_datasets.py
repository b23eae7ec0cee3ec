"""Check text embedders, scorers and data sets."""

from functools import partial

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset, Scorer, TextEmbedder
from audioprobe.testing.rules import (
    TEXTS,
    check_array,
    check_info,
    check_refusal,
    check_vectors,
    close,
    require,
)


def check_embedder(embedder: TextEmbedder) -> None:
    """Check that an embedder returns one finite vector per text, in order."""
    check_info(embedder, "embedder")
    check_vectors("embed", embedder.embed)


def check_scorer(scorer: Scorer) -> None:
    """Check that a scorer returns finite scores that do not depend on the other captions."""
    check_info(scorer, "scorer")
    labels = ("crow", "rain", "dog")
    scores = np.asarray(scorer.score(TEXTS, labels))
    check_array(scores, "score", n_dimensions=2)
    require(scores.shape == (len(TEXTS), len(labels)), "score: shape (n_captions, n_labels)")
    alone = np.concatenate([scorer.score([caption], labels) for caption in TEXTS])
    require(close(scores, alone), "score: the same score alone and in a batch")
    reverse = np.asarray(scorer.score(TEXTS, labels[::-1]))[:, ::-1]
    require(close(scores, reverse), "score: follows the order of the labels")
    empty = np.asarray(scorer.score((), labels))
    require(empty.shape == (0, len(labels)), "score: accepts an empty list of captions")
    for refused, rule in (((), "no labels"), (("crow", "crow"), "a repeated label"), (("",), "''")):
        check_refusal(
            partial(scorer.score, TEXTS, refused),
            InvalidInputError,
            f"score: refuses {rule} with InvalidInputError",
        )


def check_dataset(dataset: Dataset) -> None:
    """Check that clip ids are unique, labels are known, and no group is in two splits."""
    check_info(dataset, "dataset")
    known = set(dataset.labels)
    require(len(known) == len(dataset.labels) > 0, "labels: at least one, all different")
    split_of: dict[str, str] = {}
    ids: set[str] = set()
    for split in dataset.splits:
        for clip in dataset.clips(split):
            require(clip.id not in ids, f"clips: the id {clip.id!r} is unique")
            require(set(clip.labels or ()) <= known, f"clips: labels of {clip.id!r} are known")
            if clip.group is not None:
                first_split = split_of.setdefault(clip.group, split)
                require(first_split == split, f"clips: group {clip.group!r} is in one split only")
            ids.add(clip.id)
    require(bool(ids), "clips: at least one split has clips")
    check_refusal(
        lambda: dataset.clips("no such split"),
        InvalidInputError,
        "clips: refuses an unknown split with InvalidInputError",
    )
