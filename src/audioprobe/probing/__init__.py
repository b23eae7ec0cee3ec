"""Concept probes: the same questions in text and in audio."""
