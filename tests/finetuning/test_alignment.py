"""Alignment losses follow their definitions, and training on them moves audio towards text."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import (
    AlignmentTargets,
    LossAlignment,
    PaddedTexts,
    alignment_loss,
    cka_loss,
    contrastive_loss,
    encode_texts,
    hidden_state_loss,
    mean_embeddings,
    transport_cost,
)
from audioprobe.finetuning.components import (
    ContrastiveAlignment,
    EmbeddingAlignment,
    HiddenStateAlignment,
)
from audioprobe.metrics import linear_cka
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.trainable import set_trainable
from tests.finetuning.test_regularizers import value
from tests.golden_ltu import new_net, spectrograms, tiny_net
from tests.tiny_tuning import PROMPTS

MODEL = TrainableLTU(tiny_net().eval())
EMBEDDINGS = MODEL.network.llama.get_input_embeddings()
TEXTS = PaddedTexts(
    torch.tensor([[5, 6, 7], [8, 9, 0], [5, 6, 7]]),
    torch.tensor([[True, True, True], [True, True, False], [True, True, True]]),
)
DIFFERENT = PaddedTexts(
    torch.tensor([[5, 6], [8, 9], [11, 12]]), torch.ones(3, 2, dtype=torch.bool)
)
LOSSES: tuple[LossAlignment, ...] = (
    ContrastiveAlignment(),
    EmbeddingAlignment(),
    EmbeddingAlignment(distance="mse"),
    HiddenStateAlignment(layer=1),
    HiddenStateAlignment(layer=-1, distance="mse"),
    EmbeddingAlignment(distance="transport"),
    HiddenStateAlignment(layer=1, distance="transport"),
)


def loss_of(
    alignment: LossAlignment, model: TrainableLTU, audio_tokens: Tensor, texts: PaddedTexts
) -> Tensor:
    targets = AlignmentTargets(spectrograms(), texts, texts)
    return alignment_loss(alignment, model, audio_tokens, targets)


def tokens(seed: int = 0, n: int = 3) -> Tensor:
    width = MODEL.network.llama.config.hidden_size
    return torch.randn(n, 4, width, generator=torch.Generator().manual_seed(seed))


def test_contrastive_loss_is_symmetric_cross_entropy() -> None:
    audio_tokens = tokens()
    weights = EMBEDDINGS.weight.detach().double().numpy()
    text = np.stack([weights[ids].mean(0) for ids in ([5, 6, 7], [8, 9], [5, 6, 7])])
    audio = audio_tokens.double().numpy().mean(axis=1)
    text, audio = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (text, audio))
    logits = audio @ text.T / 0.5
    targets = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])  # equal texts share

    def cross_entropy(rows: np.ndarray) -> float:
        logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return float(-(targets * logs).sum(axis=1).mean())

    expected = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
    assert value(contrastive_loss(MODEL, audio_tokens, TEXTS, 0.5)) == pytest.approx(
        expected, rel=1e-5
    )


def test_contrastive_loss_of_one_clip_is_zero() -> None:
    texts = PaddedTexts(TEXTS.ids[:1], TEXTS.mask[:1])
    assert value(contrastive_loss(MODEL, tokens(n=1), texts, 0.07)) == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.permutations([0, 1, 2]))
def test_order_of_clips_does_not_change_losses(seed: int, order: list[int]) -> None:
    reordered = PaddedTexts(TEXTS.ids[order], TEXTS.mask[order])
    for loss in LOSSES:
        expected = value(loss_of(loss, MODEL, tokens(seed), TEXTS))
        assert value(loss_of(loss, MODEL, tokens(seed)[order], reordered)) == pytest.approx(
            expected, rel=1e-4
        )


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.kind))
def test_padding_of_texts_does_not_change_losses(loss: LossAlignment) -> None:
    padded = PaddedTexts(
        torch.nn.functional.pad(TEXTS.ids, (0, 2), value=11),
        torch.nn.functional.pad(TEXTS.mask, (0, 2), value=False),
    )
    expected = value(loss_of(loss, MODEL, tokens(), TEXTS))
    assert value(loss_of(loss, MODEL, tokens(), padded)) == pytest.approx(expected, rel=1e-4)


def test_distance_of_audio_equal_to_its_text_is_zero() -> None:
    equal = mean_embeddings(MODEL, TEXTS)[:, None].repeat(1, 4, 1)
    for loss in (EmbeddingAlignment(), EmbeddingAlignment(distance="mse")):
        assert value(loss_of(loss, MODEL, equal, TEXTS)) == pytest.approx(0.0, abs=1e-6)
    text = PaddedTexts(torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool))
    hidden = value(hidden_state_loss(MODEL, EMBEDDINGS(text.ids), text, 1, "cosine"))
    assert hidden == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.kind))
def test_training_moves_audio_and_not_text(loss: LossAlignment) -> None:
    model = TrainableLTU(new_net())
    set_trainable(model, "all+llm")
    features, texts = spectrograms()[:2], PaddedTexts(TEXTS.ids[:2], TEXTS.mask[:2])
    before = loss_of(loss, model, model.encode_audio(features), texts)
    before.backward()  # type: ignore[no-untyped-call]
    gradient = model.network.llama.get_input_embeddings().weight.grad
    assert gradient is None or not gradient.any()
    torch.optim.SGD(model.network.prefix.projection.parameters(), lr=1e-2).step()
    assert value(loss_of(loss, model, model.encode_audio(features), texts)) < value(before)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.kind))
def test_language_model_in_bfloat16_is_supported(loss: LossAlignment) -> None:
    net = new_net()
    net.llama.to(torch.bfloat16)
    expected = value(loss_of(loss, MODEL, tokens(), TEXTS))
    assert value(loss_of(loss, TrainableLTU(net), tokens(), TEXTS)) == pytest.approx(
        expected, rel=0.05
    )


@given(st.lists(st.text("abc d", min_size=1), min_size=1, max_size=4))
def test_texts_are_padded_to_one_length(texts: list[str]) -> None:
    encoded = encode_texts(PROMPTS, texts)
    assert encoded.ids.shape == encoded.mask.shape == (len(texts), max(map(len, texts)))
    for ids, mask, text in zip(encoded.ids, encoded.mask, texts, strict=True):
        assert "".join(PROMPTS.tokenizer.convert_ids_to_tokens(ids[mask].tolist())) == text


def test_missing_layer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="states 0 to 2, got layer 7"):
        hidden_state_loss(MODEL, tokens(), TEXTS, 7, "cosine")


@given(st.integers(3, 8), st.integers(1, 9), st.integers(0, 99))
def test_cka_loss_equals_the_metric(n_clips: int, width: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(n_clips, width, generator=random, dtype=torch.double)
    second = torch.randn(n_clips, 5, generator=random, dtype=torch.double)
    expected = linear_cka(first.numpy(), second.numpy())
    assert expected is not None
    assert value(cka_loss(first, second)) == pytest.approx(1 - expected, abs=1e-9)
    turned = first @ torch.linalg.qr(torch.randn(width, width, generator=random).double())[0]
    assert value(cka_loss(first, 3 * turned + 1)) == pytest.approx(0.0, abs=1e-9)
    assert value(cka_loss(first[:2], second[:2])) == 0


def test_cka_loss_trains_relations_between_clips() -> None:
    audio = tokens(n=3).requires_grad_()
    before = loss_of(EmbeddingAlignment(distance="cka"), MODEL, audio, DIFFERENT)
    (gradient,) = torch.autograd.grad(before, audio)
    moved = audio - 10 * gradient
    assert value(loss_of(EmbeddingAlignment(distance="cka"), MODEL, moved, DIFFERENT)) < value(
        before
    )


def exact_cost(cost: np.ndarray) -> float:
    """Return the cost of unregularised transport between uniform masses, by linear programming."""
    n_rows, n_columns = cost.shape
    sums = [
        np.kron(np.eye(n_rows), np.ones(n_columns)),
        np.kron(np.ones(n_rows), np.eye(n_columns)),
    ]
    masses = np.concatenate([np.full(n_rows, 1 / n_rows), np.full(n_columns, 1 / n_columns)])
    solution: Any = linprog(cost.ravel(), A_eq=np.concatenate(sums), b_eq=masses)
    return float(solution.fun)


def sinkhorn_cost(cost: np.ndarray, regularization: float = 0.05) -> float:
    """Return <P, C> of Sinkhorn's algorithm with scalings u and v, as in POT's `ot.sinkhorn`."""
    kernel = np.exp(-cost / regularization)
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    v = np.ones(len(b))
    for _ in range(100):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    return float((u[:, None] * kernel * v * cost).sum())


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_transport_cost_equals_references(n_audio: int, n_text: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    audio, text = random.normal(size=(n_audio, 4)), random.normal(size=(n_text, 4))
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (audio, text)]
    cost = 1 - units[0] @ units[1].T
    padded = torch.tensor(np.concatenate([text, np.full((2, 4), 7.0)]))[None]
    mask = torch.tensor([[True] * n_text + [False] * 2])
    actual = value(transport_cost(torch.tensor(audio)[None], padded, mask))
    assert actual == pytest.approx(sinkhorn_cost(cost), abs=1e-6)
    exact = exact_cost(cost)
    assert exact - 0.01 <= actual <= exact + 0.05 * np.log(n_audio * n_text) + 0.01


def test_transport_cost_of_the_same_tokens_in_another_order_is_near_zero() -> None:
    audio = torch.eye(5)[None]
    cost = transport_cost(audio, audio[:, [3, 0, 4, 1, 2]], torch.ones(1, 5, dtype=torch.bool))
    assert value(cost[0]) == pytest.approx(0.0, abs=1e-6)
