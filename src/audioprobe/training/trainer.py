"""The training loop: accelerate's devices and number formats, and exact resumption.

A batch and the noise of a step depend on the step and the seed only, so an interrupted training run
that is resumed ends with the weights that it would have reached.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import send_to_device
from torch import Tensor, nn

from audioprobe.devices import computes_in_bfloat16
from audioprobe.errors import InvalidInputError, TrainingError
from audioprobe.io.atomic import atomic_write, exclusive_lock
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.checkpointing import (
    copy_trainable_weights,
    load_state,
    load_trainable_weights,
    save_state,
    trainable_weights,
)
from audioprobe.training.trainable import trainable_parameters

STATE, LOG = "state.pt", "log.jsonl"
Schedule: TypeAlias = Literal["linear", "cosine", "constant"]
History: TypeAlias = list[dict[str, float]]
"""Step, loss, learning rate ("rate"), gradient norm ("norm") and seconds of every step."""
BatchFunction: TypeAlias = Callable[[int, int, int], Any]
"""Returns the batch of (step, process, number of processes), the same on every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """Optimizer, schedule and number format of a training run.

    Attributes:
        steps: number of updates.
        learning_rate: of AdamW, after the warm-up.
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: decay after the warm-up, to 0 at the last step; "constant" does not decay.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm; larger gradients are scaled down.
        precision: "bfloat16" computes in it where torch considers it safe, on devices with fast
            bfloat16 arithmetic; other devices compute in float32. Weights keep their format.
        save_every: steps between two saved states.
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
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        decay = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
        return self.learning_rate * decay[self.schedule]

    def uses_bfloat16(self, device: str) -> bool:
        """Return whether a kind of device ("cpu", "cuda") computes in bfloat16."""
        return self.precision == "bfloat16" and computes_in_bfloat16(device)

    def autocast(self, device: str) -> AbstractContextManager[Any]:
        """Return a context in which networks compute in the precision of the arguments."""
        return torch.autocast(device, torch.bfloat16, enabled=self.uses_bfloat16(device))


def train(
    objective: nn.Module,
    batch_at: BatchFunction,
    arguments: TrainingArguments,
    folder: str | Path,
    *,
    accept: Callable[[int], bool] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> History:
    """Train the parameters of a module that require gradients, resuming a run of the folder.

    Args:
        objective: module whose forward pass takes a batch and returns the loss, a scalar; in
            evaluation mode afterwards.
        batch_at: returns the batch of a step.
        arguments: steps, learning rate and the like.
        folder: of this training run only: its state, and a log with one JSON line per step.
        accept: called with the number of steps done before a state is saved; False ends the run and
            restores the last saved state. It must depend on the weights only.
        progress: called after every step; the note has the loss.

    Returns:
        The entries of all steps up to the final weights.

    Raises:
        InvalidInputError: if no parameter requires gradients or has a part in the loss, or the
            folder holds a training run with other arguments or parameters.
        TrainingError: if a loss, gradient or weight is not finite (the last state stays on disk),
            or another process trains in the folder.
    """
    if not trainable_parameters(objective):
        raise InvalidInputError("Nothing to train: no parameter requires a gradient.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = get_accelerator()
    # Of several processes that train together, the main one locks the folder for all.
    lock = training_lock(folder) if accelerator.is_main_process else nullcontext()
    with lock, torch.random.fork_rng(), deterministic_mode(accelerator.device.type):
        run = _TrainingLoop(objective, batch_at, arguments, folder, accelerator)
        history = run(accept, progress)
        accelerator.wait_for_everyone()  # the state is on disk when the others continue
        return history


def get_accelerator() -> Any:  # noqa: ANN401 - accelerate has no types
    """Return accelerate's `Accelerator`: the device, and the processes that train together."""
    # A step without audio has no gradient for the audio encoder.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The precision of an Accelerator holds for the whole process; see TrainingArguments.autocast.
    return Accelerator(mixed_precision="no", kwargs_handlers=[unused])


@contextmanager
def deterministic_mode(device: str) -> Iterator[None]:
    """Make repeated steps give the same weights; otherwise a GPU sums in any order.

    Args:
        device: kind of device: "cpu", "cuda".
    """
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by torch for cuBLAS
        torch.use_deterministic_algorithms(True)  # with warn_only, attention would not change
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_deterministic, warn_only=warned_only)


def training_lock(folder: Path) -> AbstractContextManager[None]:
    """Return a lock that lets one process train in an existing folder.

    Raises:
        TrainingError: on entering, if another process trains there.
    """
    message = f"{folder}: another process trains in this folder. Wait, or choose another folder."
    return exclusive_lock(folder / "lock", TrainingError(message))


