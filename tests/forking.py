"""Commands forked from a process that has loaded what is slow to load."""

import gc
import importlib
import json
import os
import sys
import traceback
from typing import NoReturn

SLOW = (
    "peft",
    "transformers",
    "sentence_transformers",
    "scipy.stats",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "audioprobe.models.ltu.model",
    "audioprobe.cli",
    "audioprobe.experiments.classification.outputs",
    "audioprobe.experiments.finetuning.outputs",
    "audioprobe.experiments.probing.outputs",
    "audioprobe.models.cached",
)


def load_modules() -> None:
    """Load what commands need, before they are forked."""
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy all pages of these modules


def serve() -> None:
    """Run a command for each line of the input, and answer each with its exit status."""
    load_modules()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            run_command(**request)
        _, waited = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(waited)}\n")
        sys.stdout.flush()


def run_command(
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
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path and path not in sys.path]
    sys.argv = ["-c", *arguments]
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - printed, as Python does it
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # unloading all modules would take longer than most commands
