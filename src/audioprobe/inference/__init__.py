"""Streams of model calls in which each failure belongs to one item."""
