"""Fine-tuning of a model with a `Strategy`: trainable modules, objective (loss) and training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from torch import Tensor, nn

from audioprobe.devices import deterministic_mode, out_of_memory_advice
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import (
    encode_texts,
    mean_embeddings,
)
from audioprobe.finetuning.components import CrossAttentionAlignment, EarlyStopping, WiseFT
from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.objective import build_objective
from audioprobe.finetuning.regularizers import (
    interpolate_weights,
)
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.text_corpora import mean_text_loss, text_losses
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import to_json
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.examples import TrainingExample
from audioprobe.training.trainable import TrainableModel, copy_trainable_weights, set_trainable
from audioprobe.training.trainer import get_accelerator, train

STRATEGY = "strategy.json"

Measure: TypeAlias = Callable[[TrainableModel], float]
"""A function of a model in evaluation mode, such as a loss on held-out data."""

_TOO_LARGE = (
    "Fine-tuning needs more memory than is available. To use less memory: fewer clips per step; a "
    'model with dtype="bfloat16" and arguments with precision="bfloat16" (halves the memory of '
    "frozen weights); fewer trainable modules (16 bytes per trainable weight: weight, gradient and "
    "two moments of Adam); no distillation (it stores a second copy of the model)."
)


@dataclass(frozen=True, slots=True, eq=False)
class FineTuningResult:
    """Result of a fine-tuning run.

    Attributes:
        history: loss and other values of each step, up to the step of the final weights; see
            `training.trainer.train`.
        initial_weights: copies of the trainable parameters before training, by name.
        stopped_early: whether early stopping ended the run.
        before: values of the measures before the first step.
    """

    history: tuple[dict[str, float], ...]
    initial_weights: dict[str, Tensor]
    stopped_early: bool
    before: Mapping[str, float]


@out_of_memory_advice(_TOO_LARGE)
def finetune(
    model: TrainableModel,
    data: TrainingSampler,
    strategy: Strategy,
    folder: str | Path,
    *,
    validation_texts: Sequence[TrainingExample] = (),
    measures: Mapping[str, Measure] = MappingProxyType({}),
    progress: ProgressCallback = ignore_progress,
) -> FineTuningResult:
    """Fine-tune a model, or resume the fine-tuning run that a folder contains.

    Args:
        model: model to train. Its network is changed in place, moved to the device of accelerate (a
            GPU if there is one), and in evaluation mode afterwards.
        data: training data, including rehearsal data.
        strategy: trainable modules, regularizers and alignment.
        folder: folder that is used only by this fine-tuning run.
        validation_texts: held-out passages for early stopping.
        measures: functions of the model whose values are stored before the first step, and in the
            history after every `save_every` steps and the last one.
        progress: called after every step; the note of the event is the loss.

    Raises:
        InvalidInputError: if no parameter is trainable, the model lacks a trainable module, the
            LoRA rank is too small for the trained adapters, data that the strategy needs are
            missing, the folder contains a run with another strategy, or the dtype of the model does
            not fit the precision of the arguments.
        TrainingError: if a loss is not finite; the last saved state stays in the folder.
        OutOfMemoryError: if there is not enough memory; the message lists how to use less.
    """
    folder, stopping = Path(folder), strategy.get(EarlyStopping)
    network = model.network.to(get_accelerator().device)
    device = next(network.parameters()).device.type
    data.check(strategy)
    arguments = _arguments(strategy, stopping, validation_texts)
    _prepare_modules(model, data, strategy)
    initial = copy_trainable_weights(network)
    measured = partial(_measure, model, measures, arguments, device)
    with _trainable_in_float32(network, arguments, device), deterministic_mode(device):
        with arguments.autocast(device):
            objective = build_objective(model, data, strategy)
        _check_same_strategy(folder, strategy)
        before = measured()
        history = train(
            objective,
            lambda step, process, n: data.sample_batch(
                strategy, step * n + process, aligned=bool(objective.alignment)
            ),
            arguments,
            folder,
            accept=_acceptance(model, validation_texts, stopping, arguments, device),
            measure=measured if measures else None,
            progress=progress,
        )
        if (wise_ft := strategy.get(WiseFT)) is not None:
            interpolate_weights(network, initial, wise_ft.share)
    network.eval().requires_grad_(requires_grad=False)
    return FineTuningResult(tuple(history), initial, len(history) < arguments.steps, before)


def _measure(
    model: TrainableModel,
    measures: Mapping[str, Measure],
    arguments: TrainingArguments,
    device: str,
) -> dict[str, float]:
    with arguments.autocast(device):
        return {name: measure(model) for name, measure in measures.items()}


def _arguments(
    strategy: Strategy, stopping: EarlyStopping | None, texts: Sequence[TrainingExample]
) -> TrainingArguments:
    """Return the training arguments; with early stopping, states are saved at its evaluations."""
    if stopping is None:
        return strategy.arguments
    if not texts:
        raise InvalidInputError("Early stopping needs validation texts: pass validation_texts.")
    return replace(strategy.arguments, save_every=stopping.every)


def _prepare_modules(model: TrainableModel, data: TrainingSampler, strategy: Strategy) -> None:
    """Expand LoRA, add the cross-attention adapter, and freeze modules that are not trained."""
    names, seed = strategy.train, strategy.arguments.seed
    if strategy.lora is not None:
        model.expand_lora(strategy.lora.rank, strategy.lora.targets, seed)
    if (cross_attention := strategy.get(CrossAttentionAlignment)) is not None:
        labels = sorted({label for clip_labels in data.clips.labels for label in clip_labels})
        states = mean_embeddings(model, encode_texts(data.tokenizer, labels))
        model.add_cross_attention(states, cross_attention.width, seed)
        names += "+cross-attention"
    set_trainable(model, names)


@contextmanager
def _trainable_in_float32(
    network: nn.Module, arguments: TrainingArguments, device: str
) -> Iterator[None]:
    """Keep trainable weights in float32 in the context: bfloat16 would lose small updates.

    Raise if any weight is not float32, unless the training computes in bfloat16 (autocast).
    """
    formats = {str(p.dtype).removeprefix("torch.") for p in network.parameters()} - {"float32"}
    if formats and not arguments.uses_bfloat16(device):
        raise InvalidInputError(
            f"The model has dtype {', '.join(sorted(formats))}, but this training computes in "
            'float32. Load the model with dtype="float32", or set precision="bfloat16" on a device '
            "that supports it."
        )
    dtypes = {p: p.dtype for p in network.parameters() if p.requires_grad}
    for parameter in dtypes:
        parameter.data = parameter.data.float()
    try:
        yield
    finally:
        for parameter, dtype in dtypes.items():
            parameter.data = parameter.data.to(dtype)


def _check_same_strategy(folder: Path, strategy: Strategy) -> None:
    """Store the strategy in the folder; raise if the folder already has another strategy."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / STRATEGY, to_json(strategy) + "\n"
    if not path.is_file():
        if get_accelerator().is_main_process:
            atomic_write(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise InvalidInputError(
            f"{folder} contains a fine-tuning run with another strategy. Use that strategy to "
            "resume the run, or choose another folder."
        )


def _acceptance(
    model: TrainableModel,
    texts: Sequence[TrainingExample],
    stopping: EarlyStopping | None,
    arguments: TrainingArguments,
    device: str,
) -> Callable[[int], bool] | None:
    """Return a function for early stopping that returns True to continue and False to stop.

    It returns True if the loss of the validation texts is at most the initial loss plus
    `stopping.rise`. Return None instead of a function if `stopping` is None.
    """
    if stopping is None:
        return None

    def loss() -> float:
        with arguments.autocast(device):
            return mean_text_loss(text_losses(model, texts))

    limit = loss() + stopping.rise
    return lambda _: loss() <= limit
