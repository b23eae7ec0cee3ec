"""The command line in a process of its own, with the brake on the network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BRAKED = "from tests.network_brake import install; install(); "


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that cannot leave this machine."""
    settings = {"HF_HUB_OFFLINE": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, "-c", BRAKED + code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        check=False,
    )


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `audioprobe` with these arguments."""
    return run_python("from audioprobe.cli import main; main()", *arguments, **environment)
