"""Fine-tuning of audio language models, with limited forgetting and audio-text alignment.

- `strategy`: trainable modules, regularizers and alignment losses as plain data
- `captioned_clips`, `data`, `text_corpora`: training data, rehearsal data, and text passages
- `regularizers`, `alignment`: the losses
- `objective`, `trainer`: the total loss, `finetune` and its result
- `clip_tuning`: fine-tuning on labelled clips in one call

The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
