"""Prompts, with or without sound, to text; one backend per file."""
