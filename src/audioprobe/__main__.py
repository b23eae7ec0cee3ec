"""Entry point of `python -m audioprobe`, which runs the command line interface."""

from audioprobe.cli import main

main()
