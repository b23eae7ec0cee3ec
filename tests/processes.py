"""The command line in a process of its own, with the brake on the network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = {"HF_HUB_OFFLINE": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
CLI = "from audioprobe.cli import main; main()"
BRAKED = "from tests.network_brake import install; install(); "


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that cannot leave this machine."""
    return subprocess.run(
        [sys.executable, "-c", BRAKED + code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | SETTINGS | environment,
        check=False,
    )


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `audioprobe` with these arguments."""
    return run_python(CLI, *arguments, **environment)


def start_cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start `audioprobe` with these arguments, and do not wait."""
    return subprocess.Popen(
        [sys.executable, "-c", BRAKED + CLI, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | SETTINGS | environment,
    )
