"""Experiments: each one is read from a configuration file, run, analysed and reported."""
