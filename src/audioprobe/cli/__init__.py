"""The command line: classify sounds, probe concepts, train models, look at the machine."""

# Importing a module of commands is what adds them to the app.
from audioprobe.cli import (
    backends,
    classify,
    environment,
    probe,
    recordings,
    report,
    run,
    training,
)
from audioprobe.cli.app import app, main

__all__ = [
    "app",
    "backends",
    "classify",
    "environment",
    "main",
    "probe",
    "recordings",
    "report",
    "run",
    "training",
]
