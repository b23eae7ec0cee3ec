"""Gated cross-attention with gate 0 and with an open gate, trained, saved and loaded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltu import new_net, spectrograms
from tests.signals import noise_5s
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_checkpoint

from audioprobe import LTU, Prompt
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu.assembly import build_network
from audioprobe.models.ltu.audio_prefix import (
    GatedCrossAttention,
)
from audioprobe.models.ltu.saving import save_adapter
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import set_trainable
from audioprobe.types import Decoding, Waveform

BRIEF = Decoding(max_new_tokens=8)
SOUND = Waveform(noise_5s().numpy(), 16_000)
PROMPTS = [Prompt("What is heard?", SOUND), Prompt("Why?")]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_closed_gate_does_not_change_logits() -> None:
    net, ids = new_net(), torch.tensor([[1, 5, 9, 7]])
    with torch.inference_mode():
        tokens = net.prefix(spectrograms()[:1])
        plain = net(ids, tokens)
        net.prefix.gate = GatedCrossAttention.from_texts(random(5, 64), 16, seed=3)
        gated = net.prefix(spectrograms()[:1])
        assert torch.equal(gated, tokens)
        assert torch.equal(net(ids, gated), plain)
        net.prefix.gate.opening.fill_(0.5)
        assert not torch.equal(net.prefix(spectrograms()[:1]), tokens)


@settings(max_examples=15, deadline=None)
@given(
    n_texts=st.integers(1, 4),
    hidden=st.integers(2, 9),
    width=st.integers(1, 5),
    opening=st.floats(-3, 3),
    seed=st.integers(0, 99),
)
def test_open_gate_equals_cross_attention_in_numpy(
    n_texts: int, hidden: int, width: int, opening: float, seed: int
) -> None:
    texts, tokens = random(n_texts, hidden, seed=seed), random(2, 3, hidden, seed=seed + 100)
    gate = GatedCrossAttention.from_texts(texts, width, seed).double()
    torch.nn.init.constant_(gate.opening, opening)
    actual = gate(tokens.double()).detach().numpy()

    def normed(x: np.ndarray) -> np.ndarray:
        apart = x - x.mean(axis=-1, keepdims=True)
        return np.asarray(apart / np.sqrt((apart**2).mean(axis=-1, keepdims=True) + 1e-5))

    query, key, value, out = (
        m.weight.detach().numpy() for m in (gate.query, gate.key, gate.value, gate.out)
    )
    sound = tokens.double().numpy()
    audio, labels = normed(sound), normed(texts.double().numpy())
    scores = (audio @ query.T) @ (labels @ key.T).T / np.sqrt(width)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    expected = sound + np.tanh(gate.opening.item()) * (shares @ (labels @ value.T)) @ out.T
    assert actual == pytest.approx(expected, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations([0, 1, 2, 3]))
def test_order_of_texts_does_not_matter(order: list[int]) -> None:
    texts, tokens = random(4, 6), random(1, 3, 6, seed=1)
    actual = []
    for embeddings in (texts, texts[order]):
        gate = GatedCrossAttention.from_texts(embeddings, 4, seed=0)
        torch.nn.init.constant_(gate.opening, 1.0)
        actual.append(gate(tokens))
    torch.testing.assert_close(actual[0], actual[1])


def test_initial_weights_depend_on_the_seed_only() -> None:
    texts = random(3, 8)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    gate, again, other = (GatedCrossAttention.from_texts(texts, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(gate.query.weight, again.query.weight)
    assert not torch.equal(gate.query.weight, other.query.weight)
    texts.zero_()
    assert gate.texts.any(), "a copy"
    assert "texts" not in dict(gate.named_parameters())


def test_closed_gate_has_a_gradient() -> None:
    gate, tokens = GatedCrossAttention.from_texts(random(3, 8), 4, seed=0), random(2, 3, 8, seed=1)
    gate(tokens)[..., 0].sum().backward()
    assert gate.opening.grad is not None
    assert gate.opening.grad.any()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), with_sound=False)


def test_saved_ltu_with_gate_gives_the_same_responses(base: Path, tmp_path: Path) -> None:
    files = tiny_checkpoint(base)
    gate = GatedCrossAttention.from_texts(random(3, 64), 16, seed=0)
    torch.nn.init.constant_(gate.opening, 2.0)
    torch.nn.init.normal_(gate.out.weight, std=2.0)
    plain = list(LTU(files.net, files.tokenizer, files.info({})).generate(PROMPTS, BRIEF))
    files.net.prefix.gate = gate
    files.net.prefix.half().float()  # as it is saved
    for name, parameter in files.net.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.half().float()
    model = LTU(files.net, files.tokenizer, files.info({}))
    answers = list(model.generate(PROMPTS, BRIEF))
    assert answers[0] != plain[0], "an open gate changes responses"
    folder = save_adapter(files, tmp_path / "gated", name="gated")
    read = LTU.from_pretrained(folder, base=base)
    assert list(read.generate(PROMPTS, BRIEF)) == answers
    loaded = read._net.prefix.gate
    assert loaded is not None
    assert torch.equal(loaded.texts, gate.texts)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_sizes_are_inferred_from_tensors() -> None:
    gate = GatedCrossAttention.from_texts(random(3, 8), 4, seed=0)
    tensors = {f"prefix.gate.{name}": tensor for name, tensor in gate.state_dict().items()}
    actual = GatedCrossAttention.from_tensors(tensors, "prefix.gate")
    assert actual is not None
    assert {n: t.shape for n, t in actual.state_dict().items()} == {
        n: t.shape for n, t in gate.state_dict().items()
    }
    assert GatedCrossAttention.from_tensors({}, "prefix.gate") is None
    net = new_net()
    whole = net.state_dict() | {f"prefix.gate.{n}": t for n, t in gate.state_dict().items()}
    del whole["prefix.gate.out.weight"]
    with pytest.raises(WeightsError, match=r"prefix\.gate\.out\.weight"):
        build_network(replace(net.config), whole, source="tiny")


def test_gate_is_trainable_by_name_if_present() -> None:
    net = new_net()
    with pytest.raises(InvalidInputError, match="has no cross-attention"):
        set_trainable(TrainableLTU(net), "projector+cross-attention")
    net.prefix.gate = GatedCrossAttention.from_texts(random(3, 64), 8, seed=0)
    set_trainable(TrainableLTU(net), "projector+cross-attention")
    names = [name for name, p in net.named_parameters() if p.requires_grad]
    assert {TrainableLTU(net).group_of(name) for name in names} == {"projector", "cross-attention"}
    gate_names = {name for name in names if TrainableLTU(net).group_of(name) == "cross-attention"}
    assert gate_names == {f"prefix.gate.{name}" for name, _ in net.prefix.gate.named_parameters()}
    set_trainable(TrainableLTU(net), "projector")
    assert not any(p.requires_grad for p in net.prefix.gate.parameters())


@pytest.mark.parametrize("sizes", [(0, 8, 4), (3, 0, 4), (3, 8, 0)])
def test_sizes_below_one_raise(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInputError, match="must be at least 1"):
        GatedCrossAttention(*sizes)
