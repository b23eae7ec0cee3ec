"""Training of audio language models of any architecture.

- `trainable`: the protocols that a model implements, parameter groups, and `set_trainable`
- `examples`, `questions`: records, their token ids, and batches
- `answer_loss`: the loss of a batch of questions and answers
- `spectrogram_cache`: spectrograms of training clips on disk
- `trainer`, `checkpointing`: the training loop, and states from which it resumes exactly

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
