"""Fine-tuning of an LTU by a strategy."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import (
    ContrastiveLoss,
    EmbeddingLoss,
    HiddenStateLoss,
    embedded,
)
from audioprobe.finetuning.data import TrainingData, texts_in_tokens
from audioprobe.finetuning.objective import MultiTaskObjective, TrainingBatch, WeightedLoss
from audioprobe.finetuning.regularizers import (
    DistillationLoss,
    EWCLoss,
    Penalty,
    fisher,
    interpolate,
    l2sp_loss,
    online,
)
from audioprobe.finetuning.strategy import (
    EWC,
    L2SP,
    ContrastiveAlignment,
    CrossAttentionAlignment,
    Distillation,
    EarlyStopping,
    EmbeddingAlignment,
    HiddenStateAlignment,
    Strategy,
    WiseFT,
)
from audioprobe.finetuning.text_corpora import losses_of
from audioprobe.finetuning.trainable import set_trainable_by_name
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import to_json
from audioprobe.models.causal_lm.batching import within_memory
from audioprobe.models.ltu.adapters import expand_lora
from audioprobe.models.ltu.audio_prefix import GATE, GatedCrossAttention
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.sequences import TrainingExample
from audioprobe.training.trainer import (
    TrainingArguments,
    deterministic_mode,
    get_accelerator,
    train,
)

STRATEGY = "strategy.json"

_TOO_LARGE = (
    "The fine-tuning does not fit into the memory. What takes less of it: fewer clips in a step, a "
    'model with dtype="bfloat16" and a plan with precision="bfloat16" (what is frozen takes half), '
    "less that trains (each of its weights takes 16 bytes: itself, its gradient, two of Adam's), "
    "no distillation (its teacher is the model once more)."
)


@dataclass(frozen=True, slots=True, eq=False)
class FineTuningResult:
    """What a fine-tuning did.

    Attributes:
        log: of every step up to the weights that stayed, as `loop.fit` gives it.
        before: what trained, as it was, by name.
        stopped: whether it ended before its last step.
    """

    log: tuple[dict[str, float], ...]
    before: dict[str, Tensor]
    stopped: bool


@within_memory(_TOO_LARGE)
def finetune(
    files: LTUCheckpoint,
    lessons: TrainingData,
    strategy: Strategy,
    folder: str | Path,
    *,
    watched: Sequence[TrainingExample] = (),
    progress: ProgressCallback = ignore_progress,
) -> FineTuningResult:
    """Fine-tune a model, or go on with what a folder holds of it.

    Args:
        files: the model; its network is changed in place, and in evaluation mode afterwards, where
            it trained: on a GPU if accelerate finds one.
        lessons: what to learn from, and what to keep.
        strategy: how.
        folder: of this fine-tuning alone.
        watched: passages held apart, for early stopping.
        progress: called after every step; the note has the loss.

    Raises:
        InvalidInputError: if nothing would train, a part is named that the network lacks, adapters
            would lose what they have learned, the strategy needs texts, sounds or pairs that are
            not there, the folder holds a fine-tuning by another strategy, or the model is in fewer
            bits than the plan computes in.
        TrainingError: as `loop.fit`: if a loss is not finite, the state before stays in the folder.
        OutOfMemoryError: if it does not fit into the memory; says what would.
    """
    net, folder = files.net.to(get_accelerator().device), Path(folder)
    lessons.check(strategy)
    stopping = strategy.get(EarlyStopping)
    if stopping is not None and not watched:
        raise InvalidInputError("Early stopping needs passages to look at, and there are none.")
    if strategy.lora is not None:
        expand_lora(net, strategy.lora.rank, strategy.lora.targets, strategy.arguments.seed)
    _open_gate(net, lessons, strategy)
    gated = net.prefix.gate is not None and strategy.get(CrossAttentionAlignment) is not None
    set_trainable_by_name(net, f"{strategy.train}+{GATE}" if gated else strategy.train)
    before = checkpointing.copied(net)
    plan = (
        strategy.arguments
        if stopping is None
        else replace(strategy.arguments, save_every=stopping.every)
    )
    with _small_steps(net, plan), deterministic_mode(net.llama.device.type):
        with plan.computing(net.llama.device.type):
            objective = _objective(AnswerLoss(net, per="example"), lessons, strategy)
        _pin(folder, strategy)
        log = train(
            objective,
            _batches(lessons, strategy),
            plan,
            folder,
            accept=None if stopping is None else _accepting(net, watched, stopping.rise, plan),
            progress=progress,
        )
        wise = strategy.get(WiseFT)
        if wise is not None:
            interpolate(net, before, wise.share)
    net.eval().requires_grad_(requires_grad=False)
    return FineTuningResult(tuple(log), before, len(log) < plan.steps)


@contextmanager
def _small_steps(net: LTUNetwork, plan: TrainingArguments) -> Iterator[None]:
    """What trains is float32 meanwhile: bfloat16 loses small steps.

    Layers of two formats fit together only where the plan computes in one of its own.
    """
    few = {str(p.dtype).removeprefix("torch.") for p in net.parameters()} - {"float32"}
    if few and not plan.lowers(net.llama.device.type):
        raise InvalidInputError(
            f"The model is in {', '.join(sorted(few))}, and this training computes in float32: "
            'load it as float32, or give the plan the precision "bfloat16" on a device that has it.'
        )
    formats = {p: p.dtype for p in net.parameters() if p.requires_grad}
    for parameter in formats:
        parameter.data = parameter.data.float()
    try:
        yield
    finally:
        for parameter, dtype in formats.items():
            parameter.data = parameter.data.to(dtype)


def _batches(lessons: TrainingData, strategy: Strategy) -> Callable[[int, int, int], TrainingBatch]:
    tied = bool(_ties(strategy))

    def batch_at(step: int, process: int, n_processes: int) -> TrainingBatch:
        return lessons.lot(strategy, step * n_processes + process, tied=tied)

    return batch_at


def _pin(folder: Path, strategy: Strategy) -> None:
    """One folder, one strategy: a state alone does not tell what it was made by."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / STRATEGY, to_json(strategy) + "\n"
    if not path.is_file():
        if get_accelerator().is_main_process:
            atomic_write(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise InvalidInputError(
            f"{folder}: holds a fine-tuning by another strategy. Go on with that one, or name "
            "another folder."
        )


def _open_gate(net: LTUNetwork, lessons: TrainingData, strategy: Strategy) -> None:
    """A shut gate to the labels that are taught, where the strategy has one."""
    wanted = strategy.get(CrossAttentionAlignment)
    if wanted is None:
        return
    labels = sorted({label for some in lessons.taught.labels for label in some})
    states = embedded(net, texts_in_tokens(lessons.tokenizer, labels))
    gate = GatedCrossAttention.from_texts(states, wanted.width, strategy.arguments.seed)
    weight = net.prefix.projection.weight
    net.prefix.gate = gate.to(weight.device, weight.dtype)


def _objective(
    answers: AnswerLoss, lessons: TrainingData, strategy: Strategy
) -> MultiTaskObjective:
    distillation = strategy.get(Distillation)
    return MultiTaskObjective(
        answers,
        penalties=_penalties(answers, lessons, strategy),
        teacher=None
        if distillation is None
        else DistillationLoss(answers, distillation.temperature),
        keeping=1.0 if distillation is None else distillation.weight,
        ties=_ties(strategy),
    )


def _penalties(answers: AnswerLoss, lessons: TrainingData, strategy: Strategy) -> list[Penalty]:
    found: list[Penalty] = []
    pull, ewc = strategy.get(L2SP), strategy.get(EWC)
    if pull is not None:
        found.append(l2sp_loss(answers, pull.strength))
    if ewc is not None:
        tasks = [fisher(answers, lessons.of_before(task, ewc.n_examples)) for task in ewc.tasks]
        if ewc.variant == "online":
            merged = tasks[0]
            for importance in tasks[1:]:
                merged = online(merged, importance, ewc.decay)
            tasks = [merged]
        found += [EWCLoss(answers, importance, ewc.strength) for importance in tasks]
    return found


def _ties(strategy: Strategy) -> list[WeightedLoss]:
    found: list[WeightedLoss] = []
    for tie in strategy.alignment:
        if isinstance(tie, ContrastiveAlignment):
            found.append(WeightedLoss(ContrastiveLoss(tie.temperature), tie.weight, "labels"))
        elif isinstance(tie, EmbeddingAlignment):
            found.append(WeightedLoss(EmbeddingLoss(tie.distance), tie.weight, "captions"))
        elif isinstance(tie, HiddenStateAlignment):
            found.append(
                WeightedLoss(HiddenStateLoss(tie.layer, tie.distance), tie.weight, "captions")
            )
    return found


def _accepting(
    net: LTUNetwork, watched: Sequence[TrainingExample], rise: float, plan: TrainingArguments
) -> Callable[[int], bool]:
    """Whether texts are read as well as at the beginning, or nearly."""

    def per_token() -> float:
        with plan.computing(net.llama.device.type):
            losses = losses_of(net, watched)
        return sum(each.nats for each in losses) / sum(each.n_tokens for each in losses)

    most = per_token() + rise
    return lambda _: per_token() <= most
