"""The contracts of the protocols, as checks to run on a backend of one's own.

Each check calls a component as the library does and raises `ContractError` with the rule that was
broken. They use short synthetic sounds and texts, and ask only for what every study relies on: one
answer per item, in order, the same alone and in company.
"""

from audioprobe.testing.datasets import check_dataset
from audioprobe.testing.encoders import check_encoder, check_joint_encoder, check_tagger
from audioprobe.testing.language_models import check_language_model, check_likelihood_model
from audioprobe.testing.texts import check_embedder, check_scorer

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
