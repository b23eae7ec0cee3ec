"""Fuzz the readers of the library for a given time.

Each target gets an equal share of the time. For each place in the library at which an input breaks
the promise of its target (a valid result, or a clear error), the shortest such input is written
into the folder of findings, and its traceback is printed. The exit status is then 1.

Usage: python -m tests.fuzz.run [--seconds 3600] [--seed 0] [--out fuzz-findings] [TARGET ...]
"""

import argparse
import hashlib
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.fuzz.target import HangError, Target
from tests.fuzz.targets import TARGETS

_ROUND = 100  # inputs between two looks at the clock
_OPTIONS = settings(
    max_examples=_ROUND,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Findings:
    """The inputs tried, and the shortest one for each kind of fault, with its traceback."""

    n_inputs: int = 0
    faults: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def add(self, content: bytes, error: BaseException) -> None:
        """Add a fault; its kind is the type of the error and the last place in the library."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{f.filename}:{f.lineno}" for f in frames if "audioprobe" in f.filename]
        kind = f"{type(error).__name__} {places[-1] if places else ''}"
        before = self.faults.get(kind)
        if before is None or len(content) < len(before[0]):
            self.faults[kind] = content, "".join(traceback.format_exception(error))


def fuzz(target: Target, seconds: float, first_seed: int) -> Findings:
    """Fuzz a target for some seconds, with at least one input."""
    findings, strategy = Findings(), target.strategy
    with TemporaryDirectory(prefix="fuzz-") as name:
        target.prepare(Path(name))
        end = time.monotonic() + seconds

        def check(content: bytes) -> None:
            if findings.n_inputs and time.monotonic() > end:
                return
            findings.n_inputs += 1
            try:
                target.check(content, Path(name))
            except (Exception, HangError) as error:  # noqa: BLE001 - any is a finding
                findings.add(content, error)
                if torch := sys.modules.get("torch"):  # an interrupted reader may leave them off
                    torch.set_grad_enabled(True)

        for number in count(first_seed):
            seed(number)(_OPTIONS(given(strategy)(check)))()
            if time.monotonic() > end:
                break
    return findings


def report(target: Target, findings: Findings, out: Path) -> None:
    """Print the findings of a target, and write their inputs."""
    print(f"{target.name}: {findings.n_inputs} inputs, {len(findings.faults)} faults", flush=True)
    for kind, (content, trace) in findings.faults.items():
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{target.name}--{hashlib.sha256(kind.encode()).hexdigest()[:8]}"
        path.write_bytes(content)
        print(f"{path}: {kind}\n{trace}", flush=True)


def main() -> int:
    """Fuzz the targets that the command line names, or all; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="names, or beginnings of names; default: all")
    parser.add_argument("--seconds", type=float, default=3600.0, help="time for all targets")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first inputs")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    wanted = tuple(options.targets) or ("",)
    chosen = [target for name, target in TARGETS.items() if name.startswith(wanted)]
    if not chosen:
        parser.error(f"expected beginnings of {', '.join(TARGETS)}")
    n_faults = 0
    for target in chosen:
        findings = fuzz(target, options.seconds / len(chosen), options.seed)
        report(target, findings, options.out)
        n_faults += len(findings.faults)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
