"""Fine-tuning studies: what a strategy gains, forgets and transfers between text and audio.

A strategy is a combination of one level of each of three factors: trainable modules, regularization
(limits forgetting) and alignment (of audio with text). A training run is one strategy with one
seed.

`config` and `design` define the training runs, `build`, `evaluation`, `yes_no` and `run` carry them
out, and `storage` makes a tidy table of their results (one row per measurement). `comparison` and
`analysis` compute statistics of the table; `tables`, `conclusions` and `report` present them. The
modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
