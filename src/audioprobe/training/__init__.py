"""Training of audio language models of any architecture.

- `trainable`: the protocols that a model implements, parameter groups, and `set_trainable`
- `examples`, `questions`: question-answer records, their token ids, and batches
- `answer_loss`: the loss of a batch of questions and answers
- `spectrogram_cache`: spectrograms of training clips on disk
- `trainer`, `checkpointing`: the training loop, and saved states from which it resumes exactly

This file imports no modules of the package, because they import torch.
"""

__all__: list[str] = []
