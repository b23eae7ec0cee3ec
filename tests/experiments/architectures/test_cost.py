"""Parameters and operations of arms equal those counted by hand."""

from collections.abc import Mapping

import pytest
from tests.experiments.architectures.tiny_architectures import ARMS, arm

from audioprobe.experiments.architectures.config import Arm, read_architectures
from audioprobe.experiments.architectures.cost import ArmCost, arm_cost, audio_questions
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.models.connectors.building import build_connector
from audioprobe.models.connectors.config import (
    CodesConfig,
    ConnectorConfig,
    ConnectorSizes,
    KeysValuesConfig,
    LinearConfig,
    MLPConfig,
    QuantizedConfig,
    RandomConfig,
    ResamplerConfig,
)
from audioprobe.models.ltu.checkpoint import init_ltu
from audioprobe.models.ltu.trainable import LTUPrompts

HIDDEN, N_LAYERS, MLP, RANK, N_WORDS = 64, 2, 176, 2, 200  # of the tiny LLaMA
WIDTH, N_STEPS = 1024, 6  # of YAMNet with hop = 1.92 s
LORA = 2 * N_LAYERS * RANK * 2 * HIDDEN  # in q and v


@pytest.fixture(scope="module")
def costs(tiny: ArmMaterials) -> Mapping[str, ArmCost]:
    return {name: arm_cost(tiny, arm(name)) for name in ARMS if name != "true-tags"}


def test_parameters_equal_those_counted_by_hand(costs: Mapping[str, ArmCost]) -> None:
    cross_attention = WIDTH * 8 + 8 + N_STEPS * 8 + (64 * 4 + 2 * 8 * 4 + 4 * 64 + 1)
    expected = {
        "linear": WIDTH * HIDDEN + HIDDEN,
        "codes": 4 * HIDDEN,
        "cross-attention": cross_attention,
    }
    for name, cost in costs.items():
        assert cost.n_connector == expected.get(name, 0), name
        assert cost.n_trainable == cost.n_connector + LORA


def test_training_of_all_weights_counts_them(tiny: ArmMaterials) -> None:
    cost = arm_cost(tiny, Arm(name="all", input="nothing", train="llm"))
    of_layer = 4 * HIDDEN**2 + 3 * HIDDEN * MLP + 2 * HIDDEN
    assert cost.n_trainable == 2 * N_WORDS * HIDDEN + N_LAYERS * of_layer + HIDDEN


def test_a_resampler_has_a_cost(tiny: ArmMaterials) -> None:
    """Its queries are an expanded parameter."""
    config = ResamplerConfig(n_queries=3, width=8, n_heads=2, n_blocks=1)
    cost = arm_cost(tiny, Arm(name="resampler", connector=config))
    assert cost.n_connector > 0
    assert cost.flops > 0


def lengths(tiny: ArmMaterials, name: str) -> list[tuple[int, int]]:
    """Return the number of tokens, and of those of the answer, of each question of an arm."""
    prompts = LTUPrompts(init_ltu(tiny.recipe.base, {"audio": tiny.audio}, seed=0).tokenizer)
    pairs = []
    for record in audio_questions(tiny, arm(name)):
        n_prompt = len(prompts.tokenize(prompts.prompt(record.instruction)))
        n_all = len(prompts.tokenize(prompts.prompt(record.instruction) + record.output)) + 1
        pairs.append((n_all, n_all - n_prompt))
    return pairs


@pytest.mark.parametrize("name", ["blind", "cascade", "linear"])
def test_operations_equal_those_counted_by_hand(
    tiny: ArmMaterials, costs: Mapping[str, ArmCost], name: str
) -> None:
    n_audio = N_STEPS if name == "linear" else 0
    total = n_positions = 0
    for n_text, n_answer in lengths(tiny, name):
        n = n_text + n_audio
        linear = 4 * HIDDEN**2 + 3 * HIDDEN * MLP + 2 * 2 * RANK * HIDDEN
        total += N_LAYERS * (2 * n * linear + 4 * n**2 * HIDDEN)
        total += 2 * n_answer * HIDDEN * N_WORDS
        total += 2 * n_audio * WIDTH * HIDDEN
        n_positions += n
    assert costs[name].n_positions == n_positions / 16
    rotary = costs[name].flops - total / 16  # the angles of the positions, a product of vectors
    assert 0 <= rotary < 1e-3 * costs[name].flops


def test_operations_grow_with_positions(costs: Mapping[str, ArmCost]) -> None:
    by_positions = sorted(costs.values(), key=lambda cost: (cost.n_positions, cost.flops))
    assert by_positions == sorted(costs.values(), key=lambda cost: cost.flops)
    assert costs["cross-attention"].n_positions == costs["blind"].n_positions
    assert costs["linear"].n_positions == costs["codes"].n_positions
    assert costs["linear"].n_positions == costs["blind"].n_positions + N_STEPS
    assert costs["blind"].n_positions < costs["cascade"].n_positions


def test_calls_and_answers_of_tools_both_count(
    tiny: ArmMaterials, costs: Mapping[str, ArmCost]
) -> None:
    of_steps = [n_text for n_text, _ in lengths(tiny, "controller")]
    assert len(of_steps) == 32
    assert costs["controller"].n_positions == sum(of_steps) / 16


SIZES = ConnectorSizes(width=192, n_steps=32, hidden=576, n_layers=30)  # of mini, version 1


@pytest.mark.parametrize(
    ("config", "n_parameters"),
    [
        (LinearConfig(), 111_168),
        (RandomConfig(), 111_168),
        (MLPConfig(768), 591_168),
        (KeysValuesConfig(width=768), 591_168),
        (QuantizedConfig(n_codes=1024, width=768), 591_168),
        (CodesConfig(n_codes=1024), 589_824),
        (CodesConfig(n_codes=512, n_codebooks=2), 589_824),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_connectors_of_smollm_have_their_known_sizes(
    config: ConnectorConfig, n_parameters: int
) -> None:
    assert n_of(config, SIZES) == n_parameters


def n_of(config: ConnectorConfig, sizes: ConnectorSizes) -> int:
    connector = build_connector(config, sizes)
    return sum(p.numel() for p in connector.parameters() if p.requires_grad)


def test_connectors_of_the_shipped_study_have_equal_sizes() -> None:
    sizes = ConnectorSizes(width=1024, n_steps=21, hidden=576, n_layers=30)
    shipped = read_architectures("architectures")
    counts = {a.name: n_of(a.connector, sizes) for a in shipped.arms if a.input == "tokens"}
    assert counts["linear"] == 1024 * 576 + 576
    for name, n_parameters in counts.items():
        assert abs(n_parameters / counts["linear"] - 1) < 0.03, name
