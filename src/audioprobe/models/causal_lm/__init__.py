"""Code that all local causal language models share. Importing the package does not import torch.

- `loading`: load a network from a folder of weights, and convert GGUF files
- `tokenization`: convert texts to token ids, and check for control tokens
- `generation`: generate responses in batches
- `batch_inputs`: make batches of prompts, which can share beginnings
- `likelihood`: compute log-likelihoods of continuations
"""

__all__: list[str] = []
