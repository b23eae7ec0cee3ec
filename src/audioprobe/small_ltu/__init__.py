"""The small LTU that ships with the library: recipe, training and evaluation.

- `recipe`: all settings of a training, in one TOML file
- `curriculum`, `encoder_training`, `spec_augment`: the training
- `relations`, `questions`, `qa_sampler`: the questions of the training data
- `evaluation`: measurements of a trained model

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
