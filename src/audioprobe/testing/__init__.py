"""Check that models, scorers and data sets follow their protocols; for tests of any backend.

Each check calls a component as the library does, and raises `ContractError` with the violated rule.
The checks use short synthetic sounds and texts. They require one result per item, in order, and
the same result for an item alone and in a batch.
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
