"""What all local causal language models share: loading, generation, likelihoods, batching.

- `loading`, `gguf`, `quantization`: networks from folders of weights
- `tokenization`: token ids of texts, and checks for control tokens
- `batching`, `generation`, `likelihood`: answers, and log-likelihoods of continuations

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
