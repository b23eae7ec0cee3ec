"""The command line: classify sounds, probe concepts, train models, look at the machine."""

# Importing a module of commands is what adds them to the app.
from audioprobe.cli import (
    backends,
    classifying,
    experiments,
    machine,
    probing,
    recordings,
    reporting,
    training,
)
from audioprobe.cli.app import app, main

__all__ = [
    "app",
    "backends",
    "classifying",
    "experiments",
    "machine",
    "main",
    "probing",
    "recordings",
    "reporting",
    "training",
]
