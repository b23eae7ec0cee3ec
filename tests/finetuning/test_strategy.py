"""Strategies are parsed from TOML tables; misspelt and contradictory ones are refused."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.finetuning.components import (
    EWC,
    L2SP,
    ContrastiveAlignment,
    CrossAttentionAlignment,
    Distillation,
    EarlyStopping,
    EmbeddingAlignment,
    HiddenStateAlignment,
    PairedQuestionTraining,
    Rehearsal,
    WiseFT,
)
from audioprobe.finetuning.strategy import LoraSize, Strategy, combined_name
from audioprobe.io.config import parse_config

REGULARIZERS: dict[str, tuple[type, Mapping[str, Any]]] = {
    "l2-sp": (L2SP, {"strength": 0.5}),
    "ewc": (EWC, {"strength": 2.0, "tasks": ["text", "audio"], "variant": "online", "decay": 0.9}),
    "rehearsal": (Rehearsal, {"texts": 3, "clips": 0}),
    "distillation": (Distillation, {"weight": 0.3, "temperature": 1.0, "texts": 1}),
    "wise-ft": (WiseFT, {"share": 0.25}),
    "early-stopping": (EarlyStopping, {"every": 7, "rise": 0.1}),
}
ALIGNMENTS: dict[str, tuple[type, Mapping[str, Any]]] = {
    "contrastive": (ContrastiveAlignment, {"weight": 0.1, "temperature": 0.2}),
    "embedding": (EmbeddingAlignment, {"weight": 2.0, "distance": "mse"}),
    "hidden-states": (HiddenStateAlignment, {"layer": 1, "distance": "cosine"}),
    "cross-attention": (CrossAttentionAlignment, {"width": 16}),
    "paired": (
        PairedQuestionTraining,
        {"pairs": 1, "conditions": ["audio"], "concept_kinds": ["animal"], "shuffle_answers": True},
    ),
}
REQUIRED = {"l2-sp": {"strength": 1.0}, "ewc": {"strength": 1.0}}


def parsed(**tables: Any) -> Strategy:
    arguments = {"steps": 3, "learning_rate": 1e-3}
    return parse_config(Strategy, {"train": "lora", "arguments": arguments} | tables, "x")


def tables(kinds: list[str]) -> list[dict[str, Any]]:
    return [{"kind": kind, **REQUIRED.get(kind, {})} for kind in kinds]


@pytest.mark.parametrize("field", ["regularizers", "alignment"])
def test_each_kind_is_parsed_to_its_class(field: str) -> None:
    for kind, (cls, options) in (REGULARIZERS if field == "regularizers" else ALIGNMENTS).items():
        strategy = parsed(**{field: [{"kind": kind, **options}]})
        (component,) = getattr(strategy, field)
        assert type(component) is cls
        assert strategy.get(cls) is component
        for name, expected in options.items():
            value = getattr(component, name)
            assert (list(value) if isinstance(value, tuple) else value) == expected
        assert combined_name(getattr(strategy, field)) == kind


def test_kind_need_not_be_passed_in_python() -> None:
    assert L2SP(strength=0.1) == L2SP(0.1, kind="l2-sp")
    assert EWC(strength=0.1).kind == "ewc"
    assert ContrastiveAlignment(0.3).weight == 0.3


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(sorted(REGULARIZERS)), unique=True),
    st.lists(st.sampled_from(sorted(ALIGNMENTS)), unique=True),
)
def test_any_kinds_can_be_combined(regularizers: list[str], alignment: list[str]) -> None:
    strategy = parsed(regularizers=tables(regularizers), alignment=tables(alignment))
    assert combined_name(strategy.regularizers) == ("+".join(regularizers) or "none")
    assert combined_name(strategy.alignment) == ("+".join(alignment) or "none")
    for kind, (cls, _) in (REGULARIZERS | ALIGNMENTS).items():
        assert (strategy.get(cls) is not None) == (kind in regularizers + alignment)


@pytest.mark.parametrize("kind", [*REGULARIZERS, *ALIGNMENTS])
def test_repeated_kind_is_refused(kind: str) -> None:
    field = "regularizers" if kind in REGULARIZERS else "alignment"
    with pytest.raises(InvalidInputError, match=f"{field}: expected each kind at most once"):
        parsed(**{field: tables([kind, kind])})


@pytest.mark.parametrize(
    ("given_tables", "message"),
    [
        (
            {"regularizers": [{"kind": "rehersal"}]},
            "x: regularizers, number 1: .*Did you mean 'rehearsal'",
        ),
        (
            {"alignment": [{"kind": "contrastve"}]},
            "x: alignment, number 1: .*Did you mean 'contrastive'",
        ),
        ({"alignment": [{"kind": "ewc"}]}, "x: alignment, number 1: "),
        ({"regularizers": [{"strength": 1.0}]}, "x: regularizers, number 1: "),
        ({"regularizers": [{"kind": "ewc"}]}, "number 1: the key 'strength' is missing"),
        (
            {"regularizers": [{"kind": "rehearsal", "text": 1}]},
            "x: regularizers, number 1: unknown key 'text'.*Did you mean 'texts'",
        ),
        ({"trian": "lora"}, "x: unknown key 'trian'.*Did you mean 'train'"),
        ({"arguments": {"steps": 3}}, "x: arguments: the key 'learning_rate' is missing"),
        ({"alignment": [{"kind": "embedding", "distance": "cosinus"}]}, "'cka' or 'transport'"),
    ],
)
def test_message_names_place_of_misspelt_key(given_tables: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parsed(**given_tables)


@pytest.mark.parametrize(
    ("given_tables", "message"),
    [
        ({"clips_per_step": -1}, "clips_per_step must be at least 0"),
        ({"clips_per_step": 0}, "no training data"),
        ({"clips_per_step": 0, "regularizers": [{"kind": "rehearsal"}]}, "no training data"),
        (
            {"regularizers": [{"kind": "rehearsal", "texts": 0, "clips": 0}]},
            "texts_and_clips must be",
        ),
        ({"regularizers": [{"kind": "rehearsal", "texts": -1}]}, "texts must be at least 0"),
        ({"regularizers": [{"kind": "distillation", "weight": -1}]}, "weight of at least 0"),
        ({"regularizers": [{"kind": "distillation", "temperature": 0}]}, "temperature above 0"),
        ({"alignment": [{"kind": "contrastive", "weight": -1}]}, "weight of at least 0 .*got -1"),
        ({"alignment": [{"kind": "contrastive", "weight": math.nan}]}, "weight of at least 0"),
        ({"alignment": [{"kind": "contrastive", "temperature": 0}]}, "temperature above 0"),
        ({"regularizers": [{"kind": "ewc", "strength": 1.0, "tasks": []}]}, "at least one task"),
        (
            {"regularizers": [{"kind": "ewc", "strength": 1.0, "tasks": ["text"] * 2}]},
            "without repetition",
        ),
        (
            {"regularizers": [{"kind": "ewc", "strength": 1.0, "n_examples": 0}]},
            "n_examples must be",
        ),
        ({"regularizers": [{"kind": "distillation", "texts": 0}]}, "texts must be at least 1"),
        ({"regularizers": [{"kind": "wise-ft", "share": 1.5}]}, "from 0 to 1"),
        ({"regularizers": [{"kind": "early-stopping", "every": 0}]}, "every must be at least 1"),
        ({"alignment": [{"kind": "paired", "pairs": 0}]}, "pairs must be at least 1"),
        ({"alignment": [{"kind": "paired", "conditions": []}]}, "expected the conditions"),
        (
            {"alignment": [{"kind": "paired", "concept_kinds": ["animals"]}]},
            "unknown kind of concept 'animals'; the kinds are .* Did you mean 'animal'",
        ),
    ],
)
def test_impossible_value_is_refused(given_tables: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parsed(**given_tables)


def test_paired_questions_without_clips_are_accepted() -> None:
    assert parsed(clips_per_step=0, alignment=[{"kind": "paired"}]).clips_per_step == 0


def test_expanded_lora_must_be_trainable() -> None:
    size = {"rank": 8, "targets": ["q_proj", "up_proj"]}
    assert parsed(lora=size).lora == LoraSize(8, ("q_proj", "up_proj"))
    assert parsed(train="all", lora=size).lora is not None
    with pytest.raises(InvalidInputError, match=r'\'projector\'\); add "\+lora"'):
        parsed(train="projector", lora=size)
    with pytest.raises(InvalidInputError, match="rank must be at least 1"):
        parsed(lora={"rank": 0})
