"""`python -m audioprobe`: the command line, for launchers that start modules."""

from audioprobe.cli import main

main()
