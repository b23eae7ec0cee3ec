"""Fine-tuning of an LTU by a strategy."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from audioprobe.disk import write_whole
from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import Contrastive, Embedded, HiddenStates, embedded
from audioprobe.finetuning.holding import (
    Ewc,
    Penalty,
    Teacher,
    fisher,
    interpolate,
    l2_sp,
    online,
)
from audioprobe.finetuning.lessons import Lessons, texts_in_tokens
from audioprobe.finetuning.objective import Combined, Lot, Tied
from audioprobe.finetuning.strategy import (
    EWC,
    L2SP,
    ContrastiveTie,
    CrossAttention,
    Distillation,
    EarlyStopping,
    EmbeddingTie,
    StateTie,
    Strategy,
    WiseFT,
)
from audioprobe.finetuning.texts import losses_of
from audioprobe.finetuning.trainable import let_train
from audioprobe.language_models.ltu_files import LtuFiles
from audioprobe.nets.gate import NAME as GATE
from audioprobe.nets.gate import begin_gate
from audioprobe.nets.ltu import LtuNet
from audioprobe.nets.memory import within_memory
from audioprobe.nets.widening import widen
from audioprobe.serialize import to_json
from audioprobe.training import snapshots
from audioprobe.training.loop import Plan, fit, repeatable, together
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.sequences import Example

STRATEGY = "strategy.json"

_TOO_LARGE = (
    "The fine-tuning does not fit into the memory. What takes less of it: fewer clips in a step, a "
    'model with dtype="bfloat16" and a plan with precision="bfloat16" (what is frozen takes half), '
    "less that trains (each of its weights takes 16 bytes: itself, its gradient, two of Adam's), "
    "no distillation (its teacher is the model once more)."
)


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
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
    files: LtuFiles,
    lessons: Lessons,
    strategy: Strategy,
    folder: str | Path,
    *,
    watched: Sequence[Example] = (),
    progress: Callable[[int, int, float], None] | None = None,
) -> Tuned:
    """Fine-tune a model, or go on with what a folder holds of it.

    Args:
        files: the model; its network is changed in place, and in evaluation mode afterwards, where
            it trained: on a GPU if accelerate finds one.
        lessons: what to learn from, and what to keep.
        strategy: how.
        folder: of this fine-tuning alone.
        watched: passages held apart, for early stopping.
        progress: told steps done, steps in all, and the loss.

    Raises:
        InvalidInputError: if nothing would train, a part is named that the network lacks, adapters
            would lose what they have learned, the strategy needs texts, sounds or pairs that are
            not there, the folder holds a fine-tuning by another strategy, or the model is in fewer
            bits than the plan computes in.
        TrainingError: as `loop.fit`: if a loss is not finite, the state before stays in the folder.
        OutOfMemoryError: if it does not fit into the memory; says what would.
    """
    net, folder = files.net.to(together().device), Path(folder)
    lessons.check(strategy)
    stopping = strategy.part(EarlyStopping)
    if stopping is not None and not watched:
        raise InvalidInputError("Early stopping needs passages to look at, and there are none.")
    if strategy.lora is not None:
        widen(net, strategy.lora.rank, strategy.lora.targets, strategy.plan.seed)
    _open_gate(net, lessons, strategy)
    gated = net.prefix.gate is not None and strategy.part(CrossAttention) is not None
    let_train(net, f"{strategy.trains}+{GATE}" if gated else strategy.trains)
    before = snapshots.copied(net)
    plan = strategy.plan if stopping is None else replace(strategy.plan, save_every=stopping.every)
    with _small_steps(net, plan), repeatable(net.llama.device.type):
        with plan.computing(net.llama.device.type):
            objective = _objective(AnswerLoss(net, per="example"), lessons, strategy)
        _pin(folder, strategy)
        log = fit(
            objective,
            _batches(lessons, strategy),
            plan,
            folder,
            accept=None if stopping is None else _accepting(net, watched, stopping.rise, plan),
            progress=progress,
        )
        wise = strategy.part(WiseFT)
        if wise is not None:
            interpolate(net, before, wise.share)
    net.eval().requires_grad_(requires_grad=False)
    return Tuned(tuple(log), before, len(log) < plan.steps)


@contextmanager
def _small_steps(net: LtuNet, plan: Plan) -> Iterator[None]:
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


def _batches(lessons: Lessons, strategy: Strategy) -> Callable[[int, int, int], Lot]:
    tied = bool(_ties(strategy))

    def batch_at(step: int, process: int, n_processes: int) -> Lot:
        return lessons.lot(strategy, step * n_processes + process, tied=tied)

    return batch_at


def _pin(folder: Path, strategy: Strategy) -> None:
    """One folder, one strategy: a state alone does not tell what it was made by."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / STRATEGY, to_json(strategy) + "\n"
    if not path.is_file():
        if together().is_main_process:
            write_whole(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise InvalidInputError(
            f"{folder}: holds a fine-tuning by another strategy. Go on with that one, or name "
            "another folder."
        )


def _open_gate(net: LtuNet, lessons: Lessons, strategy: Strategy) -> None:
    """A shut gate to the labels that are taught, where the strategy has one."""
    wanted = strategy.part(CrossAttention)
    if wanted is None:
        return
    labels = sorted({label for some in lessons.taught.labels for label in some})
    states = embedded(net, texts_in_tokens(lessons.tokenizer, labels))
    gate = begin_gate(states, wanted.width, strategy.plan.seed)
    weight = net.prefix.projection.weight
    net.prefix.gate = gate.to(weight.device, weight.dtype)


def _objective(answers: AnswerLoss, lessons: Lessons, strategy: Strategy) -> Combined:
    distillation = strategy.part(Distillation)
    return Combined(
        answers,
        penalties=_penalties(answers, lessons, strategy),
        teacher=None if distillation is None else Teacher(answers, distillation.temperature),
        keeping=1.0 if distillation is None else distillation.weight,
        ties=_ties(strategy),
    )


def _penalties(answers: AnswerLoss, lessons: Lessons, strategy: Strategy) -> list[Penalty]:
    found: list[Penalty] = []
    pull, ewc = strategy.part(L2SP), strategy.part(EWC)
    if pull is not None:
        found.append(l2_sp(answers, pull.strength))
    if ewc is not None:
        tasks = [fisher(answers, lessons.of_before(task, ewc.n_examples)) for task in ewc.of]
        if ewc.tasks == "online":
            merged = tasks[0]
            for importance in tasks[1:]:
                merged = online(merged, importance, ewc.decay)
            tasks = [merged]
        found += [Ewc(answers, importance, ewc.strength) for importance in tasks]
    return found


def _ties(strategy: Strategy) -> list[Tied]:
    found: list[Tied] = []
    for tie in strategy.alignment:
        if isinstance(tie, ContrastiveTie):
            found.append(Tied(Contrastive(tie.temperature), tie.weight, "labels"))
        elif isinstance(tie, EmbeddingTie):
            found.append(Tied(Embedded(tie.distance), tie.weight, "captions"))
        elif isinstance(tie, StateTie):
            found.append(Tied(HiddenStates(tie.layer, tie.distance), tie.weight, "captions"))
    return found


def _accepting(
    net: LtuNet, watched: Sequence[Example], rise: float, plan: Plan
) -> Callable[[int], bool]:
    """Whether texts are read as well as at the beginning, or nearly."""

    def per_token() -> float:
        with plan.computing(net.llama.device.type):
            losses = losses_of(net, watched)
        return sum(each.nats for each in losses) / sum(each.n_tokens for each in losses)

    most = per_token() + rise
    return lambda _: per_token() <= most
