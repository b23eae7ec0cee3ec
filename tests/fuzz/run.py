"""Fuzz the readers of the library for a given time.

Each target gets an equal share of the time. An input that breaks the promise of its target (a valid
result, or a clear error) is shrunk by Hypothesis, written into the folder of findings, and reported
with its traceback; its target ends there. The exit status is then 1.

Usage: python -m tests.fuzz.run [--seconds 3600] [--out fuzz-findings] [TARGET ...]
"""

import argparse
import hashlib
import os
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.fuzz.target import HangError, Target
from tests.fuzz.targets import TARGETS

_ROUND = 200  # examples between two looks at the clock


def fuzz(target: Target, seconds: float, start: int, out: Path) -> tuple[int, str]:
    """Fuzz a target; return the number of inputs and the traceback of a fault ("" if none)."""
    end, n_inputs, round_number = time.monotonic() + seconds, 0, start
    last: list[bytes] = []
    with TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        target.prepare(folder)

        def check(content: bytes) -> None:
            nonlocal n_inputs
            n_inputs += 1
            last[:] = [content]
            target.check(content, folder)

        while time.monotonic() < end:
            options = settings(
                max_examples=_ROUND,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            try:
                seed(round_number)(options(given(target.strategy)(check)))()
            except (Exception, HangError):  # noqa: BLE001 - any is a finding
                digest = hashlib.sha256(last[0]).hexdigest()[:8]
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{target.name}--{digest}").write_bytes(last[0])
                return n_inputs, traceback.format_exc()
            round_number += 1
    return n_inputs, ""


def main() -> int:
    """Fuzz the targets that the command line names, or all; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", help="names, or beginnings of names; default: all")
    parser.add_argument("--seconds", type=float, default=3600.0, help="time for all targets")
    parser.add_argument("--seed", type=int, default=0, help="of the first round of each target")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    wanted = tuple(options.targets) or ("",)
    chosen = [target for name, target in TARGETS.items() if name.startswith(wanted)]
    if not chosen:
        parser.error(f"expected beginnings of {', '.join(TARGETS)}")
    n_faults = 0
    for target in chosen:
        n_inputs, fault = fuzz(target, options.seconds / len(chosen), options.seed, options.out)
        n_faults += bool(fault)
        print(f"{target.name}: {n_inputs} inputs, {'A FAULT' if fault else 'no fault'}", flush=True)
        if fault:
            print(fault, flush=True)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
