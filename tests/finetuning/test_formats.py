"""Models in bfloat16 are fine-tuned with float32 updates."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.data import TrainingSampler
from audioprobe.finetuning.trainer import finetune
from audioprobe.training.answer_loss import AnswerLoss
from audioprobe.training.trainer import STATE, load_state
from tests.finetuning.test_trainer import component
from tests.tiny_tuning import strategy, tiny_model, validation_texts

COMPONENTS = [component(k) for k in ("ewc", "distillation", "contrastive", "cross-attention")]


def check_small_updates(base: Path, data: TrainingSampler, folder: Path, train: str) -> None:
    """Compare training in float32 and bfloat16: bfloat16 alone would lose updates of 1e-4."""
    arguments = {"learning_rate": 1e-4, "precision": "bfloat16", "warmup_steps": 0}
    change: dict[torch.dtype, dict[str, Tensor]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = tiny_model(base, dropout=0.0)
        model.network.to(torch.bfloat16).to(dtype)  # both start with equal weights
        chosen = strategy(train, *COMPONENTS, {"kind": "early-stopping", "rise": 9.0}, **arguments)
        initial = {k: p.detach().float().clone() for k, p in model.network.named_parameters()}
        run = folder / str(dtype)
        result = finetune(model, data, chosen, run, validation_texts=validation_texts())
        assert {p.dtype for p in model.network.parameters()} == {dtype}
        state = load_state(run / STATE)["weights"]
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
        names = {key: key.removeprefix("answers.network.") for key in state}
        assert set(names.values()) == set(result.initial_weights)
        change[dtype] = {
            k: state[k] - initial[name] for k, name in names.items() if name in initial
        }
    full, low = (torch.cat([t.flatten() for t in tensors.values()]) for tensors in change.values())
    assert (low != 0).float().mean() > 0.9 * (full != 0).float().mean()
    assert torch.nn.functional.cosine_similarity(full, low, dim=0) > 0.7
    assert 0.8 < low.norm() / full.norm() < 1.25


def test_trainable_weights_are_float32_during_training(
    base: Path, data: TrainingSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every processor has bfloat16, most of them slowly: here torch takes this one for fast."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    check_small_updates(base, data, tmp_path, "projector")


def test_fewer_bits_than_the_precision_are_refused(
    base: Path, data: TrainingSampler, tmp_path: Path
) -> None:
    model = tiny_model(base)
    model.network.to(torch.float16)
    with pytest.raises(InvalidInputError, match=r"dtype float16, .* computes in float32. Load the"):
        finetune(model, data, strategy("projector"), tmp_path)


def test_audio_is_encoded_in_the_format_of_the_model(base: Path, data: TrainingSampler) -> None:
    batch = data.sample_batch(strategy("projector"), 0, aligned=False)
    logits = []
    for dtype in (torch.float32, torch.bfloat16):
        model = tiny_model(base)
        model.network.to(dtype).eval()
        logits.append(AnswerLoss(model).logits(batch.answers)[0])
    assert logits[1].dtype == torch.float32
    torch.testing.assert_close(logits[1], logits[0], atol=0.1, rtol=0.1)
