"""Where a concept is lost between audio encoder and answer: activations of a model, and measures.

- `recording`: record activations of many prompts in a folder
- `recording_files`: read a recording
- `probe_prompts`: prompts of a concept probe, for a recording
- `linear_probe`, `transfer_probe`: what a linear classifier reads from activations
- `knock_out`, `ablation`: what removed attention and replaced states change in the answers
- `attention_use`: attention mass and norm-weighted contribution
- `similarity`, `modality_distance`: text and audio states of the same concepts
- `patching`, `attribution`: which states, copied from another prompt, change the answer
- `curve_files`: files of curves over sites
- `logit_lens`, `lens_training`, `nearest_texts`: activations read as words, and described by texts

The names of sites and spans are defined in `audioprobe.sites`. The modules need torch or large
arrays, so nothing is imported here.
"""

__all__: list[str] = []
