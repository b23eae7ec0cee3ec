"""Contracts of what takes text to vectors or scores."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Scorer, TextEmbedder
from audioprobe.testing.rules import check_array, check_info, check_refusal, close, require
from audioprobe.types import FloatArray

TEXTS = ("a crow calls", "rain on a tin roof", "a dog barks", "a crow calls", "wind {} 100%")


def check_embedder(embedder: TextEmbedder) -> None:
    """One finite vector per text, in order, alone as in company.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(embedder, "embedder")
    check_vectors("embed", embedder.embed)


def check_vectors(name: str, embed: Callable[[Sequence[str]], FloatArray]) -> FloatArray:
    """What `check_embedder` says of texts, for whatever embeds them; returns some vectors."""
    vectors = np.asarray(embed(TEXTS))
    check_array(vectors, name, n_dimensions=2)
    require(len(vectors) == len(TEXTS), f"{name}: one vector per text")
    alone = np.concatenate([embed([text]) for text in TEXTS])
    require(close(vectors, alone), f"{name}: a text has the same vector alone and in company")
    require(close(vectors, embed(TEXTS[::-1])[::-1]), f"{name}: keeps the order")
    require(not close(vectors[0], vectors[1]), f"{name}: different texts differ")
    require(len(embed([])) == 0, f"{name}: takes an empty list")
    return vectors


def check_scorer(scorer: Scorer) -> None:
    """Finite scores of shape (n_captions, n_labels) that do not depend on their neighbours.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(scorer, "scorer")
    captions, labels = TEXTS, ("crow", "rain", "dog")
    scores = np.asarray(scorer.score(captions, labels))
    check_array(scores, "score", n_dimensions=2)
    require(scores.shape == (len(captions), len(labels)), "score: shape (n_captions, n_labels)")
    alone = np.concatenate([scorer.score([caption], labels) for caption in captions])
    require(close(scores, alone), "score: a caption scores the same alone and in company")
    turned = np.asarray(scorer.score(captions, labels[::-1]))[:, ::-1]
    require(close(scores, turned), "score: follows the order of the labels")
    require(
        np.asarray(scorer.score((), labels)).shape == (0, len(labels)), "score: takes no captions"
    )
    for refused, rule in (((), "no labels"), (("crow", "crow"), "a repeated label"), (("",), "''")):
        check_refusal(
            partial(scorer.score, captions, refused),
            InvalidInputError,
            f"score: refuses {rule} with InvalidInputError",
        )
