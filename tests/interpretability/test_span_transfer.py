"""Spans that are copied, and rules for spans of different lengths."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.span_transfer import (
    LENGTH_RULES,
    Replacement,
    SpanTransfer,
    parse_transfers,
    replacement,
)


def states(n_positions: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_positions, 5, generator=torch.Generator().manual_seed(seed))


def test_transfers_are_named_like_their_spans() -> None:
    assert SpanTransfer.parse("last") == SpanTransfer("last", "last")
    assert SpanTransfer.parse("concept->audio[0s:1.5s]") == SpanTransfer(
        "concept", "audio[0s:1.5s]"
    )
    names = ["last", "last -> last", "concept -> audio", "all"]
    transfers = parse_transfers(names, "equal")
    assert [str(transfer) for transfer in transfers] == ["last", "concept -> audio", "all"]
    for transfer in transfers:
        assert SpanTransfer.parse(str(transfer)) == transfer
    with pytest.raises(InvalidInputError, match="Expected a span"):
        parse_transfers(["last -> "], "equal")


@given(st.integers(1, 6), st.integers(1, 6))
def test_rules_agree_for_equal_lengths_and_differ_as_named(n_source: int, n_base: int) -> None:
    source, positions = states(n_source), tuple(range(3, 3 + n_base))
    equal, mean, last = (replacement(source, positions, rule) for rule in LENGTH_RULES)
    assert (equal is None) == (n_source != n_base)
    assert mean is not None
    assert last is not None
    shared = min(n_source, n_base)
    assert last.positions == positions[n_base - shared :]
    assert torch.equal(last.states, source[n_source - shared :])
    assert mean.positions == positions
    torch.testing.assert_close(mean.states, source.mean(dim=0).expand(n_base, -1))
    if equal is not None:
        assert equal.positions == last.positions
        assert torch.equal(equal.states, last.states)


def test_absent_spans_have_no_replacement() -> None:
    for rule in LENGTH_RULES:
        assert replacement(states(2), (), rule) is None
        assert replacement(states(0), (1,), rule) is None


@given(st.integers(0, 2**63), st.floats(0, 100))
def test_noise_has_the_norm_of_the_change_at_each_position(seed: int, scale: float) -> None:
    base = states(6)
    new = Replacement((1, 4), base[[1, 4]] + scale * states(2, 1))
    noisy = new.noisy(base, seed)
    sizes = (new.states - base[[1, 4]]).norm(dim=-1)
    torch.testing.assert_close(
        (noisy.states - base[[1, 4]]).norm(dim=-1), sizes, atol=1e-4, rtol=1e-4
    )
    assert torch.equal(noisy.states, new.noisy(base, seed).states)
    if scale > 1e-3:
        assert not torch.allclose(noisy.states, new.noisy(base, seed + 1).states)


def test_only_the_named_positions_change() -> None:
    base = states(4)
    new = Replacement((0, 2), states(2, 1))
    changed = new.applied(base)
    assert torch.equal(changed[[0, 2]], new.states)
    assert torch.equal(changed[[1, 3]], base[[1, 3]])
    assert torch.equal(base, states(4))
    assert torch.equal(new.undone(base).applied(base), base)
