"""The command line: classify sounds, train and examine models, look at the machine."""

# Importing a module of commands is what adds them to the app.
from audioprobe.cli import classifying, experiments, machine, training
from audioprobe.cli.app import app, main

__all__ = ["app", "classifying", "experiments", "machine", "main", "training"]
