"""Cost of an arm: parameters, positions and floating-point operations of a question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from audioprobe.experiments.architectures.config import Arm, shared_stages
from audioprobe.experiments.architectures.inputs import rewrite_of
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.small_ltu.building import TRAIN, untrained_model
from audioprobe.small_ltu.questions import QASampler
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import QARecord, encode_record
from audioprobe.training.trainable import set_trainable, trainable_parameters

_N_QUESTIONS = 16  # questions about audio, over which costs are averaged
_N_SCENES = 500  # scenes that they are drawn from


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCost:
    """Cost of an arm.

    Attributes:
        n_connector: number of trainable parameters of the connector; 0 without audio tokens.
        n_trainable: number of all trainable parameters.
        n_positions: mean number of positions of a training question about audio.
        flops: mean number of floating-point operations of a forward pass over such a question
            alone, without the frozen encoder, which is the same for all arms. A question that
            becomes several questions in text counts with all of them.
    """

    n_connector: int
    n_trainable: int
    n_positions: float
    flops: float


def arm_cost(materials: ArmMaterials, arm: Arm) -> ArmCost:
    """Return the cost of an arm, measured on an untrained model."""
    recipe = replace(materials.recipe, connector=arm.connector, seed=0)
    checkpoint = untrained_model(recipe, materials.audio)
    model, prompts = TrainableLTU(checkpoint.net), LTUPrompts(checkpoint.tokenizer)
    set_trainable(model, arm.modules)
    trainable = sum(p.numel() for p in trainable_parameters(checkpoint.net))
    names = checkpoint.net.named_parameters()
    connector = sum(p.numel() for key, p in names if p.requires_grad and ".projection." in key)
    checkpoint.net.requires_grad_(requires_grad=False)  # counting fails for expanded parameters
    records = audio_questions(materials, arm)
    examples = [encode_record(r, prompts, max_tokens=1000) for r in records]
    loss, cache = AnswerLoss(model).eval(), materials.training_features
    n_positions, flops = 0, 0
    for example in examples:  # one at a time: a batch would have padding
        rows = [int(example.audio_id)] if example.audio_id else []
        features = cache.features(torch.tensor(rows, dtype=torch.long))
        audio = {example.audio_id: features[0]} if rows else {}
        batch = collate([example], audio, targets="answer", pad_id=prompts.eos_token_id)
        with torch.no_grad():
            with FlopCounterMode(display=False, custom_mapping=_ON_CPU) as counter:
                loss(batch)
            tokens = model.encode_audio(features) if rows else None
        n_positions += len(example.ids) + model.n_positions(tokens)
        flops += counter.get_total_flops()
    return ArmCost(
        n_connector=connector,
        n_trainable=trainable,
        n_positions=n_positions / _N_QUESTIONS,
        flops=flops / _N_QUESTIONS,
    )


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object
) -> int:
    """Return the operations of an attention, given the shapes (batch, heads, positions, width)."""
    n_batch, n_heads, n_queries, width = query
    return 2 * n_batch * n_heads * n_queries * key[2] * (width + value[3])


_ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}  # noqa: SLF001
# torch counts attention on other devices only


def audio_questions(materials: ArmMaterials, arm: Arm) -> list[QARecord]:
    """Return the first training questions about audio, as the arm receives them."""
    recipe = materials.recipe
    stage = recipe.stages[len(shared_stages(recipe))]
    n_scenes = min(_N_SCENES, len(materials.scenes.clips(TRAIN)))
    sampler = QASampler(materials.scenes, TRAIN, n_scenes, held_out=recipe.held_out, seed=0)
    records = [r for n in range(_N_QUESTIONS) for r in sampler.records(stage, n) if r.audio_id]
    rewrite = rewrite_of(arm, materials)
    chosen = records[:_N_QUESTIONS]
    return chosen if rewrite is None else list(rewrite(chosen))
