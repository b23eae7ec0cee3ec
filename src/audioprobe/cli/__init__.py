"""Command-line interface."""

# Importing a module adds its commands to the app.
from audioprobe.cli import (
    backends,
    classify,
    copies,
    environment,
    exchange,
    probe,
    recordings,
    run,
    split,
    training,
)
from audioprobe.cli.app import app, main

__all__ = [
    "app",
    "backends",
    "classify",
    "copies",
    "environment",
    "exchange",
    "main",
    "probe",
    "recordings",
    "run",
    "split",
    "training",
]
