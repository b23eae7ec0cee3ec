"""Training runs of a study, by design."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import ComponentSpec
from audioprobe.experiments.finetuning.comparison import FACTORS
from audioprobe.experiments.finetuning.config import (
    AdditionalStrategy,
    AlignmentLevel,
    ClipSubset,
    LearningRateGrid,
    RegularizationLevel,
    StudyConfig,
    StudyModel,
    TrainableLevel,
    TransferConfig,
    read_study,
)
from audioprobe.experiments.finetuning.design import incompatibility, training_runs
from audioprobe.finetuning.components import (
    ContrastiveAlignment,
    EmbeddingAlignment,
    PairedQuestionTraining,
    Rehearsal,
    WiseFT,
)
from audioprobe.finetuning.strategy import LoraSize
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.arguments import TrainingArguments

CLIPS = ClipSubset(dataset=ComponentSpec("recordings"))
TRAINABLE = tuple(
    TrainableLevel(modules, 1e-3)
    for modules in ("projector", "lora", "encoder", "projector+lora", "all")
)
REGULARIZATION = (
    RegularizationLevel(),
    RegularizationLevel((Rehearsal(),)),
    RegularizationLevel((WiseFT(),)),
    RegularizationLevel((), "other"),
)
ALIGNMENT = (
    AlignmentLevel(),
    AlignmentLevel((ContrastiveAlignment(),)),
    AlignmentLevel((EmbeddingAlignment(),)),
    AlignmentLevel((), "other"),
)
ARGUMENTS = TrainingArguments(steps=3, learning_rate=1.0)


def study(**changes: object) -> StudyConfig:
    fields: dict[str, object] = {
        **dict.fromkeys(("train", "in_domain", "out_of_domain", "pretraining_domain"), CLIPS),
        "trainable": TRAINABLE,
        "training_arguments": ARGUMENTS,
        "regularization": REGULARIZATION,
        "alignment": ALIGNMENT,
        **changes,
    }
    return StudyConfig(**fields)  # type: ignore[arg-type]


def test_full_design_crosses_all_levels() -> None:
    runs = training_runs(study(design="full", seeds=(0, 1)))
    assert len(runs) == 5 * 4 * 4 * 2
    assert {run.configuration for run in runs} == {
        f"{t.label}--{r.label}--{a.label}"
        for t, r, a in product(TRAINABLE, REGULARIZATION, ALIGNMENT)
    }


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_fraction_is_balanced(n_trainable: int, n_regularization: int, n_alignment: int) -> None:
    runs = training_runs(
        study(
            trainable=TRAINABLE[:n_trainable],
            regularization=REGULARIZATION[:n_regularization],
            alignment=ALIGNMENT[:n_alignment],
            seeds=(0,),
        )
    )
    assert len(runs) == n_trainable * n_regularization
    assert len({(run.trainable, run.regularization) for run in runs}) == len(runs)
    for factor, levels in (
        ("trainable", TRAINABLE[:n_trainable]),
        ("regularization", REGULARIZATION[:n_regularization]),
    ):
        counts = Counter((getattr(run, factor), run.alignment) for run in runs)
        for level in levels:
            each = [counts[level.label, a.label] for a in ALIGNMENT[:n_alignment]]
            assert max(each) - min(each) <= 1


def test_star_changes_one_factor_at_a_time() -> None:
    runs = training_runs(study(design="star", seeds=(0,)))
    assert len(runs) == 1 + 4 + 3 + 3
    for run in runs[1:]:
        assert sum(getattr(run, f) != getattr(runs[0], f) for f in FACTORS) == 1


def test_runs_are_ordered_by_seed() -> None:
    runs = training_runs(study(seeds=(3, 5)))
    half = len(runs) // 2
    assert {run.seed for run in runs[:half]} == {3}
    assert {run.strategy.arguments.seed for run in runs[half:]} == {5}
    assert len({run.name for run in runs}) == len(runs)
    assert {run.strategy.arguments.learning_rate for run in runs} == {1e-3}


def test_transfer_has_three_arms_and_a_control() -> None:
    config = study(transfer=TransferConfig("projector", steps=7), seeds=(0,))
    runs = [run for run in training_runs(config) if run.arm]
    assert [run.arm for run in runs] == ["text", "audio", "text+audio", "shuffled"]
    paired = [run.strategy.get(PairedQuestionTraining) for run in runs]
    assert [p.conditions for p in paired if p] == [
        ("text",),
        ("audio",),
        ("text", "audio"),
        ("text", "audio"),
    ]
    assert [p.shuffle_answers for p in paired if p] == [False] * 3 + [True]
    assert {(r.strategy.arguments.steps, r.strategy.clips_per_step) for r in runs} == {(7, 0)}
    assert {run.strategy.arguments.learning_rate for run in runs} == {1e-3}


def test_transfer_may_have_its_own_learning_rate() -> None:
    config = study(transfer=TransferConfig("projector", learning_rate=3e-3), seeds=(0,))
    runs = training_runs(config)
    rates = {(bool(run.arm), run.strategy.arguments.learning_rate) for run in runs}
    assert rates == {(False, 1e-3), (True, 3e-3)}


def test_grid_crosses_levels_with_rates_and_schedules() -> None:
    grid = LearningRateGrid(factors=(1.0, 0.5), schedules=("cosine", "constant"))
    config = study(
        trainable=TRAINABLE[:2],
        grid=grid,
        design="full",
        seeds=(0,),
        regularization=REGULARIZATION[:1],
    )
    arguments = [(run.trainable, run.strategy.arguments) for run in training_runs(config)]
    assert {(name, a.learning_rate, a.schedule) for name, a in arguments} == {
        (f"{modules}-x{factor:g}-{schedule}", 1e-3 * factor, schedule)
        for modules in ("projector", "lora")
        for factor in (1.0, 0.5)
        for schedule in ("cosine", "constant")
    }
    extra = AdditionalStrategy("projector-x0.5-cosine", RegularizationLevel((), "more"))
    runs = training_runs(replace(config, additional_strategies=(extra,)))
    (added,) = [run for run in runs if run.regularization == "more"]
    assert added.strategy.arguments.schedule == "cosine"
    with pytest.raises(InvalidInputError, match="trainable: expected at least one"):
        study(grid=LearningRateGrid(factors=()))


def test_level_may_have_its_own_schedule_and_lora_size() -> None:
    lora = LoraSize(16, ("q_proj", "v_proj", "up_proj"))
    level = TrainableLevel("lora", 1e-3, "wide", "constant", lora)
    for run in training_runs(study(trainable=(level,), transfer=TransferConfig("wide"))):
        assert run.strategy.lora == lora
        assert run.strategy.arguments.schedule == "constant"
    assert {run.strategy.arguments.schedule for run in training_runs(study())} == {"linear"}


def test_shipped_study_has_enough_levels_and_seeds() -> None:
    shipped = read_study("finetuning-study")
    runs = [run for run in training_runs(shipped) if not run.arm]
    assert len(shipped.seeds) >= 3
    counts = [len({getattr(run, factor) for run in runs}) for factor in FACTORS]
    assert counts >= [5, 4, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainable": (TRAINABLE[0], TRAINABLE[0])}, "trainable: expected .* a different name"),
        ({"seeds": ()}, "seeds: expected at least one entry, .* got none"),
        ({"additional_strategies": (AdditionalStrategy("nothing"),)}, "got 'nothing'"),
        ({"transfer": TransferConfig("lorra")}, "got 'lorra'"),
    ],
)
def test_invalid_study_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        study(**changes)


def test_study_may_grow_by_seeds_strategies_and_resamples() -> None:
    older = study(seeds=(0,))
    for newer in (
        older,
        study(seeds=(0, 1)),
        study(seeds=(0,), additional_strategies=(AdditionalStrategy("lora"),)),
        study(seeds=(0,), design="full"),
        study(seeds=(0,), trainable=(*TRAINABLE, TrainableLevel("last-2-layers", 1e-3))),
        study(seeds=(0,), bootstrap=Bootstrap(100)),
    ):
        assert incompatibility(older, newer) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rehearsal_texts": "other"}, "rehearsal_texts differs"),
        ({"model": StudyModel("other")}, "model differs"),
        (
            {"training_arguments": TrainingArguments(steps=4, learning_rate=1.0)},
            "projector--none--none--0 has another strategy",
        ),
        ({"clips_per_step": 5}, "projector--none--none--0 has another strategy"),
        (
            {"trainable": (*TRAINABLE[:-1], TrainableLevel("all", 2e-3))},
            "all--none--none--0 has another strategy",
        ),
        ({"transfer": TransferConfig("lora")}, "transfer differs"),
    ],
)
def test_changed_runs_make_studies_incompatible(changes: dict[str, object], reason: str) -> None:
    assert incompatibility(study(), study(**changes)) == reason


def test_two_strategies_with_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="got 'projector--none--none' twice"):
        training_runs(study(additional_strategies=(AdditionalStrategy("projector"),)))
