"""Training of audio language models of any architecture.

- `trainable`: the protocols that a model implements, and the choice of trainable modules
- `examples`: questions with their answers, in text and as token ids
- `answer_loss`: batches of examples, and the loss of their answers
- `feature_cache`: spectrograms of training clips on disk
- `trainer`: the training loop, which resumes exactly from saved states

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
