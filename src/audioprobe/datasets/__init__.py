"""Clips with labels, one data set per file."""
