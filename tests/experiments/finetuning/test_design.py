"""Which trainings a study asks for."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import ComponentSpec
from audioprobe.experiments.finetuning.config import (
    ClipSubset,
    StudyConfig,
    StudyModel,
    TransferConfig,
    read_study,
)
from audioprobe.experiments.finetuning.design import incompatibility, training_runs
from audioprobe.experiments.finetuning.levels import (
    AdditionalStrategy,
    AlignmentLevel,
    LearningRateGrid,
    RegularizationLevel,
    TrainableLevel,
)
from audioprobe.finetuning.strategy import (
    ContrastiveAlignment,
    EmbeddingAlignment,
    LoraSize,
    PairedQuestionTraining,
    Rehearsal,
    WiseFT,
)
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.trainer import TrainingArguments

SOUNDS = ClipSubset(ComponentSpec("recordings"))
TRAINED = tuple(
    TrainableLevel(p, 1e-3) for p in ("projector", "lora", "encoder", "projector+lora", "all")
)
HELD = (
    RegularizationLevel(),
    RegularizationLevel((Rehearsal(),)),
    RegularizationLevel((WiseFT(),)),
    RegularizationLevel((), "other"),
)
ALIGNED = (
    AlignmentLevel(),
    AlignmentLevel((ContrastiveAlignment(),)),
    AlignmentLevel((EmbeddingAlignment(),)),
    AlignmentLevel((), "other"),
)


def study(**changed: object) -> StudyConfig:
    given: dict[str, object] = {
        "kind": "finetuning",
        **dict.fromkeys(("taught", "inside", "outside", "earlier"), SOUNDS),
        "trained": TRAINED,
        "plan": TrainingArguments(steps=3, learning_rate=1.0),
        "holding": HELD,
        "alignment": ALIGNED,
        **changed,
    }
    return StudyConfig(**given)  # type: ignore[arg-type]


def test_a_full_design_crosses_everything() -> None:
    cells = training_runs(study(design="full", seeds=(0, 1)))
    assert len(cells) == 5 * 4 * 4 * 2
    names = {c.configuration for c in cells}
    assert names == {
        f"{t.label}--{h.label}--{a.label}" for t, h, a in product(TRAINED, HELD, ALIGNED)
    }


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_a_fraction_lets_levels_meet_evenly(n_trained: int, n_held: int, n_aligned: int) -> None:
    """What trains meets what holds once each; ties meet either as evenly as numbers allow."""
    cells = training_runs(
        study(
            trained=TRAINED[:n_trained],
            holding=HELD[:n_held],
            alignment=ALIGNED[:n_aligned],
            seeds=(0,),
        )
    )
    assert len(cells) == n_trained * n_held
    assert len({(c.trained, c.holding) for c in cells}) == len(cells)
    for factor, n_levels in (("trained", n_trained), ("holding", n_held)):
        met = Counter((getattr(c, factor), c.alignment) for c in cells)
        for level in range(n_levels):
            name = (TRAINED[level] if factor == "trained" else HELD[level]).label
            counts = [met[name, tie.label] for tie in ALIGNED[:n_aligned]]
            assert max(counts) - min(counts) <= 1


def test_a_star_changes_one_factor_at_a_time() -> None:
    cells = training_runs(study(design="star", seeds=(0,)))
    assert len(cells) == 1 + 4 + 3 + 3
    first = cells[0]
    for cell in cells[1:]:
        apart = [getattr(cell, f) != getattr(first, f) for f in ("trained", "holding", "alignment")]
        assert sum(apart) == 1


def test_each_strategy_is_trained_once_by_each_seed_and_whole_replicates_come_first() -> None:
    cells = training_runs(study(seeds=(3, 5)))
    half = len(cells) // 2
    assert {c.seed for c in cells[:half]} == {3}
    assert {c.strategy.arguments.seed for c in cells[half:]} == {5}
    assert len({c.name for c in cells}) == len(cells)
    assert {c.strategy.arguments.learning_rate for c in cells} == {1e-3}


def test_transfer_has_its_arms_and_a_control() -> None:
    cells = [
        c
        for c in training_runs(study(transfer=TransferConfig("projector", steps=7), seeds=(0,)))
        if c.transfer
    ]
    ways = {c.alignment: c.strategy.alignment[0] for c in cells}
    assert list(ways) == ["words", "sound", "words+sound", "shuffled"]
    assert all(isinstance(way, PairedQuestionTraining) for way in ways.values())
    assert [way.conditions for way in ways.values() if isinstance(way, PairedQuestionTraining)] == [
        ("text",),
        ("audio",),
        ("text", "audio"),
        ("text", "audio"),
    ]
    assert [c.strategy.alignment[0].shuffle_answers for c in cells] == [False] * 3 + [True]  # type: ignore[union-attr]
    assert {(c.strategy.arguments.steps, c.strategy.clips_per_step) for c in cells} == {(7, 0)}
    assert {c.strategy.arguments.learning_rate for c in cells} == {1e-3}


def test_transfer_may_have_a_rate_of_its_own() -> None:
    wanted = study(transfer=TransferConfig("projector", learning_rate=3e-3), seeds=(0,))
    rates = {(c.transfer, c.strategy.arguments.learning_rate) for c in training_runs(wanted)}
    assert rates == {(False, 1e-3), (True, 3e-3)}


def test_a_grid_tries_every_level_at_every_point() -> None:
    grid = LearningRateGrid(rates=(1.0, 0.5), schedules=("cosine", "constant"))
    wanted = study(trained=TRAINED[:2], grid=grid, design="full", seeds=(0,), holding=HELD[:1])
    cells = training_runs(wanted)
    points = {
        (c.trained, c.strategy.arguments.learning_rate, c.strategy.arguments.schedule)
        for c in cells
    }
    assert points == {
        (f"{parts}-x{rate:g}-{schedule}", 1e-3 * rate, schedule)
        for parts in ("projector", "lora")
        for rate in (1.0, 0.5)
        for schedule in ("cosine", "constant")
    }
    extra = replace(
        wanted,
        extras=(AdditionalStrategy("projector-x0.5-cosine", RegularizationLevel((), "more")),),
    )
    assert [c.strategy.arguments.schedule for c in training_runs(extra) if c.holding == "more"] == [
        "cosine"
    ]
    with pytest.raises(InvalidInputError, match="at least one; got none"):
        study(grid=LearningRateGrid(rates=()))


def test_a_level_has_a_schedule_and_adapters_of_its_own() -> None:
    level = TrainableLevel(
        "lora", 1e-3, "wide", "constant", LoraSize(16, ("q_proj", "v_proj", "up_proj"))
    )
    wanted = study(
        trained=(level,),
        transfer=TransferConfig("wide"),
        plan=TrainingArguments(steps=3, learning_rate=1.0, warmup_steps=0),
    )
    for cell in training_runs(wanted):
        assert cell.strategy.lora == level.lora
        assert cell.strategy.arguments.schedule == "constant"
    (plain,) = {c.strategy.arguments.schedule for c in training_runs(study())}
    assert plain == "linear"


def test_the_study_that_ships_has_what_its_questions_need() -> None:
    shipped = read_study("finetuning-study")
    cells = training_runs(shipped)
    assert len(shipped.seeds) >= 3
    assert len({c.trained for c in cells}) >= 5
    assert len({c.holding for c in cells}) >= 4
    assert len({c.alignment for c in cells if not c.transfer}) >= 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trained": (TRAINED[0], TRAINED[0])}, "trained of different names"),
        ({"seeds": ()}, "seeds of different names, at least one; got none"),
        ({"extras": (AdditionalStrategy("nothing"),)}, "Nothing that trains is called 'nothing'"),
        ({"transfer": TransferConfig("lorra")}, "called 'lorra'"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        study(**changed)


def test_a_study_grows_by_seeds_strategies_and_resamples() -> None:
    was = study(seeds=(0,))
    for grown in (
        was,
        study(seeds=(0, 1)),
        study(seeds=(0,), extras=(AdditionalStrategy("lora"),)),
        study(seeds=(0,), design="full"),
        study(seeds=(0,), trained=(*TRAINED, TrainableLevel("last-2-layers", 1e-3))),
        study(seeds=(0,), bootstrap=Bootstrap(100)),
    ):
        assert incompatibility(was, grown) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"texts": "other"}, "texts differs"),
        ({"model": StudyModel("other")}, "model differs"),
        (
            {"plan": TrainingArguments(steps=4, learning_rate=1.0)},
            "projector--none--none--0 is another strategy",
        ),
        ({"clips": 5}, "projector--none--none--0 is another strategy"),
        (
            {"trained": (*TRAINED[:-1], TrainableLevel("all", 2e-3))},
            "all--none--none--0 is another strategy",
        ),
        ({"transfer": TransferConfig("lora")}, "transfer differs"),
    ],
)
def test_what_changes_a_training_is_another_study(changed: dict[str, object], why: str) -> None:
    assert incompatibility(study(), study(**changed)) == why


def test_two_strategies_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="called 'projector--none--none'"):
        training_runs(study(extras=(AdditionalStrategy("projector"),)))
