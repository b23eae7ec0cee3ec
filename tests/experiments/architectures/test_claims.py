"""Outcomes of claims, and findings that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.experiments.architectures.arm_results import (
    ARMS,
    complete,
    config,
    record,
    result,
    scene,
    typical,
    typical_trials,
)

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.claim_rules import (
    Expectation,
    is_above_floor,
    kind_of,
    outcome_of,
)
from audioprobe.experiments.architectures.claims import (
    IS_LOWER,
    IS_SIMILAR,
    IS_TOOL,
    IS_USED,
    ArmClaim,
)
from audioprobe.experiments.architectures.comparison import is_bound
from audioprobe.experiments.architectures.findings import (
    claims_text,
    generality,
    primary_text,
    progress_text,
    transfer_text,
)
from audioprobe.experiments.architectures.items import SCENE_MEASURES
from audioprobe.experiments.architectures.seed_means import SeedMean
from audioprobe.experiments.interpretability.rules import Outcome
from audioprobe.types import Estimate

TOKENS: tuple[dict[str, Any], ...] = (
    *({"name": "linear"}, {"name": "mlp", "connector": {"kind": "mlp", "width": 8}}),
    {"name": "codes", "connector": {"kind": "codes", "n_codes": 8}},
    {"name": "quantized", "connector": {"kind": "quantized", "n_codes": 8, "width": 8}},
    {"name": "resampler", "connector": {"kind": "resampler"}},
    {"name": "cross", "connector": {"kind": "cross_attention"}},
    {"name": "cross-compute", "connector": {"kind": "cross_attention"}, "budget": "compute"},
    {"name": "keys", "connector": {"kind": "keys_values", "width": 8}},
)


@pytest.fixture(scope="module")
def summary() -> ArchitecturesSummary:
    return summarize(complete())


def interval(low: float, high: float, n_groups: int = 20) -> Estimate:
    return Estimate(value=(low + high) / 2, n=40, low=low, high=high, n_groups=n_groups)


def claims_of(
    skills: Mapping[str, float], arms: Sequence[Mapping[str, Any]] = TOKENS
) -> tuple[ArmClaim, ...]:
    study = config(arms)
    runs = [typical(arm, seed, skill) for arm, skill in skills.items() for seed in (0, 1)]
    return summarize(record(runs, study)).claims


def named(claims: Sequence[ArmClaim], start: str) -> list[ArmClaim]:
    return [claim for claim in claims if claim.claim.startswith(start)]


@pytest.mark.parametrize(
    ("estimate", "expected", "outcome"),
    [
        (interval(0.01, 0.5), "higher", "agrees"),
        (interval(-0.2, 0.09), "higher", "disagrees"),
        (interval(-0.2, 0.11), "higher", "undecided"),
        (interval(-0.09, 0.09), "equal", "agrees"),
        (interval(0.01, 0.09), "equal", "agrees"),  # certainly different, and certainly small
        (interval(0.01, 0.2), "equal", "undecided"),
        (interval(-0.1, 0.05), "equal", "undecided"),  # at the margin
        (interval(0.11, 0.2), "equal", "disagrees"),
        (interval(-0.3, -0.11), "equal", "disagrees"),
        (interval(-0.01, 0.01, n_groups=5), "equal", "undecided"),
        (Estimate(value=0.0, n=40), "equal", "undecided"),
        (Estimate(value=None, n=0), "higher", "undecided"),
    ],
)
def test_an_interval_decides(estimate: Estimate, expected: Expectation, outcome: Outcome) -> None:
    assert outcome_of(estimate, expected, 0.1) == outcome


def test_kinds_of_arms_are_compared_by_their_configuration() -> None:
    claims = claims_of({"linear": 0.95, "mlp": 0.95, "quantized": 0.7, "codes": 0.7})
    (same,) = named(claims, "(a)")
    assert (same.arms, same.budget, same.expected) == ("mlp - linear", "examples", "equal")
    assert (same.outcome, same.estimate and same.estimate.value) == ("agrees", 0.0)
    quantised, vocabulary = named(claims, "(d)")
    assert (quantised.arms, quantised.outcome) == ("mlp - quantized", "agrees")
    assert (vocabulary.arms, vocabulary.outcome) == ("codes - quantized", "agrees")
    assert [claim.claim[:3] for claim in named(claims, "(f)")] == []  # no cascade in the study


def test_arms_that_guess_are_not_equally_good() -> None:
    """Both have an accuracy of .5, and a difference of 0 with an interval without width."""
    (same,) = named(claims_of({"linear": 0.5, "mlp": 0.5}), "(a)")
    assert same.estimate is not None
    assert (same.estimate.value, same.estimate.low, same.estimate.high) == (0.0, 0.0, 0.0)
    assert same.outcome == "undecided"
    assert same.note == "neither arm is above the floor of the measure"
    (differs,) = named(claims_of({"linear": 0.5, "mlp": 0.95}), "(a)")
    assert (differs.outcome, differs.note) == ("disagrees", "")


def test_one_answer_to_all_questions_is_not_above_the_floor() -> None:
    scenes = [scene(n, "number") for n in range(30)]  # one source in all of them
    study = record([result("linear", scenes=scenes)], config())
    assert not is_above_floor(study, study.of("linear"), SCENE_MEASURES["number"])
    mixed = [scene(n, "order", (f"Sound {n}.", "Rain.")) for n in range(30)]
    study = record([result("linear", scenes=mixed)], config())
    assert is_above_floor(study, study.of("linear"), SCENE_MEASURES["order"])
    assert not is_above_floor(study, {}, SCENE_MEASURES["order"])


def test_a_gap_needs_knowledge_in_text() -> None:
    study = config()
    trials = typical_trials(0.5, 0, text=0.5)
    claims = summarize(record([result("linear", trials=trials)], study)).claims
    (gap,) = named(claims, IS_LOWER)
    assert (gap.outcome, gap.note) == ("undecided", "accuracy in text is not above chance")


def test_planned_arms_without_results_are_not_measured() -> None:
    claims = claims_of({"linear": 0.9})
    (same,) = named(claims, "(a)")
    assert (same.outcome, same.estimate) == ("not measured", None)
    assert same.note == "no common seed with results"
    assert [claim.arms for claim in named(claims, "(h)")] == ["linear"]


def test_equal_compute_is_compared_where_arms_exist() -> None:
    claims = named(claims_of({"linear": 0.9, "cross": 0.5, "cross-compute": 0.9}), "(c)")
    assert [(c.arms, c.budget) for c in claims] == [
        ("linear - cross", "examples"),
        ("linear - cross-compute", "compute"),
    ]
    assert [c.outcome for c in claims] == ["agrees", "disagrees"]


def test_equal_compute_needs_both_arms() -> None:
    arms = [*TOKENS[:3], {**TOKENS[3], "budget": "compute"}]
    claims = named(claims_of({"linear": 0.9, "mlp": 0.9, "quantized": 0.9}, arms), "(d)")
    by_budget = {(c.arms, c.budget): c for c in claims}
    assert list(by_budget) == [("mlp - quantized", "compute"), ("codes - quantized", "compute")]
    lacking = by_budget["mlp - quantized", "compute"]
    assert (lacking.outcome, lacking.note) == ("not measured", "no arm with equal compute: mlp")


def test_arms_that_train_all_weights_are_another_kind() -> None:
    arms = [TOKENS[0], {**TOKENS[1], "train": "llm"}]
    assert named(claims_of({"linear": 0.9, "mlp": 0.5}, arms), "(a)") == []
    arms = [TOKENS[0], TOKENS[2], {**TOKENS[2], "name": "all", "train": "llm"}]
    (claim,) = named(claims_of({"codes": 0.5, "all": 0.9}, arms), "(d) Codes are better if all")
    assert (claim.arms, claim.outcome) == ("all - codes", "agrees")


@pytest.mark.parametrize(
    ("arm", "kind"),
    [
        ({"name": "a"}, "linear"),
        ({"name": "a", "train": "llm"}, "linear, all weights"),
        ({"name": "a", "connector": {"kind": "resampler"}}, "resampler"),
        ({"name": "a", "connector": {"kind": "resampler", "window": 2}}, "window resampler"),
        ({"name": "a", "connector": {"kind": "codes", "n_codes": 8}}, "codes"),
        (
            {"name": "a", "connector": {"kind": "codes", "n_codes": 8, "n_codebooks": 2}},
            "2 codebooks",
        ),
        (
            {"name": "a", "connector": {"kind": "codes", "n_codes": 8, "start_width": 4}},
            "codes from projected centroids",
        ),
        ({"name": "a", "input": "tags"}, "tags"),
    ],
)
def test_kind_of_an_arm_follows_from_its_configuration(arm: dict[str, Any], kind: str) -> None:
    assert kind_of(config([arm]).arms[0]) == kind


def test_bounds_receive_less_or_more_than_the_audio() -> None:
    arms = [*ARMS, {"name": "random", "connector": {"kind": "random"}}]
    bounds = [arm.name for arm in config(arms).arms if is_bound(arm)]
    assert bounds == ["blind", "true-tags", "random"]


def test_claims_about_single_arms_leave_out_bounds(summary: ArchitecturesSummary) -> None:
    architectures = ["linear", "mlp", "controller", "cascade"]
    claims = summary.claims
    assert [c.arms for c in named(claims, IS_LOWER)] == architectures
    assert [c.arms for c in named(claims, IS_USED)] == [f"{arm} - blind" for arm in architectures]
    assert [c.arms for c in named(claims, IS_SIMILAR)] == architectures[:3]
    (tools,) = named(claims, IS_TOOL)
    assert tools.estimate == summary.agents["controller"].tool_minus_plan
    for claim in named(claims, IS_LOWER):
        assert claim.estimate == summary.gaps[claim.arms, "relations", "difference"].estimate


def with_claims(
    summary: ArchitecturesSummary, gaps: Mapping[str, Outcome], used: Mapping[str, Outcome]
) -> ArchitecturesSummary:
    """Return a summary with other outcomes of the gap, and of the use of the audio."""
    (first, *_) = named(summary.claims, IS_LOWER)
    claims = [replace(first, arms=arm, outcome=outcome) for arm, outcome in gaps.items()]
    claims += [
        replace(first, claim=IS_USED, arms=f"{arm} - blind", outcome=outcome)
        for arm, outcome in used.items()
    ]
    return replace(summary, claims=tuple(claims))


@pytest.mark.parametrize(
    ("gaps", "answer"),
    [
        ({"linear": "agrees", "mlp": "agrees"}, "Yes"),
        ({"linear": "agrees", "mlp": "disagrees"}, "No"),
        ({"linear": "undecided", "mlp": "disagrees"}, "No"),
        ({"linear": "agrees", "mlp": "undecided"}, "Cannot be decided"),
        ({"linear": "agrees"}, "Cannot be decided"),  # one architecture is not general
        ({}, "Cannot be decided"),
    ],
)
def test_the_gap_is_general_if_all_architectures_have_it(
    summary: ArchitecturesSummary, gaps: Mapping[str, Outcome], answer: str
) -> None:
    text = generality(with_claims(summary, gaps, {}))
    assert text.startswith(
        f"Is the gap between text and audio general, for models of this size? {answer}. "
    )


def test_arms_that_do_not_use_the_audio_do_not_answer(summary: ArchitecturesSummary) -> None:
    gaps: dict[str, Outcome] = {"linear": "agrees", "mlp": "agrees", "cascade": "disagrees"}
    changed = with_claims(summary, gaps, {"linear": "agrees", "cascade": "undecided"})
    text = generality(changed)
    assert "? Yes. Answers about audio are less accurate than in text in 2 of 2" in text
    assert text.endswith("not significant: cascade.")


def test_transfer_is_counted_over_architectures(summary: ArchitecturesSummary) -> None:
    def moved(mean: SeedMean, low: float) -> SeedMean:
        return replace(mean, estimate=interval(low, 0.5))

    assert "Left out" not in transfer_text(summary)
    first = summary.transfers["linear"]
    raised = replace(first, from_text=moved(first.from_text, 0.1))
    changed = replace(summary, transfers={**summary.transfers, "linear": raised})
    assert "held-out relations in 1 of 4 architectures (linear)" in transfer_text(changed)


def test_arms_at_chance_are_named(summary: ArchitecturesSummary) -> None:
    study = config()
    runs = [typical("linear", seed, 0.5) for seed in (0, 1)]
    runs += [typical("mlp", seed, 0.9) for seed in (0, 1)]
    guessing = summarize(record(runs, study))
    assert primary_text(guessing).endswith(" Not above chance: linear.")
    assert "Not above chance" not in primary_text(summary)
    text = transfer_text(guessing)
    assert "0 of 1 architectures, and more" in text
    assert text.endswith("not above chance in audio for trained relations: linear.")


def test_primary_finding_names_significant_differences(summary: ArchitecturesSummary) -> None:
    assert "0 of 3 other architectures. Bounds: blind 0.500" in primary_text(summary)
    changed = [replace(d, corrected=0.01 if d.first == "mlp" else 0.5) for d in summary.differences]
    text = primary_text(replace(summary, differences=tuple(changed)))
    assert "1 of 3 other architectures (mlp 0.000 [0.000, 0.000])" in text
    study = config()
    partial = summarize(record([typical("mlp", 0, 0.8)], study))
    assert "the first arm, linear, has no result" in primary_text(partial)
    assert progress_text(partial).startswith("1 of 12 training runs have finished; all")


def test_claims_finding_lists_decided_comparisons(summary: ArchitecturesSummary) -> None:
    text = claims_text(summary)
    assert text.startswith("1 of 6 comparisons decide a claim of the literature: (a) An MLP")
    assert "agrees (mlp - linear, accuracy in audio, held-out relations)." in text
    assert len(ARMS) == len(summary.arms)
