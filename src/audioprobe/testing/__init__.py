"""Checks of the protocols, for the tests of any backend.

Each check calls a component as the library does and raises `ContractError` with the violated rule.
The checks use short synthetic sounds and texts, and require what every study relies on: one result
per item, in order, and the same result alone and in a batch.
"""

from audioprobe.testing.audio_models import (
    check_encoder,
    check_joint_encoder,
    check_language_model,
    check_likelihood_model,
    check_tagger,
)
from audioprobe.testing.texts_and_datasets import check_dataset, check_embedder, check_scorer

__all__ = [
    "check_dataset",
    "check_embedder",
    "check_encoder",
    "check_joint_encoder",
    "check_language_model",
    "check_likelihood_model",
    "check_scorer",
    "check_tagger",
]
