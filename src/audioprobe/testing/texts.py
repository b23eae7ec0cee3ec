"""Contracts of what takes text to vectors or scores."""

from functools import partial

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Scorer, TextEmbedder
from audioprobe.testing.rules import check_array, check_info, check_refusal, close, require

TEXTS = ("a crow calls", "rain on a tin roof", "a dog barks", "a crow calls", "wind {} 100%")


def check_embedder(embedder: TextEmbedder) -> None:
    """One finite vector per text, in order, alone as in company.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(embedder, "embedder")
    vectors = np.asarray(embedder.embed(TEXTS))
    check_array(vectors, "embed", n_dimensions=2)
    require(len(vectors) == len(TEXTS), "embed: one vector per text")
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    require(close(vectors, alone), "embed: a text has the same vector alone and in company")
    require(close(vectors, embedder.embed(TEXTS[::-1])[::-1]), "embed: keeps the order")
    require(not close(vectors[0], vectors[1]), "embed: different texts differ")
    require(len(embedder.embed([])) == 0, "embed: takes an empty list")


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
