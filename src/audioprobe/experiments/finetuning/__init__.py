"""Fine-tuning studies: what strategies gain, forget and transfer between text and audio.

`config` and `design` define the runs, `build`, `evaluation` and `run` execute them, `storage` keeps
the results as a tidy table, `comparison` and `analysis` compute the statistics, and `tables`,
`conclusions`, `report` and `outputs` present them.
The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
