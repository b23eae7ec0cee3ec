"""Cost of an arm: parameters, positions and floating-point operations of a question."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from audioprobe.experiments.architectures.config import Arm, shared_stages
from audioprobe.experiments.architectures.inputs import rewrite_of
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.models.ltu.checkpoint import init_ltu
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.small_ltu.questions import QASampler
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import QARecord, encode_record
from audioprobe.training.trainable import set_trainable, trainable_parameters

_N_QUESTIONS = 16  # questions about audio, over which costs are averaged


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCost:
    """Cost of an arm.

    Attributes:
        n_connector: number of trainable parameters of the connector; 0 without audio tokens.
        n_trainable: number of all trainable parameters.
        n_positions: mean number of positions of a training question about audio.
        flops: mean number of floating-point operations of a forward pass over such a question,
            without the frozen encoder, which is the same for all arms.
    """

    n_connector: int
    n_trainable: int
    n_positions: float
    flops: float


def arm_cost(materials: ArmMaterials, arm: Arm) -> ArmCost:
    """Return the cost of an arm, measured on an untrained model."""
    recipe = materials.recipe
    sizes = {"audio": materials.audio, "connector": arm.connector}
    lora = {f"lora_{key}": getattr(recipe.lora, key) for key in ("rank", "alpha", "targets")}
    checkpoint = init_ltu(recipe.base, {**sizes, **lora}, seed=0)
    model, prompts = TrainableLTU(checkpoint.net), LTUPrompts(checkpoint.tokenizer)
    set_trainable(model, arm.modules)
    trainable = sum(p.numel() for p in trainable_parameters(checkpoint.net))
    names = checkpoint.net.named_parameters()
    connector = sum(p.numel() for key, p in names if p.requires_grad and ".projection." in key)
    records = audio_questions(materials, arm)
    examples = [encode_record(r, prompts, max_tokens=1000) for r in records]
    rows = sorted({int(e.audio_id) for e in examples if e.audio_id})
    features = materials.training_features.features(torch.tensor(rows, dtype=torch.long))
    audio = {str(row): values for row, values in zip(rows, features, strict=True)}
    batch = collate(examples, audio, targets="answer", pad_id=prompts.eos_token_id, per_row=1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        AnswerLoss(model).eval()(batch)
        tokens = [model.encode_audio(rows.audio) for rows in batch if rows.audio is not None]
    n_audio = model.n_positions(tokens[0]) if tokens else 0
    n_text = sum(len(example.ids) for example in examples)
    return ArmCost(
        n_connector=connector,
        n_trainable=trainable,
        n_positions=n_text / _N_QUESTIONS + n_audio * (len(examples) / _N_QUESTIONS),
        flops=counter.get_total_flops() / _N_QUESTIONS,
    )


def audio_questions(materials: ArmMaterials, arm: Arm) -> list[QARecord]:
    """Return the first training questions about audio, as the arm receives them."""
    recipe = materials.recipe
    stage = recipe.stages[len(shared_stages(recipe))]
    sampler = QASampler(materials.scenes, "train", 500, held_out=recipe.held_out, seed=0)
    records = [r for n in range(_N_QUESTIONS) for r in sampler.records(stage, n) if r.audio_id]
    rewrite = rewrite_of(arm, materials)
    chosen = records[:_N_QUESTIONS]
    return chosen if rewrite is None else list(rewrite(chosen))