class _TrainingLoop:
    """One training run: its optimizer, and the step and history that are saved with the weights."""

    def __init__(
        self,
        objective: nn.Module,
        batch_at: BatchFunction,
        arguments: TrainingArguments,
        folder: Path,
        accelerator: Any,  # noqa: ANN401
    ) -> None:
        self.objective, self.batch_at, self.arguments = objective, batch_at, arguments
        self.folder, self.accelerator = folder, accelerator
        self.parameters = trainable_parameters(objective)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=arguments.learning_rate, weight_decay=arguments.weight_decay
        )
        self.step = 0
        self.history: History = []

    def __call__(self, accept: Callable[[int], bool] | None, progress: ProgressCallback) -> History:
        initial = {} if accept is None else copy_trainable_weights(self.objective)
        if (self.folder / STATE).is_file():
            self._resume()
        model, optimizer = self.accelerator.prepare(self.objective, self.optimizer)
        model.train()
        n_steps = self.arguments.steps
        while self.step < n_steps:
            loss = self._update(model, optimizer)
            if self.step % self.arguments.save_every == 0 or self.step == n_steps:
                if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
                    raise self._divergence("weights that are not finite", self.step - 1)
                if accept is not None:
                    self.objective.eval()
                    if not self._accepted_by_all(accepted=accept(self.step)):
                        self._restore(initial)
                        break
                    model.train()
                if self.accelerator.is_main_process:
                    self._save()
            progress(
                ProgressEvent(stage="steps", done=self.step, total=n_steps, note=f"loss {loss:.3f}")
            )
        self.objective.eval()
        return self.history

    def _update(self, model: nn.Module, optimizer: Any) -> float:  # noqa: ANN401
        """Do one step and return its loss."""
        started, step, accelerator = time.perf_counter(), self.step, self.accelerator
        torch.manual_seed(self.arguments.seed * 1_000_003 + step)
        rate = self.arguments.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.batch_at(step, accelerator.process_index, accelerator.num_processes)
        with self.arguments.autocast(accelerator.device.type):
            loss = model(send_to_device(batch, accelerator.device)).float()
        if not loss.requires_grad:
            raise InvalidInputError(
                f"{self.folder}: no trainable parameter has a part in the loss of step {step}. "
                "Train more modules, or on other data."
            )
        accelerator.backward(loss)
        norm = float(accelerator.clip_grad_norm_(self.parameters, self.arguments.clip_norm))
        mean_loss = float(accelerator.reduce(loss.detach(), "mean"))
        if not (math.isfinite(mean_loss) and math.isfinite(norm)):
            raise self._divergence(f"loss {mean_loss} and gradient norm {norm}", step)
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.perf_counter() - started
        entry = {"step": step, "loss": mean_loss, "rate": rate, "norm": norm, "seconds": seconds}
        self.history.append(entry)
        self.step += 1
        return mean_loss

    def _divergence(self, symptom: str, step: int) -> TrainingError:
        return TrainingError(
            f"{self.folder}: {symptom} at step {step}: the training has diverged. The last saved "
            f"state stays. Lower the learning rate (it was {self.arguments.rate(step):.2g}), or "
            "check the batch of this step."
        )

    def _accepted_by_all(self, *, accepted: bool) -> bool:
        value = torch.tensor(float(accepted), device=self.accelerator.device)
        return float(self.accelerator.reduce(value, "mean")) == 1.0

    def _save(self) -> None:
        state = {
            "arguments": json.dumps(asdict(self.arguments)),
            "step": self.step,
            "history": self.history,
            "weights": trainable_weights(self.objective),
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(self.folder / STATE, state)
        log = "".join(json.dumps(entry) + "\n" for entry in self.history)
        atomic_write(self.folder / LOG, log)

    def _restore(self, initial: dict[str, Tensor]) -> None:
        """Return to the last saved state, or to the initial weights."""
        saved = (self.folder / STATE).is_file()
        state: dict[str, Any] = load_state(self.folder / STATE) if saved else {"weights": initial}
        load_trainable_weights(self.objective, state["weights"])
        self.step, self.history = state.get("step", 0), state.get("history", [])

    def _resume(self) -> None:
        state = load_state(self.folder / STATE)
        same_arguments = json.loads(state["arguments"]) == asdict(self.arguments)
        if not same_arguments or not load_trainable_weights(self.objective, state["weights"]):
            raise InvalidInputError(
                f"{self.folder} holds a training run with other arguments, parameters or sizes. "
                "Resume it with those, or choose another folder."
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
