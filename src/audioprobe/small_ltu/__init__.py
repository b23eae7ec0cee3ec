"""The small LTU that ships with the library: recipe, training and evaluation.

- `recipe`: everything that a training depends on, in one TOML file
- `curriculum`, `encoder_training`, `spec_augment`: the training
- `relations`, `questions`, `qa_sampler`: what it is trained on
- `evaluation`: measurements of a trained recipe

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
