"""Numbers of parameters and memory of published LTUs equal those of the networks."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import WhisperConfig

from audioprobe.models.ltu.audio_encoder import CavMaeConfig, TltrConfig
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork, linear_layers
from audioprobe.models.ltu.published import PRECISIONS, PUBLISHED, PublishedLTU, published
from audioprobe.models.ltu.whisper_frontend import WhisperFeatures

LLAMA = {
    "7B": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32},
    "13B": {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40},
}
LARGE = WhisperConfig(
    d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120
)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("ltu", PUBLISHED, ids=lambda ltu: ltu.name)
def test_parameter_counts_equal_those_of_the_networks(ltu: PublishedLTU) -> None:
    audio = TltrConfig() if ltu.whisper else CavMaeConfig()
    with torch.device("meta"):
        net = LTUNetwork(LTUConfig(audio=audio, llama=LLAMA[ltu.name.rpartition("-")[2]]))
        whisper = count(WhisperFeatures(LARGE)) if ltu.whisper else 0
    # A checkpoint of LTU also has the norms that a block of CAV-MAE does not use.
    assert ltu.n_parameters == pytest.approx(count(net) + whisper, rel=1e-4)
    assert ltu.n_quantised == sum(module.weight.numel() for _, module in linear_layers(net.llama))


def test_memory_by_number_format() -> None:
    ltu = PUBLISHED[0]
    sizes = [ltu.gibibytes(precision) for precision in PRECISIONS]
    assert sizes[0] == pytest.approx(ltu.n_parameters * 4 / 2**30)
    assert sizes[1] == sizes[2] == sizes[0] / 2
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] > sizes[1] / 2, "the rest is not quantised"


def test_names_match_in_any_spelling() -> None:
    assert published("LTU 13b") is PUBLISHED[1]
    assert published("ltu_as_7B") is PUBLISHED[2]
    assert published("ltu") is None


@pytest.mark.parametrize("ltu", PUBLISHED, ids=lambda ltu: ltu.name)
def test_how_to_page_has_the_same_figures(ltu: PublishedLTU) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "ltu-weights.md"
    wanted = ("float32", "bfloat16", "8bit", "4bit")
    sizes = " | ".join(f"{ltu.gibibytes(p):.1f}" for p in PRECISIONS if p in wanted)
    assert f"| {ltu.name} | {sizes} |" in page.read_text("utf-8")
    assert f"`{ltu.checkpoint}` | {ltu.checkpoint_mb} MB |" in page.read_text("utf-8")
