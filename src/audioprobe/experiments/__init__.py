"""Experiments: each one is read from a configuration file, run, analysed and reported.

`classification`, `probing` and `finetuning` are the kinds of experiments. They share `components`
(specs of models, scorers and data sets), `run_metadata` (the manifest of a run) and `ray_cluster`
(extra `ray`). The modules import the libraries of a whole experiment, so nothing is imported here.
"""

__all__: list[str] = []
