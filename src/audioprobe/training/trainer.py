"""The training loop, on the devices that accelerate chooses, with exact resumption.

The batch and the random numbers of a step depend only on the step and the seed. A training run that
is interrupted and resumed therefore ends with the same weights as without interruption.
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
"""One entry per step: "step", "loss", "rate" (learning rate), "norm" (of gradients), "seconds"."""
BatchFunction: TypeAlias = Callable[[int, int, int], Any]
"""Function that returns the batch for a step, the index of a process, and the number of processes.

It must return the same batch on every call with the same arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """Settings of the optimizer, the learning rate schedule and the precision of a training run.

    Attributes:
        steps: number of optimizer steps.
        learning_rate: learning rate of AdamW after the warm-up.
        warmup_steps: number of steps in which the learning rate rises linearly from 0.
        schedule: shape of the decay of the learning rate to 0 after the warm-up; "constant" does
            not decay.
        weight_decay: weight decay of AdamW.
        clip_norm: largest gradient norm; larger gradients are scaled down.
        precision: "bfloat16" uses torch's autocast on devices with fast bfloat16 arithmetic; other
            devices compute in float32. The dtype of the weights does not change.
        save_every: number of steps between two saved states.
        seed: random seed of dropout and other noise.
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
                "Expected steps and save_every of at least 1, and warmup_steps of at least 0, got "
                f"{self}."
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InvalidInputError(
                f"learning_rate must be above 0 and finite, got {self.learning_rate}."
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        decay = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
        return self.learning_rate * decay[self.schedule]

    def uses_bfloat16(self, device: str) -> bool:
        """Return whether a device type ("cpu", "cuda") computes in bfloat16 in this run."""
        return self.precision == "bfloat16" and computes_in_bfloat16(device)

    def autocast(self, device: str) -> AbstractContextManager[Any]:
        """Return a context in which networks compute in `precision` on a device type."""
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
    """Train the trainable parameters of a module; resume if the folder contains a saved state.

    Args:
        objective: module whose forward pass takes a batch and returns the loss, a scalar; it is in
            evaluation mode afterwards.
        batch_at: function that returns the batch of a step.
        arguments: steps, learning rate and other settings.
        folder: folder that is used only by this training run: for its state, and for a log with one
            JSON line per step.
        accept: function that is called before a state is saved, with the number of finished steps.
            If it returns False, training ends and the last saved state is restored. The result must
            depend only on the weights.
        progress: called after every step; the note of the event is the loss.

    Returns:
        One entry for each step up to the final weights.

    Raises:
        InvalidInputError: if no parameter is trainable, the loss does not depend on a trainable
            parameter, or the folder contains a training run with other arguments or parameters.
        TrainingError: if a loss, gradient or weight is not finite (the last saved state stays on
            disk), or another process trains in the folder.
    """
    if not trainable_parameters(objective):
        raise InvalidInputError(
            "Nothing to train: no parameter requires a gradient. Choose trainable modules with "
            "set_trainable."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = get_accelerator()
    # If several processes train together, only the main process locks the folder.
    lock = training_lock(folder) if accelerator.is_main_process else nullcontext()
    with lock, torch.random.fork_rng(), deterministic_mode(accelerator.device.type):
        run = _TrainingLoop(objective, batch_at, arguments, folder, accelerator)
        history = run(accept, progress)
        accelerator.wait_for_everyone()  # until the main process has written the state
        return history


def get_accelerator() -> Any:  # noqa: ANN401 - accelerate has no types
    """Return accelerate's `Accelerator`, which manages the device and the training processes."""
    # A step without audio has no gradient for the audio encoder.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The precision of an Accelerator cannot be changed later in the process; see
    # TrainingArguments.autocast.
    return Accelerator(mixed_precision="no", kwargs_handlers=[unused])


@contextmanager
def deterministic_mode(device: str) -> Iterator[None]:
    """Use deterministic algorithms in the context; otherwise a GPU adds numbers in any order.

    Args:
        device: device type: "cpu" or "cuda".
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
    """Return a context in which no other process can train in an existing folder.

    Raises:
        TrainingError: on entering the context, if another process trains in the folder.
    """
    message = f"{folder}: another process trains in this folder. Wait, or choose another folder."
    return exclusive_lock(folder / "lock", TrainingError(message))


class _TrainingLoop:
    """State of one training run: optimizer, number of finished steps, and history of the steps."""

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
        """Perform one optimizer step and return its loss."""
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
                f"{self.folder}: the loss of step {step} does not depend on any trainable "
                "parameter. Train more modules, or use other data."
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
            f"state is kept. Lower the learning rate (it was {self.arguments.rate(step):.2g}), or "
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
        """Restore the last saved state, or the initial weights if there is none."""
        saved = (self.folder / STATE).is_file()
        state: dict[str, Any] = load_state(self.folder / STATE) if saved else {"weights": initial}
        load_trainable_weights(self.objective, state["weights"])
        self.step, self.history = state.get("step", 0), state.get("history", [])

    def _resume(self) -> None:
        state = load_state(self.folder / STATE)
        same_arguments = json.loads(state["arguments"]) == asdict(self.arguments)
        if not same_arguments or not load_trainable_weights(self.objective, state["weights"]):
            raise InvalidInputError(
                f"{self.folder} contains a training run with other arguments, parameters or sizes. "
                "Use its arguments and model to resume it, or choose another folder."
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
