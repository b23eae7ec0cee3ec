"""Processes that train together: what each of them does, and how they are started."""

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
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.trainable import trainable_weights
from audioprobe.training.trainer import train
from tests.processes import ROOT, SETTINGS
from tests.tiny_tuning import strategy, tiny_data, tiny_model, validation_texts

STOPPING = {"kind": "early-stopping", "every": 2, "rise": 100.0}
COMBINED = strategy(
    "encoder+projector+lora",
    {"kind": "ewc", "strength": 1.0, "tasks": ["text", "audio"], "n_examples": 2},
    {"kind": "rehearsal", "texts": 1, "clips": 1},
    {"kind": "distillation", "texts": 1},
    STOPPING,
    {"kind": "contrastive"},
    {"kind": "hidden-states"},
    {"kind": "cross-attention", "width": 8},
    steps=3,
    seed=1,
)
CASES = {
    "combined": COMBINED,
    # Steps without audio give the projector no gradient.
    "text": strategy(
        "projector+lora", {"kind": "paired", "conditions": ["text"]}, clips=0, steps=2
    ),
    "stopped": strategy("projector+lora", STOPPING | {"rise": -100.0}),
}
KILLED = 9
"""Exit status of processes that end themselves."""
LINE = TrainingArguments(steps=12, learning_rate=1e-2, warmup_steps=2, save_every=5)


class LineFit(nn.Module):
    """Fits a line; the mean of the means of two halves is the mean of all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1))

    def forward(self, batch: Tensor) -> Tensor:
        loss: Tensor = ((self.layers(batch)[:, 0] - batch.sum(dim=1)) ** 2).mean()
        return loss


def half_batch(step: int, process: int, n_processes: int) -> Tensor:
    """The part of a process in the 32 rows of a step."""
    rows = torch.randn(32, 4, generator=torch.Generator().manual_seed(step))
    return rows.chunk(n_processes)[process]


def run_together(*arguments: str, n_processes: int = 2, status: int = 0) -> list[str]:
    """Run python with these arguments in processes that train together.

    Returns:
        The output of each process; all must end with the status.
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
        outputs = [process.communicate(timeout=240)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    for process, text in zip(started, outputs, strict=True):
        assert process.returncode == status, text
    return outputs


def results(out: Path, name: str) -> list[dict[str, Any]]:
    """The result of each process."""
    return [torch.load(path) for path in sorted(out.glob(f"{name} of *.pt"))]


def fine_tuned(
    chosen: Strategy,
    base: Path,
    spectrograms: Path,
    out: Path,
    progress: ProgressCallback = ignore_progress,
) -> Mapping[str, Any]:
    """Fine-tune, or resume the run of the folder; trained and initial weights, and history."""
    model, data = tiny_model(base, dropout=0.0), tiny_data(spectrograms)
    texts = validation_texts()
    result = finetune(model, data, chosen, out, validation_texts=texts, progress=progress)
    initial = result.initial_weights
    weights = {n: p.detach() for n, p in model.network.named_parameters() if n in initial}
    return {"weights": weights, "initial": initial, "history": list(result.history)}


def die_at(step: int) -> ProgressCallback:
    """End the process after this step, as a kill would."""

    def progress(event: ProgressEvent) -> None:
        if event.done == step:
            os._exit(KILLED)

    return progress


def main(places: Sequence[str], kill_at: str = "") -> None:
    """Run all cases, or only the largest one and end during it."""
    out, base, sounds = map(Path, places)
    rank = os.environ["RANK"]
    progress = die_at(int(kill_at)) if kill_at else ignore_progress
    for name, case in CASES.items() if not kill_at else [("combined", COMBINED)]:
        result = fine_tuned(case, base, sounds, out / name, progress)
        torch.save(result, out / f"{name} of {rank}.pt")
    if not kill_at:
        line = LineFit()
        log = train(line, half_batch, LINE, out / "line")
        result = {"weights": trainable_weights(line), "history": log}
        torch.save(result, out / f"line of {rank}.pt")
    PartialState().destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:4], *sys.argv[4:])
