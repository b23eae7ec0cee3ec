"""How forgetting is held: penalties on what moves, a frozen teacher, and weights between both ends.

Rehearsal is a matter of batches (`lessons`), early stopping one of the loop (`training.loop`).
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.sequences import Batch

Penalty = Callable[[], Tensor]
"""What is added to a loss, whatever the batch."""


class EWCLoss:
    """Half the strength times the squared distance of each weight, by its importance.

    Several tasks are held by several penalties ("separate"), or by one whose importances were
    merged by `online`. Source: Kirkpatrick et al., PNAS 2017; online: Schwarz et al., "Progress &
    compress", ICML 2018.

    Args:
        module: as it is before training, at the optimum of what is held; what requires gradients
            is held.
        importance: by name of the parameter, as `fisher` gives it.
        strength: of the penalty.

    Raises:
        InvalidInputError: for a strength below 0, or if importances are not those of what trains.
    """

    def __init__(
        self, module: nn.Module, importance: Mapping[str, Tensor], strength: float
    ) -> None:
        if not strength >= 0:
            raise InvalidInputError(f"A strength must be at least 0, got {strength}.")
        named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not named or named.keys() != importance.keys():
            raise InvalidInputError("Importances must be those of what trains, and something must.")
        self._held = [(p, p.detach().clone(), importance[name]) for name, p in named.items()]
        self._strength = strength

    def __call__(self) -> Tensor:
        """The penalty, a scalar."""
        apart = [(weight.to(p) * (p - began.to(p)) ** 2).sum() for p, began, weight in self._held]
        return 0.5 * self._strength * torch.stack(apart).sum()


def l2sp_loss(module: nn.Module, strength: float) -> EWCLoss:
    """The same with every weight of importance 1: a pull to where training began.

    Source: Li et al., "Explicit inductive bias for transfer learning with convolutional networks",
    ICML 2018.
    """
    return EWCLoss(
        module, {name: torch.ones(()) for name in checkpointing.trained(module)}, strength
    )


def fisher(objective: nn.Module, batches: Iterable[Any]) -> dict[str, Tensor]:
    """Diagonal of the empirical Fisher information: mean of squared gradients, by parameter.

    Args:
        objective: gives the negative log-likelihood of a batch, in nats; what of it requires
            gradients is measured, in evaluation mode.
        batches: of one example each, or squares of means would be taken for means of squares; on
            any device.

    Raises:
        InvalidInputError: without batches.
    """
    named = [(name, p) for name, p in objective.named_parameters() if p.requires_grad]
    sums = {name: torch.zeros_like(parameter) for name, parameter in named}
    was_training, n_batches = objective.training, 0
    objective.eval()
    for batch in batches:
        n_batches += 1
        loss = objective(send_to_device(batch, named[0][1].device))
        if not loss.requires_grad:  # as texts have no part in what hears: importance 0
            continue
        found = torch.autograd.grad(loss, [weights for _, weights in named], allow_unused=True)
        for (name, _), gradient in zip(named, found, strict=True):
            if gradient is not None:
                sums[name] += gradient**2
    objective.train(was_training)
    if not n_batches:
        raise InvalidInputError("Importances need at least one example.")
    return {name: total / n_batches for name, total in sums.items()}


def online(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], decay: float
) -> dict[str, Tensor]:
    """Importances of all tasks so far as one: the older ones fade.

    Args:
        before: of the earlier tasks together.
        after: of the task just learned.
        decay: share of the earlier ones that stays, from 0 to 1.

    Raises:
        InvalidInputError: for another decay, or importances of other parameters.
    """
    if not 0 <= decay <= 1 or before.keys() != after.keys():
        raise InvalidInputError(
            f"Expected a decay from 0 to 1, got {decay}, and importances of the same parameters."
        )
    return {name: decay * before[name] + value for name, value in after.items()}


class DistillationLoss(nn.Module):
    """Staying close to what the model said before, at every target of a batch.

    T^2 * KL(before || now) at temperature T. Source: Hinton et al., "Distilling the knowledge in a
    neural network", 2015; Li & Hoiem, "Learning without forgetting", ECCV 2016.

    Args:
        objective: of the network that trains; a frozen copy of it, as it is now, is the teacher.
        temperature: above 0.

    Raises:
        InvalidInputError: for a temperature of 0 or less.
    """

    def __init__(self, objective: AnswerLoss, temperature: float = 2.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise InvalidInputError(f"A temperature must be above 0, got {temperature}.")
        self.teacher = copy.deepcopy(objective).requires_grad_(requires_grad=False)
        self._pupil = [objective]  # its parameters are registered where it trains
        self._temperature = temperature

    def train(self, mode: bool = True) -> "DistillationLoss":
        """The teacher never has dropout."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """The divergence in nats, a scalar: mean over targets."""
        logits, _ = self._pupil[0].logits(batch)
        with torch.no_grad():
            before, _ = self.teacher.logits(batch)
        heat = self._temperature
        apart = functional.kl_div(
            functional.log_softmax(logits / heat, dim=-1),
            functional.log_softmax(before / heat, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return heat**2 * apart


def interpolate(module: nn.Module, before: Mapping[str, Tensor], share: float) -> None:
    """Put what trained between where it began and where it ended (WiSE-FT).

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.

    Args:
        module: after training; changed in place.
        before: the same parameters before, as `snapshots.trained` names them.
        share: of the way: 0 is where it began, 1 where it ended.

    Raises:
        InvalidInputError: for a share outside [0, 1], or other parameters.
    """
    own = checkpointing.trained(module)
    if not 0 <= share <= 1 or own.keys() != before.keys():
        raise InvalidInputError(
            f"Expected a share from 0 to 1, got {share}, and weights of the same parameters."
        )
    with torch.no_grad():
        for name, weights in own.items():
            weights.copy_(torch.lerp(before[name].to(weights), weights, share))
