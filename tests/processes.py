"""The command line in a process of its own, with the brake on the network.

Loading torch, transformers and peft takes longer than most commands need for their work. So
commands that run to their end are forked from a process that has loaded them. Commands that are
stopped or killed, and those that change how libraries load, start in a new interpreter.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The source beside these tests is what they run, wherever the package is installed from.
_PATHS = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
SETTINGS = {"HF_HUB_OFFLINE": "1", "COLUMNS": "120", "PYTHONPATH": os.pathsep.join(_PATHS)}
CLI = "from audioprobe.cli import main; main()"
INTERRUPTIBLE = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); "
BRAKED = "from tests.network_brake import install; install(); "
SERVER = BRAKED + "from tests.forking import serve; serve()"


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
    at_start = [name for name in environment if name.startswith(("HF_", "PYTHON", "OMP_"))]
    if at_start not in ([], ["PYTHONPATH"]):  # these are read when Python or a library starts
        return run_python(CLI, *arguments, **environment)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        request = {
            "arguments": arguments,
            "environment": dict(os.environ | SETTINGS | environment),
            "folder": str(Path.cwd()),
            "outputs": list(map(str, outputs)),
        }
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        texts = (path.read_text(encoding="utf-8") for path in outputs)
        return subprocess.CompletedProcess(["audioprobe", *arguments], status, *texts)


@cache
def _server() -> subprocess.Popen[str]:
    """Ends when this process does, as its input ends then."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | SETTINGS,
        cwd=ROOT,
    )


def start_cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start `audioprobe` with these arguments, and do not wait.

    Ctrl-C reaches it even where the tests run in the background of a shell, which ignores it.
    """
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + BRAKED + CLI, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | SETTINGS | environment,
    )
