"""Clips to label scores."""
