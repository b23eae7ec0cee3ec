"""Fine-tuning of audio language models, with limited forgetting and audio-text alignment.

- `strategy`: trainable modules, regularizers and alignment losses as plain data
- `captioned_clips`, `data`, `text_corpora`: training data, rehearsal data, and text passages
- `trainer`: `finetune` and its result
- `regularizers`, `alignment`, `objective`: the losses
- `evaluation`: text loss, weight drift, and similarity of hidden states

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
