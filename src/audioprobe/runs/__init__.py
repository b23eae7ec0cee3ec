"""Runs on disk: what was asked and answered, so that an interrupted one goes on where it was."""
