"""Inference over many items, with failures assigned to single items or clips."""

from audioprobe.inference.clips import (
    InferenceResult,
    UnusableResponseError,
    WindowModel,
    run_inference,
)
from audioprobe.inference.stream import PromptFailure, infer_each, map_prompts

__all__ = [
    "InferenceResult",
    "PromptFailure",
    "UnusableResponseError",
    "WindowModel",
    "infer_each",
    "map_prompts",
    "run_inference",
]
