"""The training loop, on the devices that accelerate chooses, with exact resumption.

The batch and the random numbers of a step depend only on the step and the seed. A training run that
is interrupted and resumed therefore ends with the same weights as without interruption.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import send_to_device
from torch import Tensor, nn

from audioprobe.devices import deterministic_mode
from audioprobe.errors import InvalidInputError, TrainingError, WeightsError
from audioprobe.io.atomic import atomic_open, atomic_write, exclusive_lock
from audioprobe.parsing import parse_json
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.frozen_weights import FrozenBFloat16
from audioprobe.training.trainable import (
    copy_trainable_weights,
    load_trainable_weights,
    trainable_parameters,
    trainable_weights,
)

STATE, LOG = "state.pt", "log.jsonl"
History: TypeAlias = list[dict[str, float]]
"""One entry per step: "step", "loss", "rate" (learning rate), "norm" (gradient norm), "seconds",
and the values of `measure`, if it was called after the step."""
BatchFunction: TypeAlias = Callable[[int, int, int], Any]
"""Function of (step, index of the process, number of processes) that returns a batch.

It must return the same batch whenever the arguments are the same."""


def train(
    objective: nn.Module,
    batch_at: BatchFunction,
    arguments: TrainingArguments,
    folder: str | Path,
    *,
    rate_factor: Callable[[str], float] | None = None,
    accept: Callable[[int], bool] | None = None,
    measure: Callable[[], Mapping[str, float]] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> History:
    """Train all parameters of a module that require gradients.

    If the folder contains a saved state of this training run, continue from this state.

    Args:
        objective: module whose forward pass takes a batch and returns the loss, a scalar; it is in
            evaluation mode afterwards.
        batch_at: function that returns the batch of a step.
        arguments: steps, learning rate and other settings.
        folder: folder for the saved state and the log (one JSON line per step); only this training
            run may use it.
        rate_factor: function of the name of a parameter that returns a factor of its learning rate;
            None means 1 for all.
        accept: function of the number of finished steps, called before a state is saved. If it
            returns False, training ends and the last saved state is restored. Its result must
            depend only on the weights.
        measure: function whose values are added to the entry of a step before a state is saved.
        progress: called after every step; the note of the event is the loss.

    Returns:
        One entry for each step up to the final weights.

    Raises:
        InvalidInputError: if no parameter requires a gradient, the loss does not depend on such a
            parameter, or the folder contains a training run with other arguments or parameters.
        TrainingError: if a loss, gradient or weight is not finite (the last saved state stays on
            disk), or another process trains in the folder.
        WeightsError: if the saved state cannot be read.
    """
    if not trainable_parameters(objective):
        raise InvalidInputError(
            "Nothing to train: no parameter requires a gradient. Choose the modules to train with "
            "set_trainable."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = get_accelerator()
    # Several processes can train one model together; only the main process locks the folder.
    lock = training_lock(folder) if accelerator.is_main_process else nullcontext()
    with lock, torch.random.fork_rng(), deterministic_mode(accelerator.device.type):
        run = _TrainingLoop(
            objective, batch_at, arguments, folder, accelerator, rate_factor=rate_factor
        )
        history = run(accept, measure, progress)
        accelerator.wait_for_everyone()  # until the main process has written the state
        return history


def get_accelerator() -> Any:  # noqa: ANN401 - accelerate has no types
    """Return accelerate's `Accelerator`, which manages the device and the training processes."""
    # Without audio in a batch, the audio encoder has no gradient.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # The precision is set by TrainingArguments.autocast: here, it could be set once per process.
    return Accelerator(mixed_precision="no", kwargs_handlers=[unused])


def training_lock(folder: Path) -> AbstractContextManager[None]:
    """Return a context manager that locks a folder; raises `TrainingError` if it is locked."""
    message = f"{folder}: another process trains in this folder. Wait, or choose another folder."
    return exclusive_lock(folder / "lock", TrainingError(message))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors, numbers, text) to a file; a crash leaves the old file."""
    with atomic_open(path) as stream:
        torch.save(state, stream)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state that `save_state` wrote, without executing code from the file.

    Raises:
        WeightsError: if the file is missing, damaged, or not a training state.
    """
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # the unpickler's own exception is private
        raise _unreadable_state(path, error) from error


