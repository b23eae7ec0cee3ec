"""Code shared by all local causal language models.

- `loading`, `gguf`, `quantization`: load networks from folders of weights
- `tokenization`: convert texts to token ids, and check for control tokens
- `batching`, `generation`, `likelihood`: compute responses, and log-likelihoods of continuations

The modules import torch. Importing this package does not import them.
"""

__all__: list[str] = []
