"""Experiments: each one is read from a configuration file, run, analysed and reported.

`classification`, `probing` and `finetuning` are the kinds of experiments. They share `components`
(models, scorers and data sets in a config) and `run_metadata` (the folder of an experiment).
`ray_cluster` runs classification on a cluster. The modules import the libraries of a whole
experiment, so nothing is imported here.
"""

__all__: list[str] = []
