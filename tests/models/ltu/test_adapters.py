"""Expanded LoRA does not change logits, has gradients, and is saved and loaded."""

from pathlib import Path

import pytest
import torch
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_checkpoint

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu, load_ltu
from audioprobe.models.ltu.network import expand_lora
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import set_trainable

IDS = torch.tensor([[1, 5, 9, 7, 30, 2]])
MORE = ("q_proj", "v_proj", "up_proj", "o_proj")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def logits_of(files: LTUCheckpoint) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = files.net.eval()(IDS)
    return logits


@pytest.mark.parametrize(("rank", "targets"), [(2, MORE), (3, ("v_proj", "q_proj")), (16, MORE)])
def test_expanded_lora_does_not_change_logits(
    base: Path, rank: int, targets: tuple[str, ...]
) -> None:
    """With rank 3 and a scale of 16 / 2, alpha is not a multiple of the old alpha."""
    files = tiny_checkpoint(base)
    before = logits_of(files)
    expand_lora(files.net, rank, targets, seed=4)
    assert torch.allclose(logits_of(files), before, atol=1e-5)
    shapes = {n: p.shape for n, p in files.net.named_parameters() if "lora_A" in n}
    assert len(shapes) == len(targets) * len(files.net.llama.model.layers)
    assert {shape[0] for shape in shapes.values()} == {rank}
    assert (files.net.config.lora_rank, files.net.config.lora_targets) == (rank, targets)


def test_trained_lora_changes_logits(base: Path) -> None:
    files, bare = tiny_checkpoint(base), tiny_checkpoint(base)
    for name, parameter in bare.net.named_parameters():
        if "lora_B" in name:
            parameter.data.zero_()
    assert not torch.allclose(logits_of(files), logits_of(bare), atol=1e-3)


def test_new_directions_have_gradients(base: Path) -> None:
    files = tiny_checkpoint(base)
    expand_lora(files.net, 4, MORE, seed=4)
    set_trainable(TrainableLTU(files.net), "lora")
    files.net(IDS).logsumexp(-1).sum().backward()
    grown = [p.grad for n, p in files.net.named_parameters() if "lora_B" in n]
    assert len(grown) == 4 * len(files.net.llama.model.layers)
    assert all(grad is not None and grad[:, 2:].abs().sum() > 0 for grad in grown)


def test_new_directions_depend_on_the_seed_only(base: Path) -> None:
    actual = []
    for seed in (1, 1, 2):
        files = tiny_checkpoint(base)
        torch.rand(seed)  # noise of others
        expand_lora(files.net, 4, MORE, seed=seed)
        actual.append(torch.cat([p.flatten() for n, p in files.net.named_parameters()]))
    assert torch.equal(actual[0], actual[1])
    assert not torch.equal(actual[0], actual[2])


def test_model_without_lora_gets_lora(base: Path) -> None:
    audio = CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24)
    files = init_ltu(base, {"audio": audio, "lora_rank": 0}, seed=0)
    before = logits_of(files)
    expand_lora(files.net, 4, ("k_proj",), seed=0)
    assert torch.equal(logits_of(files), before)
    assert set_trainable(TrainableLTU(files.net), "lora")


def test_expanded_lora_is_saved_and_loaded(base: Path, tmp_path: Path) -> None:
    files = tiny_checkpoint(base)
    expand_lora(files.net, 4, MORE, seed=4)
    again = load_ltu(save_adapter(files, tmp_path / "wide", name="wide"), base)
    assert again.net.config == files.net.config
    assert torch.allclose(logits_of(again), logits_of(files), atol=1e-2)


@pytest.mark.parametrize(
    ("rank", "targets", "message"),
    [
        (1, ("q_proj", "v_proj"), "rank 2 on q_proj, v_proj; .* discard trained .* at least 2"),
        (8, ("q_proj",), "include all projections"),
        (8, ("q_proj", "v_proj", "w_proj"), "LoRA targets among down_proj, gate_proj.*got w_proj"),
        (8, (), "got none"),
    ],
)
def test_expansion_that_would_lose_directions_raises(
    base: Path, rank: int, targets: tuple[str, ...], message: str
) -> None:
    files = tiny_checkpoint(base)
    before = logits_of(files)
    with pytest.raises(InvalidInputError, match=message):
        expand_lora(files.net, rank, targets, seed=0)
    assert torch.equal(logits_of(files), before)
