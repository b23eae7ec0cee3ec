"""Inference over many items: `stream` isolates failing items, `clips` cuts clips into windows."""

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
