"""Fine-tuning studies: what a strategy gains, forgets and transfers between text and audio.

A strategy is a combination of one level of each of three factors: trainable modules, regularization
(limits forgetting) and alignment (of audio with text). A training run is one strategy with one
seed.

`config` and `design` define the training runs, `build`, `evaluation` and `run` carry them out, `storage` keeps the results as a tidy table (one row per measurement), `comparison`,
`effects` and `analysis` compute the statistics, and `tables`, `conclusions`, `report` and `outputs`
present the results. The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