def _unreadable_state(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: the training state cannot be read ({error!r:.200}). Delete the file to start "
        "the training again."
    )


class _TrainingLoop:
    """A training run in progress: optimizer, number of finished steps, and log entry per step."""

    def __init__(
        self,
        objective: nn.Module,
        batch_at: BatchFunction,
        arguments: TrainingArguments,
        folder: Path,
        accelerator: Any,  # noqa: ANN401
        *,
        rate_factor: Callable[[str], float] | None,
    ) -> None:
        self.objective, self.batch_at, self.arguments = objective, batch_at, arguments
        self.folder, self.accelerator = folder, accelerator
        self.parameters = trainable_parameters(objective)
        self._frozen: FrozenBFloat16 | None = None
        self.optimizer = torch.optim.AdamW(
            _groups(objective, rate_factor),
            lr=arguments.learning_rate,
            weight_decay=arguments.weight_decay,
        )
        self.step = 0
        self.history: History = []

    def __call__(
        self,
        accept: Callable[[int], bool] | None,
        measure: Callable[[], Mapping[str, float]] | None,
        progress: ProgressCallback,
    ) -> History:
        initial = {} if accept is None else copy_trainable_weights(self.objective)
        if (self.folder / STATE).is_file():
            self._resume()
        model, optimizer = self.accelerator.prepare(self.objective, self.optimizer)
        if self.arguments.uses_bfloat16(self.accelerator.device.type):
            self._frozen = FrozenBFloat16(self.objective)  # on the device of the model
        model.train()
        n_steps = self.arguments.steps
        while self.step < n_steps:
            loss = self._update(model, optimizer)
            if self.step % self.arguments.save_every == 0 or self.step == n_steps:
                if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
                    raise self._divergence("weights that are not finite", self.step - 1)
                self.objective.eval()
                if measure is not None:
                    self.history[-1] |= measure()
                if accept is not None and not self._accepted_by_all(accepted=accept(self.step)):
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
            group["lr"] = rate * group.get("factor", 1.0)  # older states have none
        batch = self.batch_at(step, accelerator.process_index, accelerator.num_processes)
        with nullcontext() if self._frozen is None else self._frozen.in_use():
            loss = self._gradients(model, send_to_device(batch, accelerator.device))
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

    def _gradients(self, model: nn.Module, batch: object) -> Tensor:
        """Compute the gradients of a batch, and return its loss."""
        with self.arguments.autocast(self.accelerator.device.type):
            loss: Tensor = model(batch).float()
        if not loss.requires_grad:
            raise InvalidInputError(
                f"{self.folder}: the loss of step {self.step} does not depend on any trainable "
                "parameter. Train more modules, or use other data."
            )
        self.accelerator.backward(loss)
        return loss

    def _divergence(self, symptom: str, step: int) -> TrainingError:
        return TrainingError(
            f"{self.folder}: {symptom} at step {step}: the training has diverged. The last saved "
            f"state is still there. Lower the learning rate (it was "
            f"{self.arguments.rate(step):.2g}), or check the batch of this step."
        )

    def _accepted_by_all(self, *, accepted: bool) -> bool:
        """Return True if every process that trains the model passed `accepted=True`."""
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
        path = self.folder / STATE
        state = load_state(path)
        try:
            matches = parse_json(state["arguments"]) == asdict(self.arguments)
            matches = matches and load_trainable_weights(self.objective, state["weights"])
            if matches:
                self.optimizer.load_state_dict(state["optimizer"])
                self.step, self.history = int(state["step"]), list(state["history"])
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise _unreadable_state(path, error) from error
        if not matches:
            raise InvalidInputError(
                f"{self.folder} contains a training run with other arguments, parameters or sizes. "
                "Use its arguments and model to resume it, or choose another folder."
            )


def _groups(
    objective: nn.Module, rate_factor: Callable[[str], float] | None
) -> list[dict[str, Any]]:
    """Return the optimizer's groups: the trainable parameters by the factor of their rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            factor = 1.0 if rate_factor is None else rate_factor(name)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": group, "factor": factor} for factor, group in groups.items()]
