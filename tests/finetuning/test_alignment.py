"""Ties between sound and text: their definitions, and that they draw both together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.alignment import (
    AlignmentLoss,
    ContrastiveLoss,
    EmbeddingLoss,
    HiddenStateLoss,
    Texts,
    distance_of,
    embedded,
)
from audioprobe.finetuning.trainable import set_trainable_by_name
from tests.finetuning.test_regularizers import value
from tests.golden_ltu import new_net, spectrograms, tiny_net

NET = tiny_net().eval()
WIDTH = NET.llama.config.hidden_size
TEXTS = Texts(
    torch.tensor([[5, 6, 7], [8, 9, 0], [5, 6, 7]]),
    torch.tensor([[True, True, True], [True, True, False], [True, True, True]]),
)
TIES: tuple[AlignmentLoss, ...] = (
    ContrastiveLoss(),
    EmbeddingLoss(),
    EmbeddingLoss("mse"),
    HiddenStateLoss(1),
    HiddenStateLoss(-1, "mse"),
)


def tokens(seed: int = 0, n: int = 3) -> Tensor:
    return torch.randn(n, 4, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_each_sound_finds_its_text_as_the_definition_has_it() -> None:
    sounds = tokens()
    weights = NET.llama.get_input_embeddings().weight.detach().double().numpy()
    text = np.stack(
        [weights[[5, 6, 7]].mean(0), weights[[8, 9]].mean(0), weights[[5, 6, 7]].mean(0)]
    )
    sound = sounds.double().numpy().mean(axis=1)
    text, sound = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (text, sound))
    logits = sound @ text.T / 0.5
    shares = np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])  # equal texts share

    def entropy(rows: np.ndarray) -> float:
        logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return float(-(shares * logs).sum(axis=1).mean())

    expected = (entropy(logits) + entropy(logits.T)) / 2
    assert value(ContrastiveLoss(0.5)(NET, sounds, TEXTS)) == pytest.approx(expected, rel=1e-5)


def test_one_sound_alone_has_nothing_to_be_told_apart_from() -> None:
    one = Texts(TEXTS.ids[:1], TEXTS.there[:1])
    assert value(ContrastiveLoss()(NET, tokens(n=1), one)) == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.permutations([0, 1, 2]))
def test_the_order_of_sounds_changes_nothing(seed: int, order: list[int]) -> None:
    turned = Texts(TEXTS.ids[order], TEXTS.there[order])
    for tie in TIES:
        straight = value(tie(NET, tokens(seed), TEXTS))
        assert value(tie(NET, tokens(seed)[order], turned)) == pytest.approx(straight, rel=1e-4)


def test_what_fills_a_text_up_does_not_count() -> None:
    longer = Texts(
        torch.nn.functional.pad(TEXTS.ids, (0, 2), value=11),
        torch.nn.functional.pad(TEXTS.there, (0, 2), value=False),
    )
    for tie in TIES:
        assert value(tie(NET, tokens(), longer)) == pytest.approx(
            value(tie(NET, tokens(), TEXTS)), rel=1e-4
        )


def test_sound_that_is_its_text_has_distance_nothing() -> None:
    same = embedded(NET, TEXTS)[:, None].repeat(1, 4, 1)
    for tie in (EmbeddingLoss(), EmbeddingLoss("mse")):
        assert value(tie(NET, same, TEXTS)) == pytest.approx(0.0, abs=1e-6)
    words = Texts(torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool))
    as_sound = NET.llama.get_input_embeddings()(words.ids)
    assert value(HiddenStateLoss(1)(NET, as_sound, words)) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("tie", TIES, ids=lambda tie: type(tie).__name__)
def test_training_draws_sound_to_its_text_and_leaves_text_alone(tie: AlignmentLoss) -> None:
    net = new_net()
    set_trainable_by_name(net, "all+llm")
    sounds, texts = spectrograms()[:2], Texts(TEXTS.ids[:2], TEXTS.there[:2])
    own = [p for n, p in net.named_parameters() if n.startswith("prefix.projection")]
    loss = tie(net, net.prefix(sounds), texts)
    loss.backward()  # type: ignore[no-untyped-call]
    embeddings = net.llama.get_input_embeddings().weight.grad
    assert embeddings is None or not embeddings.any(), "the side of the text does not move"
    optimizer = torch.optim.SGD(own, lr=1e-2)
    optimizer.step()
    assert value(tie(net, net.prefix(sounds), texts)) < value(loss)


@pytest.mark.parametrize("tie", TIES, ids=lambda tie: type(tie).__name__)
def test_a_language_model_in_half_precision_is_tied_too(tie: AlignmentLoss) -> None:
    """As bases are published; what trains is in whole precision."""
    net = new_net()
    net.llama.to(torch.bfloat16)
    whole = value(tie(NET, tokens(), TEXTS))
    assert value(tie(net, tokens(), TEXTS)) == pytest.approx(whole, rel=0.05)


def test_what_cannot_be_tied_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="above 0"):
        ContrastiveLoss(0.0)
    with pytest.raises(InvalidInputError, match="states 0 to 2, got layer 7"):
        HiddenStateLoss(7)(NET, tokens(), TEXTS)
    with pytest.raises(InvalidInputError, match="cosine or mse"):
        distance_of("cosinus")  # type: ignore[arg-type]
