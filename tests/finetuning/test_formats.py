"""A language model in few bits is tuned in small steps all the same."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.data import TrainingData
from audioprobe.finetuning.trainer import finetune
from audioprobe.training import checkpointing
from audioprobe.training.objectives import AnswerLoss
from audioprobe.training.trainer import STATE
from tests.finetuning.test_trainer import part
from tests.tiny_tuning import strategy, tiny_files, watched

PARTS = [part(kind) for kind in ("ewc", "distillation", "contrastive", "cross-attention")]


def check_small_steps(base: Path, lessons: TrainingData, folder: Path, trains: str) -> None:
    """Steps of 1e-4 are below what bfloat16 tells apart: taken in it, most would be lost."""
    plan = {"learning_rate": 1e-4, "precision": "bfloat16", "warmup_steps": 0}
    moved: dict[str, dict[str, Tensor]] = {}
    for name, dtype in (("whole", torch.float32), ("few", torch.bfloat16)):
        files = tiny_files(base, dropout=0.0)
        files.net.to(torch.bfloat16).to(dtype)  # both begin the same
        chosen = strategy(trains, *PARTS, {"kind": "early-stopping", "rise": 9.0}, **plan)
        began = {k: p.detach().float().clone() for k, p in files.net.named_parameters()}
        told = finetune(files, lessons, chosen, folder / name, watched=watched())
        assert {p.dtype for p in files.net.parameters()} == {dtype}
        state = checkpointing.load(folder / name / STATE)["weights"]
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
        names = {key: key.removeprefix("answers.net.") for key in state}
        assert set(names.values()) == set(told.before)
        moved[name] = {key: state[key] - began[of] for key, of in names.items() if of in began}
    whole, few = (torch.cat([t.flatten() for t in one.values()]) for one in moved.values())
    assert (few != 0).float().mean() > 0.9 * (whole != 0).float().mean()
    assert torch.nn.functional.cosine_similarity(whole, few, dim=0) > 0.7
    assert 0.8 < few.norm() / whole.norm() < 1.25


def test_what_trains_is_float32_meanwhile(
    base: Path, lessons: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any processor has bfloat16, most of them slowly: torch is told that this one is fast."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    check_small_steps(base, lessons, tmp_path, "projector")


def test_fewer_bits_than_the_plan_computes_in_are_refused(
    base: Path, lessons: TrainingData, tmp_path: Path
) -> None:
    files = tiny_files(base)
    files.net.to(torch.float16)
    with pytest.raises(InvalidInputError, match=r"in float16, .* computes in float32: load it"):
        finetune(files, lessons, strategy("projector"), tmp_path)


def test_sounds_are_heard_in_the_numbers_of_the_model(base: Path, lessons: TrainingData) -> None:
    lot = lessons.lot(strategy("projector"), 0, tied=False)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        net = tiny_files(base).net.to(dtype).eval()
        found.append(AnswerLoss(net).logits(lot.answers)[0])
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[1], found[0], atol=0.1, rtol=0.1)
