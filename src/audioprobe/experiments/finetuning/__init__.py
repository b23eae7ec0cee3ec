"""Fine-tuning studies: what strategies gain, forget and transfer between text and audio.

`config` and `design` define the runs, `build`, `evaluation` and `run` execute them, `storage` keeps
the results as a tidy table, `comparison` and `analysis` compute the statistics, and `tables`,
`conclusions`, `report` and `outputs` present them.
"""
