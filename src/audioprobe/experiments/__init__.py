"""Experiments: each one is read from a configuration file, run, analysed and reported.

`classification`, `probing` and `finetuning` are the kinds of experiments. They share `components`
(models, scorers and data sets in a config) and `run_metadata` (the folder of an experiment).
`placement` decides where their jobs run: in this process, in several, or on a Ray cluster. The
modules import the libraries of a whole experiment, so nothing is imported here.
"""

__all__: list[str] = []
