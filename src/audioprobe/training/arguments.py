"""Settings of a training run."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audioprobe.devices import bfloat16_mode, computes_in_bfloat16
from audioprobe.errors import InvalidInputError

Schedule: TypeAlias = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """Settings of the optimizer, the learning rate schedule and the precision of a training run.

    Attributes:
        steps: number of optimizer steps.
        learning_rate: learning rate of AdamW at the end of the warm-up.
        warmup_steps: number of steps in which the learning rate rises linearly from 0.
        schedule: shape of the decay of the learning rate to 0 after the warm-up; "constant" does
            not decay.
        weight_decay: weight decay of AdamW.
        clip_norm: largest gradient norm; larger gradients are scaled down.
        precision: "bfloat16" uses torch's autocast on devices with fast bfloat16 arithmetic; other
            devices compute in float32. The dtype of the weights does not change.
        save_every: number of steps after which weights and optimizer are saved.
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
                f"steps {self.steps}, save_every {self.save_every} and warmup_steps "
                f"{self.warmup_steps}."
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
        """Return True if a device type ("cpu", "cuda") computes in bfloat16 in this run."""
        return self.precision == "bfloat16" and computes_in_bfloat16(device)

    def autocast(self, device: str) -> AbstractContextManager[None]:
        """Return a context manager that sets the precision of a device type ("cpu", "cuda")."""
        return bfloat16_mode(device) if self.uses_bfloat16(device) else nullcontext()
