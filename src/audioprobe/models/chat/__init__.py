"""Audio chat models of Hugging Face transformers.

`model` contains `TransformersLM`. It uses `loading` (weights and processors), `messages` (chat
templates), `inputs` (encoded prompts) and `truncation` (how much of a clip the processor keeps).
The modules import torch and transformers, so nothing is imported here.
"""

__all__: list[str] = []
