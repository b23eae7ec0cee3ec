"""One loop for every training: accelerate's devices and number formats, and exact resumption.

A batch and the noise of a step depend on the step and the seed alone, so a training that was
killed goes on to the weights that it would have reached.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import send_to_device
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.io.atomic import atomic_write, exclusive_lock
from audioprobe.models.causal_lm.dtypes import computes_in_bfloat16
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training import checkpointing

STATE, LOG = "state.pt", "log.jsonl"
Schedule: TypeAlias = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """How to train.

    Attributes:
        steps: updates of the weights.
        learning_rate: after the warm-up, of AdamW.
        warmup_steps: steps in which it rises from 0.
        schedule: how it falls afterwards, to 0 at the last step, or not at all.
        weight_decay: of AdamW.
        clip_norm: longest gradient.
        precision: "bfloat16" computes in it where torch finds that safe, on devices that have it
            (others compute in float32, which is faster there); weights keep their format.
        save_every: steps between two states on disk.
        seed: of dropout and other noise.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    schedule: Schedule = "linear"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.save_every < 1 or self.warmup_steps < 0:
            raise InvalidInputError(
                "Expected steps and save_every of at least 1 and warmup_steps of at least 0, got "
                f"{self}."
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InvalidInputError(f"learning_rate must be above 0, got {self.learning_rate}.")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        falls = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
        return self.learning_rate * falls[self.schedule]

    def lowers(self, device: str) -> bool:
        """Whether it computes in bfloat16 on a kind of device ("cpu", "cuda")."""
        return self.precision == "bfloat16" and computes_in_bfloat16(device)

    def computing(self, device: str) -> AbstractContextManager[Any]:
        """Where networks compute as the plan has it on a kind of device."""
        return torch.autocast(device, torch.bfloat16, enabled=self.lowers(device))


@dataclass(slots=True)
class _Run:
    """What is saved besides weights: where it is, and what it logged."""

    step: int = 0
    log: list[dict[str, float]] = field(default_factory=list)


def train(
    objective: nn.Module,
    batch_at: Callable[[int, int, int], Any],
    plan: TrainingArguments,
    folder: str | Path,
    *,
    accept: Callable[[int], bool] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> list[dict[str, float]]:
    """Train what of a module requires gradients, resuming what the folder holds.

    Args:
        objective: its forward pass takes a batch and returns the loss, a scalar.
        batch_at: the batch of (step, process, number of processes); the same whenever it is asked.
        plan: how.
        folder: of this training alone: its state, and a log with one JSON line a step.
        accept: asked, with the number of steps done, before a state is saved; False ends the
            training at the state before. Its answer must depend on the weights alone.
        progress: called after every step; the note has the loss.

    Returns:
        The log: step, loss, learning rate, gradient norm and seconds of every step up to the
        weights that stay.

    Raises:
        InvalidInputError: if nothing requires gradients, nothing that does has a part in a loss, or
            the folder holds a training by another plan.
        TrainingError: if a loss, a gradient or a weight is not finite; the last good state stays.
            Or if another process trains in this folder.
    """
    if not any(parameter.requires_grad for parameter in objective.parameters()):
        raise InvalidInputError("Nothing to train: no parameter requires a gradient.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = get_accelerator()
    # Of several processes that train together, the first holds the folder for all.
    holding = training_lock(folder) if accelerator.is_main_process else nullcontext()
    with holding, torch.random.fork_rng(), deterministic_mode(accelerator.device.type):
        log = _fit(objective, batch_at, plan, folder, accelerator, accept=accept, progress=progress)
        accelerator.wait_for_everyone()  # so that the state is on disk when the others go on
        return log


def get_accelerator() -> Any:  # noqa: ANN401 - accelerate has no types
    """The processes that train together, as accelerate's `Accelerator`; mostly this one alone."""
    # A step need not reach every parameter: if it hears nothing, what hears has no gradient.
    reached = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The precision of an Accelerator is that of the whole process: each plan has its own instead.
    return Accelerator(mixed_precision="no", kwargs_handlers=[reached])


def _fit(
    objective: nn.Module,
    batch_at: Callable[[int, int, int], Any],
    plan: TrainingArguments,
    folder: Path,
    accelerator: Any,  # noqa: ANN401
    *,
    accept: Callable[[int], bool] | None,
    progress: ProgressCallback,
) -> list[dict[str, float]]:
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    initial = {} if accept is None else checkpointing.copied(objective)
    run = _restore(folder / STATE, objective, optimizer, plan)
    model, driven = accelerator.prepare(objective, optimizer)
    model.train()
    while run.step < plan.steps:
        began = time.perf_counter()
        torch.manual_seed(plan.seed * 1_000_003 + run.step)
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(run.step)
        batch = batch_at(run.step, accelerator.process_index, accelerator.num_processes)
        with plan.computing(accelerator.device.type):
            loss = model(send_to_device(batch, accelerator.device)).float()
        if not loss.requires_grad:
            raise InvalidInputError(
                f"{folder}: nothing that trains has a part in the loss of step {run.step}. Let "
                "more train, or learn from something else."
            )
        accelerator.backward(loss)
        norm = float(accelerator.clip_grad_norm_(trained, plan.clip_norm))
        shown = float(accelerator.reduce(loss.detach(), "mean"))
        if not (math.isfinite(shown) and math.isfinite(norm)):
            raise _diverged(folder, f"loss {shown} and gradient norm {norm}", plan, run.step)
        driven.step()
        driven.zero_grad()
        entry = {"step": run.step, "loss": shown, "rate": plan.rate(run.step), "norm": norm}
        run.log.append({**entry, "seconds": time.perf_counter() - began})
        run.step += 1
        due = run.step % plan.save_every == 0 or run.step == plan.steps
        if due and not all(bool(parameter.isfinite().all()) for parameter in trained):
            raise _diverged(folder, "weights that are not finite", plan, run.step - 1)
        if due and accept is not None:
            objective.eval()
            if not _agreed(accelerator, accepted=accept(run.step)):
                run = _go_back(folder / STATE, objective, initial)
                break
            model.train()
        if due and accelerator.is_main_process:
            _save(folder, objective, optimizer, plan, run)
        progress(
            ProgressEvent(stage="steps", done=run.step, total=plan.steps, note=f"loss {shown:.3f}")
        )
    objective.eval()
    return run.log


@contextmanager
def deterministic_mode(device: str) -> Iterator[None]:
    """Where the same step twice gives the same weights; a GPU adds up in any order otherwise.

    Args:
        device: a kind of device: "cpu", "cuda".
    """
    before = torch.are_deterministic_algorithms_enabled()
    gently = torch.is_deterministic_algorithms_warn_only_enabled()
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else torch doubts cuBLAS
        torch.use_deterministic_algorithms(True)  # to warn only would leave attention as it is
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=gently)


def _diverged(folder: Path, what: str, plan: TrainingArguments, step: int) -> TrainingError:
    return TrainingError(
        f"{folder}: {what} at step {step}: the training has diverged. The state before is kept. "
        f"Lower the learning rate (it was {plan.rate(step):.2g}), or look at the batch of this "
        "step."
    )


def _agreed(accelerator: Any, *, accepted: bool) -> bool:  # noqa: ANN401
    """Whether all processes accept: they go on together, or none does."""
    said = torch.tensor(float(accepted), device=accelerator.device)
    return float(accelerator.reduce(said, "mean")) == 1.0


def training_lock(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from training in a folder, which exists.

    Raises:
        TrainingError: if one does.
    """
    refusal = TrainingError(
        f"{folder}: another process trains in this folder. Wait for it, or name another folder."
    )
    return exclusive_lock(folder / "lock", refusal)


def _save(
    folder: Path,
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    plan: TrainingArguments,
    run: _Run,
) -> None:
    state = {
        "plan": json.dumps(asdict(plan)),
        "step": run.step,
        "log": run.log,
        "weights": checkpointing.trained(objective),
        "optimizer": optimizer.state_dict(),
    }
    checkpointing.save(folder / STATE, state)
    atomic_write(folder / LOG, "".join(json.dumps(entry) + "\n" for entry in run.log))


def _go_back(path: Path, objective: nn.Module, initial: Mapping[str, Tensor]) -> _Run:
    """To the state that was saved last, or else to where it began."""
    if not path.is_file():
        checkpointing.restore(objective, initial)
        return _Run()
    state = checkpointing.load(path)
    checkpointing.restore(objective, state["weights"])
    return _Run(state["step"], state["log"])


def _restore(
    path: Path, objective: nn.Module, optimizer: torch.optim.Optimizer, plan: TrainingArguments
) -> _Run:
    if not path.is_file():
        return _Run()
    state = checkpointing.load(path)
    same_plan = json.loads(state["plan"]) == asdict(plan)
    if not same_plan or not checkpointing.restore(objective, state["weights"]):
        raise InvalidInputError(
            f"{path.parent}: holds a training by another plan, or of other parameters or sizes. Go "
            "on with that plan, or name another folder."
        )
    optimizer.load_state_dict(state["optimizer"])
    return _Run(state["step"], state["log"])
