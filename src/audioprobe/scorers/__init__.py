"""Captions and labels to numbers, one backend per file."""
