"""Regularizers against forgetting: weight penalties, distillation, weight interpolation.

Rehearsal is in `finetuning.data`, early stopping in `finetuning.trainer`.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.training.answer_loss import AnswerBatch, AnswerLoss
from audioprobe.training.trainable import trainable_weights

Penalty = Callable[[], Tensor]
"""Function that returns a scalar, which is added to the loss and does not depend on the batch."""


class EWCLoss:
    """Elastic weight consolidation (EWC): a penalty on changes of important weights.

    The penalty is strength / 2 * sum(importance * (weight - initial weight)^2). For several
    previous tasks, use one penalty per task, or one penalty with importances merged by
    `merge_importances` (online EWC). Source: Kirkpatrick et al., PNAS 2017; online: Schwarz et al.,
    "Progress & compress", ICML 2018.

    Args:
        module: module before training; changes of its trainable parameters are penalised.
        importances: importances of the weights, by parameter name, from `fisher_information`.
        strength: factor of the penalty, at least 0.

    Raises:
        InvalidInputError: if the strength is negative, or the importances do not belong to the
            trainable parameters.
    """

    def __init__(
        self, module: nn.Module, importances: Mapping[str, Tensor], strength: float
    ) -> None:
        if not strength >= 0:
            raise InvalidInputError(f"The strength must be at least 0, got {strength}.")
        named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not named or named.keys() != importances.keys():
            raise InvalidInputError(
                f"Expected the importances of the {len(named)} trainable parameters, got "
                f"{len(importances)}."
            )
        self._terms = [(p, p.detach().clone(), importances[name]) for name, p in named.items()]
        self._strength = strength

    def __call__(self) -> Tensor:
        """Return the penalty, a scalar."""
        distances = [
            (importance.to(p) * (p - initial.to(p)) ** 2).sum()
            for p, initial, importance in self._terms
        ]
        return 0.5 * self._strength * torch.stack(distances).sum()


def l2sp_loss(module: nn.Module, strength: float) -> EWCLoss:
    """Return the L2-SP penalty: `EWCLoss` with importance 1 for every weight.

    Source: Li et al., "Explicit inductive bias for transfer learning with convolutional networks",
    ICML 2018.
    """
    return EWCLoss(module, {name: torch.ones(()) for name in trainable_weights(module)}, strength)


def fisher_information(objective: nn.Module, batches: Iterable[Any]) -> dict[str, Tensor]:
    """Return the diagonal of the empirical Fisher information, keyed by trainable parameter name.

    Args:
        objective: module that returns the negative log-likelihood of a batch, in nats; it is
            computed in evaluation mode.
        batches: batches with one example each: the gradients of single examples are squared.

    Raises:
        InvalidInputError: if there are no batches.
    """
    named = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    sums = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    device = next(iter(named.values())).device
    was_training, n_batches = objective.training, 0
    objective.eval()
    for batch in batches:
        n_batches += 1
        loss = objective(send_to_device(batch, device))
        if not loss.requires_grad:  # no trainable parameter affects the loss: importance 0
            continue
        gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                sums[name] += gradient**2
    objective.train(was_training)
    if not n_batches:
        raise InvalidInputError("Fisher information needs at least one example, got none.")
    return {name: total / n_batches for name, total in sums.items()}


def merge_importances(
    earlier: Mapping[str, Tensor], latest: Mapping[str, Tensor], decay: float
) -> dict[str, Tensor]:
    """Return decay * earlier + latest importances, for online EWC.

    Args:
        earlier: merged importances of the earlier tasks, by parameter name.
        latest: importances of the latest task.
        decay: factor of the earlier importances, from 0 to 1.

    Raises:
        InvalidInputError: if the decay is outside [0, 1], or the parameters differ.
    """
    if not 0 <= decay <= 1 or earlier.keys() != latest.keys():
        raise InvalidInputError(
            "Expected a decay from 0 to 1 and importances of the same parameters, got the decay "
            f"{decay} and {len(earlier)} and {len(latest)} parameters."
        )
    return {name: decay * earlier[name] + value for name, value in latest.items()}


class DistillationLoss(nn.Module):
    """Distillation: T^2 * KL(teacher || student) at temperature T, averaged over target tokens.

    The student is the model that is trained. The teacher is a frozen copy of it, made when this
    object is created. Source: Hinton et al., "Distilling the knowledge in a neural network", 2015;
    Li & Hoiem, "Learning without forgetting", ECCV 2016.

    Args:
        objective: answer loss of the student.
        temperature: temperature of both distributions, above 0.

    Raises:
        InvalidInputError: if the temperature is not above 0.
    """

    def __init__(self, objective: AnswerLoss, temperature: float = 2.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise InvalidInputError(f"A temperature must be above 0, got {temperature}.")
        self.teacher = copy.deepcopy(objective).requires_grad_(requires_grad=False)
        self._student = [objective]  # a list, so that torch does not register its parameters here
        self._temperature = temperature

    def train(self, mode: bool = True) -> "DistillationLoss":
        """Set the training mode; the teacher stays in evaluation mode, without dropout."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: AnswerBatch) -> Tensor:
        """Return the divergence in nats, a scalar."""
        student, _ = self._student[0].logits(batch)
        with torch.no_grad():
            teacher, _ = self.teacher.logits(batch)
        temperature = self._temperature
        divergence = functional.kl_div(
            functional.log_softmax(student / temperature, dim=-1),
            functional.log_softmax(teacher / temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return temperature**2 * divergence


def interpolate_weights(module: nn.Module, initial: Mapping[str, Tensor], share: float) -> None:
    """Replace trained weights by (1 - share) * initial + share * trained weights (WiSE-FT).

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.

    Args:
        module: module after training; it is changed in place.
        initial: the trainable parameters before training, by name.
        share: share of the trained weights, from 0 to 1.

    Raises:
        InvalidInputError: if the share is outside [0, 1], or the parameters differ.
    """
    weights = trainable_weights(module)
    if not 0 <= share <= 1 or weights.keys() != initial.keys():
        raise InvalidInputError(
            "Expected a share from 0 to 1 and the initial weights of the trainable parameters, got "
            f"the share {share} and {len(initial)} weights for {len(weights)} parameters."
        )
    with torch.no_grad():
        for name, tensor in weights.items():
            tensor.copy_(torch.lerp(initial[name].to(tensor), tensor, share))
