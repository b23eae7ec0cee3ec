"""A training step of the shipped LTU in bfloat16, with frozen weights in bfloat16 and in float32.

The batch has eight questions about eight clips, of random tokens and features. Loss and gradients
must be identical. The limit is a step of a copy with all weights in bfloat16, whose updates would
be lost by rounding.
"""

import numpy as np
import torch

from audioprobe.devices import bfloat16_mode
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.answer_loss import AnswerBatch, AnswerLoss, collate
from audioprobe.training.examples import TrainingExample
from audioprobe.training.frozen_weights import FrozenBFloat16
from audioprobe.training.trainable import set_trainable, trainable_parameters
from side_by_side import finish, ratios, report

N_CLIPS, N_TOKENS, N_ANSWER = 8, 40, 8


def random_batch(n_steps: int, width: int, dtype: torch.dtype = torch.float32) -> AnswerBatch:
    """Return questions of random tokens about clips with random features."""
    rng = np.random.default_rng(0)
    examples = [
        TrainingExample(
            tuple(rng.integers(100, 40_000, N_TOKENS).tolist()), N_TOKENS - N_ANSWER, str(n)
        )
        for n in range(N_CLIPS)
    ]
    features = torch.from_numpy(rng.standard_normal((N_CLIPS, n_steps, width), dtype=np.float32))
    audio = {str(n): clip.to(dtype) for n, clip in enumerate(features)}
    return collate(examples, audio, targets="answer", pad_id=0)


def main() -> None:
    """Compare losses and gradients, then print the ratio."""
    net = load_ltu("mini").net
    model = TrainableLTU(net)
    set_trainable(model, "projector+lora")
    audio = net.config.audio
    batch, loss = random_batch(audio.n_steps, audio.width), AnswerLoss(model)
    frozen = FrozenBFloat16(loss)

    def step() -> list[torch.Tensor]:
        loss.zero_grad()
        with bfloat16_mode("cpu"):
            value = loss(batch)
        value.backward()
        gradients = [p.grad for p in trainable_parameters(loss) if p.grad is not None]
        return [value.detach(), *(gradient.clone() for gradient in gradients)]

    def fast_step() -> list[torch.Tensor]:
        with frozen.in_use():
            return step()

    copy = TrainableLTU(load_ltu("mini").net.to(torch.bfloat16))
    set_trainable(copy, "projector+lora")
    copied = AnswerLoss(copy)
    low = random_batch(audio.n_steps, audio.width, torch.bfloat16)

    def rounded_step() -> None:
        copied.zero_grad()
        copied(low).backward()

    same = all(torch.equal(*pair) for pair in zip(step(), fast_step(), strict=True))
    found, limit = ratios(step, fast_step, rounded_step, rounds=3)
    what = "a training step in bfloat16, frozen weights in bfloat16"
    finish(same, report(what, found, 1.05, limit))


if __name__ == "__main__":
    main()
