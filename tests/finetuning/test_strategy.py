"""Strategies are read as they are written, and nothing in them can be misspelt."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.strategy import (
    EWC,
    L2SP,
    ContrastiveAlignment,
    CrossAttentionAlignment,
    Distillation,
    EarlyStopping,
    EmbeddingAlignment,
    HiddenStateAlignment,
    LoraConfig,
    PairedQuestionTraining,
    Rehearsal,
    Strategy,
    WiseFT,
    name_of,
)
from audioprobe.io.config import parse_config

HOLDS: dict[str, tuple[type, Mapping[str, Any]]] = {
    "l2-sp": (L2SP, {"strength": 0.5}),
    "ewc": (EWC, {"strength": 2.0, "of": ["texts", "earlier"], "tasks": "online", "decay": 0.9}),
    "rehearsal": (Rehearsal, {"texts": 3, "sounds": 0}),
    "distillation": (Distillation, {"weight": 0.3, "temperature": 1.0, "texts": 1}),
    "wise-ft": (WiseFT, {"share": 0.25}),
    "early-stopping": (EarlyStopping, {"every": 7, "rise": 0.1}),
}
TIES: dict[str, tuple[type, Mapping[str, Any]]] = {
    "contrastive": (ContrastiveAlignment, {"weight": 0.1, "temperature": 0.2}),
    "embedding": (EmbeddingAlignment, {"weight": 2.0, "distance": "mse"}),
    "hidden-states": (HiddenStateAlignment, {"layer": 1, "distance": "cosine"}),
    "cross-attention": (CrossAttentionAlignment, {"width": 16}),
    "paired": (
        PairedQuestionTraining,
        {"pairs": 1, "ways": ["sound"], "about": ["animal"], "shuffled": True},
    ),
}
NEEDED = {"l2-sp": {"strength": 1.0}, "ewc": {"strength": 1.0}}


def parsed(**tables: Any) -> Strategy:
    plan = {"steps": 3, "learning_rate": 1e-3}
    return parse_config(Strategy, {"trains": "lora", "plan": plan} | tables, "x")


def tables(kinds: list[str]) -> list[dict[str, Any]]:
    return [{"kind": kind, **NEEDED.get(kind, {})} for kind in kinds]


@pytest.mark.parametrize("where", ["holding", "alignment"])
def test_each_kind_goes_by_its_name(where: str) -> None:
    for kind, (cls, options) in (HOLDS if where == "holding" else TIES).items():
        strategy = parsed(**{where: [{"kind": kind, **options}]})
        (part,) = getattr(strategy, where)
        assert type(part) is cls
        assert strategy.part(cls) is part
        for name, value in options.items():
            found = getattr(part, name)
            assert (list(found) if isinstance(found, tuple) else found) == value
        assert name_of(getattr(strategy, where)) == kind


@given(
    st.lists(st.sampled_from(sorted(HOLDS)), unique=True),
    st.lists(st.sampled_from(sorted(TIES)), unique=True),
)
def test_any_of_them_go_together(holds: list[str], ties: list[str]) -> None:
    strategy = parsed(holding=tables(holds), alignment=tables(ties))
    assert name_of(strategy.holding) == ("+".join(holds) or "none")
    assert name_of(strategy.alignment) == ("+".join(ties) or "none")
    for kind, (cls, _) in (HOLDS | TIES).items():
        assert (strategy.part(cls) is not None) == (kind in holds + ties)


@pytest.mark.parametrize("kind", [*HOLDS, *TIES])
def test_none_comes_twice(kind: str) -> None:
    where = "holding" if kind in HOLDS else "alignment"
    with pytest.raises(InvalidInputError, match=f"{where}: each kind once at most, got {kind}, "):
        parsed(**{where: tables([kind, kind])})


@pytest.mark.parametrize(
    ("given_tables", "message"),
    [
        ({"holding": [{"kind": "rehersal"}]}, "x: holding, number 1: .*Did you mean 'rehearsal'"),
        (
            {"alignment": [{"kind": "contrastve"}]},
            "x: alignment, number 1: .*Did you mean 'contrastive'",
        ),
        ({"alignment": [{"kind": "ewc"}]}, "x: alignment, number 1: "),
        ({"holding": [{"strength": 1.0}]}, "x: holding, number 1: "),
        ({"holding": [{"kind": "ewc"}]}, "x: holding, number 1: the key 'strength' is missing"),
        (
            {"holding": [{"kind": "rehearsal", "text": 1}]},
            "x: holding, number 1: unknown key 'text'.*Did you mean 'texts'",
        ),
        ({"trainz": "lora"}, "x: unknown key 'trainz'.*Did you mean 'trains'"),
        ({"plan": {"steps": 3}}, "x: plan: the key 'learning_rate' is missing"),
        ({"alignment": [{"kind": "embedding", "distance": "cosinus"}]}, "'cosine' or 'mse'"),
    ],
)
def test_what_is_misspelt_is_told_where_it_stands(
    given_tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parsed(**given_tables)


@pytest.mark.parametrize(
    ("given_tables", "message"),
    [
        ({"clips": -1}, "clips must be at least 0"),
        ({"clips": 0}, "has nothing to learn"),
        ({"clips": 0, "holding": [{"kind": "rehearsal"}]}, "has nothing to learn"),
        ({"holding": [{"kind": "rehearsal", "texts": 0, "sounds": 0}]}, "of_both must be"),
        ({"holding": [{"kind": "rehearsal", "texts": -1}]}, "texts must be at least 0"),
        ({"holding": [{"kind": "ewc", "strength": 1.0, "of": []}]}, "at least one"),
        ({"holding": [{"kind": "ewc", "strength": 1.0, "of": ["texts"] * 2}]}, "each task once"),
        ({"holding": [{"kind": "ewc", "strength": 1.0, "n_examples": 0}]}, "n_examples must be"),
        ({"holding": [{"kind": "distillation", "texts": 0}]}, "texts must be at least 1"),
        ({"holding": [{"kind": "wise-ft", "share": 1.5}]}, "from 0 to 1"),
        ({"holding": [{"kind": "early-stopping", "every": 0}]}, "every must be at least 1"),
        ({"alignment": [{"kind": "paired", "pairs": 0}]}, "pairs must be at least 1"),
        ({"alignment": [{"kind": "paired", "ways": []}]}, "needs ways to ask"),
        (
            {"alignment": [{"kind": "paired", "about": ["animals"]}]},
            "no concepts of the family 'animals'. Did you mean 'animal'?",
        ),
    ],
)
def test_what_cannot_be_is_refused(given_tables: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parsed(**given_tables)


def test_pairs_alone_are_something_to_learn() -> None:
    assert parsed(clips=0, alignment=[{"kind": "paired"}]).clips == 0


def test_larger_adapters_train_or_are_refused() -> None:
    wide = {"rank": 8, "targets": ["q_proj", "up_proj"]}
    assert parsed(lora=wide).lora == LoraConfig(8, ("q_proj", "up_proj"))
    assert parsed(trains="all", lora=wide).lora is not None
    with pytest.raises(InvalidInputError, match="add lora to 'projector'"):
        parsed(trains="projector", lora=wide)
    with pytest.raises(InvalidInputError, match="rank must be at least 1"):
        parsed(lora={"rank": 0})
