"""Commands forked from a process that has loaded what is slow to load."""

import importlib
import json
import os
import sys
from typing import NoReturn

SLOW = (
    "peft",
    "transformers",
    "scipy.stats",
    "matplotlib.figure",
    "audioprobe.models.ltu.model",
)


def serve() -> None:
    """Run a command for each line of the input, and answer each with its exit status."""
    for name in SLOW:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _run(**request)
        _, waited = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(waited)}\n")
        sys.stdout.flush()


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, outputs: list[str]
) -> NoReturn:
    """As a process of its own would run it, to its end."""
    from audioprobe.cli import main

    for number, path in enumerate((os.devnull, *outputs)):
        flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["-c", *arguments]
    main()
    raise SystemExit(0)
