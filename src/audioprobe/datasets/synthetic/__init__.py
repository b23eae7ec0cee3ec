"""Synthetic sounds of everyday sources, each linked to its concept."""
