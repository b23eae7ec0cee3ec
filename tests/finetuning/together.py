"""Several processes that train together: what each of them does, and how they are started."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn

from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.trainer import finetune
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training import checkpointing
from audioprobe.training.trainer import TrainingArguments, train
from tests.processes import ROOT, SETTINGS
from tests.tiny_tuning import strategy, tiny_files, tiny_lessons, watched

LOOKS = {"kind": "early-stopping", "every": 2, "rise": 100.0}
EVERYTHING = strategy(
    "encoder+projector+lora",
    {"kind": "ewc", "strength": 1.0, "tasks": ["text", "audio"], "n_examples": 2},
    {"kind": "rehearsal", "texts": 1, "clips": 1},
    {"kind": "distillation", "texts": 1},
    LOOKS,
    {"kind": "contrastive"},
    {"kind": "hidden-states"},
    {"kind": "cross-attention", "width": 8},
    steps=3,
    seed=1,
)
CASES = {
    "everything": EVERYTHING,
    # A step hears nothing, so what hears has no gradient.
    "words": strategy(
        "projector+lora", {"kind": "paired", "conditions": ["text"]}, clips=0, steps=2
    ),
    "stopped": strategy("projector+lora", LOOKS | {"rise": -100.0}),
}
KILLED = 9
"""Status of processes that were told to die."""
LINE = TrainingArguments(steps=12, learning_rate=1e-2, warmup_steps=2, save_every=5)


class Plain(nn.Module):
    """Fits a line; a mean of means over halves is the mean over the whole."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1))

    def forward(self, batch: Tensor) -> Tensor:
        loss: Tensor = ((self.layers(batch)[:, 0] - batch.sum(dim=1)) ** 2).mean()
        return loss


def halves(step: int, process: int, n_processes: int) -> Tensor:
    """A step's batch of 32, shared among the processes."""
    whole = torch.randn(32, 4, generator=torch.Generator().manual_seed(step))
    return whole.chunk(n_processes)[process]


def run_together(*arguments: str, n_processes: int = 2, status: int = 0) -> list[str]:
    """Start python with these arguments so often, as processes that train together.

    Returns:
        What each of them printed, when all have ended with the status.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"} | SETTINGS
    if sys.platform == "linux":
        shared["GLOO_SOCKET_IFNAME"] = "lo"  # the name of a machine may lead nowhere
    command = [sys.executable, *arguments]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(n_processes)
    ]
    try:
        told = [process.communicate(timeout=240)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    for process, text in zip(started, told, strict=True):
        assert process.returncode == status, text
    return told


def results(out: Path, name: str) -> list[dict[str, Any]]:
    """What each process found."""
    return [torch.load(path) for path in sorted(out.glob(f"{name} of *.pt"))]


def begun(
    strategy: Strategy,
    base: Path,
    sounds: Path,
    out: Path,
    progress: ProgressCallback = ignore_progress,
) -> Mapping[str, Any]:
    """Fine-tune as far as the folder says; weights, and what they were before."""
    files, lessons = tiny_files(base, dropout=0.0), tiny_lessons(sounds)
    told = finetune(files, lessons, strategy, out, watched=watched(), progress=progress)
    own = {n: p.detach() for n, p in files.net.named_parameters() if n in told.before}
    return {"weights": own, "before": told.before, "log": list(told.log)}


def die_at(step: int) -> ProgressCallback:
    """Whoever is told of this step is gone at once, as if killed."""

    def progress(event: ProgressEvent) -> None:
        if event.done == step:
            os._exit(KILLED)

    return progress


def main(places: Sequence[str], kill_at: str = "") -> None:
    """Every case, one after the other; those that shall die on the way do the largest alone."""
    out, base, sounds = map(Path, places)
    rank = os.environ["RANK"]
    progress = die_at(int(kill_at)) if kill_at else ignore_progress
    for name, case in CASES.items() if not kill_at else [("everything", EVERYTHING)]:
        found = begun(case, base, sounds, out / name, progress)
        torch.save(found, out / f"{name} of {rank}.pt")
    if not kill_at:
        line = Plain()
        log = train(line, halves, LINE, out / "line")
        found = {"weights": checkpointing.trained(line), "log": log}
        torch.save(found, out / f"line of {rank}.pt")
    PartialState().destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:4], *sys.argv[4:])
