"""Check that models, scorers and data sets follow their protocols; for tests of any backend.

Each check calls a component as the library does, with short synthetic sounds and texts. If a rule
is violated, the check raises `ContractError` and names the rule. For example, each item must have
one result, in order, and the result must be the same if the item is processed alone or with others.
"""

from audioprobe.testing.components import (
    check_audio_tokenizer,
    check_dataset,
    check_embedder,
    check_encoder,
    check_frame_tagger,
    check_joint_encoder,
    check_language_model,
    check_likelihood_model,
    check_scorer,
    check_tagger,
)
from audioprobe.testing.inspectable import check_inspectable

__all__ = [
    "check_audio_tokenizer",
    "check_dataset",
    "check_embedder",
    "check_encoder",
    "check_frame_tagger",
    "check_inspectable",
    "check_joint_encoder",
    "check_language_model",
    "check_likelihood_model",
    "check_scorer",
    "check_tagger",
]
