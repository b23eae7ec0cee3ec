"""The small LTU that ships with the library: recipe, training and evaluation.

- `recipe`: all settings of a training, in one TOML file
- `curriculum`, `encoder_training`: the training
- `relations`, `questions`: the questions of the training data
- `evaluation`, `measures`: the evaluation of a trained model

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
