"""Classifiers: clips to label scores."""
