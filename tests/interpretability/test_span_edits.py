"""Erasing and steering: effects where the model reads the label, and only there."""

from collections.abc import Hashable, Sequence

import numpy as np
import pytest
import torch
from tests.interpretability.planted_models import Planted, PlantedModel
from tests.interpretability.tiny_answers import model, question, values_of

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_effects import AnswerEffects
from audioprobe.interpretability.erasing import erase
from audioprobe.interpretability.span_edits import EditSettings, EditsOfLabel, edit_spans
from audioprobe.interpretability.steering import steer
from audioprobe.progress import ignore_progress
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt

PLANTED = Planted()
CONCEPTS, LABELS = PLANTED.concepts, PLANTED.labels


def erased(defect: str = "none", **options: object) -> AnswerEffects:
    planted = PlantedModel(defect)  # type: ignore[arg-type]
    sites = ["connector.out", "lm.resid.0", "lm.resid.1"]
    arguments = {"sites": sites, "n_controls": 2, "n_folds": 3, "batch_size": 48} | options
    return erase(planted, PLANTED.audio, CONCEPTS, LABELS, **arguments)  # type: ignore[arg-type]


def test_erasing_the_label_removes_the_answer_where_it_is_read() -> None:
    effects = erased()
    before_reading = effects.logit_difference.at(sites=["connector.out", "lm.resid.0"])
    for point in before_reading.points():
        assert point.p_value is not None
        assert point.p_value < 0.01
        # Nothing of the answer is left: the logit difference was about 3.
        assert point.estimate.value == pytest.approx(-effects.baseline.mean(), abs=1.0)
        assert point.control is not None
        assert point.control.value is not None
        assert abs(point.control.value) < 1.5
    # After layer 1 the audio positions are not read any more.
    after = effects.logit_difference.at(sites=["lm.resid.1"])
    np.testing.assert_allclose(after.values, 0, atol=1e-6)


def test_the_last_position_contains_the_label_after_it_was_read() -> None:
    effects = erased(sites=["lm.resid.0", "lm.resid.1"], span="last")
    before, after = effects.logit_difference.points()
    assert before.estimate.value == pytest.approx(0, abs=1e-6)
    assert after.difference.high is not None
    assert after.difference.high < -1


@pytest.mark.parametrize("defect", ["connector", "unread", "codes"])
def test_erasing_a_label_that_is_not_read_changes_nothing(defect: str) -> None:
    effects = erased(defect, sites=["connector.out"])
    np.testing.assert_allclose(effects.logit_difference.values, 0, atol=1e-5)


def test_edits_are_fitted_to_other_groups() -> None:
    groups = [concept // 2 for concept in CONCEPTS]  # a bird and another concept each
    trained: list[set[bytes]] = []

    def fit(states: np.ndarray, labels: Sequence[Hashable], key: tuple[int, int]) -> EditsOfLabel:
        trained.append({row.tobytes() for row in states})
        return lambda label: [lambda values: values]

    settings = EditSettings(
        sites=["connector.out"],
        span="audio",
        n_folds=4,
        seed=0,
        batch_size=8,
        progress=ignore_progress,
    )
    audio = PLANTED.audio
    edited = edit_spans(
        PlantedModel(), audio, labels=LABELS, groups=groups, fit=fit, settings=settings
    )
    assert len(edited.results.values) == len(audio)
    states: dict[int, bytes] = {}

    def store(number: int, values: torch.Tensor) -> None:
        states[number] = values.float().mean(dim=0).numpy().astype(np.float64).tobytes()

    PlantedModel().run_with_hooks(audio, {"connector.out": store})
    held_out = [{groups[n] for n, row in states.items() if row not in rows} for rows in trained]
    assert len(held_out) == 4
    assert sorted(g for fold in held_out for g in fold) == sorted(set(groups))
    for rows, fold in zip(trained, held_out, strict=True):
        assert len(rows) == sum(group not in fold for group in groups)


def test_a_label_in_one_group_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="in at least two groups"):
        erase(PlantedModel(), PLANTED.audio, CONCEPTS, LABELS, groups=[n % 2 for n in CONCEPTS])


def test_steering_moves_the_answer_in_proportion_to_the_factor() -> None:
    effects = steer(
        PlantedModel(),
        PLANTED.audio,
        CONCEPTS,
        LABELS,
        factors=(-1.0, 0.5, 1.0),
        sites=["connector.out"],
        n_controls=2,
        n_folds=3,
    )
    means = [effects.at(f).logit_difference.values.mean() for f in (-1.0, 0.5, 1.0)]
    # The means of birds and others differ by 2 in the code of the label, and the gain is 3.
    np.testing.assert_allclose(means, [-6, 3, 6], atol=1.0)
    for factor, sign in ((-1.0, -1), (1.0, 1)):
        (point,) = effects.at(factor).logit_difference.points()
        assert point.p_value is not None
        assert point.p_value < 0.01
        assert point.difference.value is not None
        assert np.sign(point.difference.value) == sign
    (table,), _ = effects.displayed()
    assert [row[0] for row in table.rows] == ["-1", "0.5", "1"]
    assert len(effects.data()) == 3 * len(CONCEPTS)
    with pytest.raises(InvalidInputError, match="factors"):
        effects.at(7.0)


def test_a_unit_direction_has_norm_one() -> None:
    natural, unit = (
        steer(
            PlantedModel(),
            PLANTED.audio,
            CONCEPTS,
            LABELS,
            factors=(1.0,),
            norm=norm,
            sites=["connector.out"],
            n_controls=1,
            n_folds=3,
        )
        for norm in ("natural", "unit")
    )
    change = unit.at(1.0).logit_difference.values
    assert (np.abs(change) <= 3 + 1e-5).all()  # the gain times the norm
    assert change.mean() > 0.8 * 3
    assert natural.at(1.0).logit_difference.values.mean() > change.mean()


def test_batches_do_not_matter_and_failures_stop_nothing_else() -> None:
    prompts = PLANTED.audio
    prompts[3] = InspectedPrompt(Prompt("Is it a bird? 1"), options=("Yes",))
    options = {"sites": ["connector.out"], "n_controls": 1, "n_folds": 3}
    first, second = (
        erase(PlantedModel(), prompts, CONCEPTS, LABELS, batch_size=size, **options)  # type: ignore[arg-type]
        for size in (5, 48)
    )
    np.testing.assert_allclose(values_of(first), values_of(second), atol=1e-6)
    assert list(first.failures) == [3]
    assert "two options" in first.failures[3]
    assert np.isnan(first.logit_difference.values[3]).all()
    assert not np.isnan(np.delete(first.logit_difference.values, 3, axis=0)).any()


def test_edits_work_in_a_real_network() -> None:
    sounds = range(4)
    prompts = [question(n, options=("Yes", "No") if n % 2 else ("No", "Yes")) for n in sounds]
    labels = ["bird" if n % 2 else "other" for n in sounds]
    options = {"n_controls": 1, "n_folds": 2, "sites": ["connector.out", "lm.attn.1", "lm.norm"]}
    effects = erase(model("ltu"), prompts, list(sounds), labels, **options)  # type: ignore[arg-type]
    assert not effects.failures
    values = effects.logit_difference.values
    assert np.isfinite(values).all()
    assert np.abs(values[:, 0]).min() > 1e-6
    # What the last layer writes at audio positions is not read.
    np.testing.assert_allclose(values[:, 2], 0, atol=1e-5)


def test_arguments_that_do_not_fit_are_refused() -> None:
    prompts = PLANTED.audio
    for labels, options in (
        (LABELS[:-1], {}),
        ([None, *LABELS[1:]], {}),
        (["bird"] * len(LABELS), {}),
        (LABELS, {"sites": ["lm.logits"]}),
        (LABELS, {"sites": ["nowhere"]}),
        (LABELS, {"span": "nowhere"}),
        (LABELS, {"span": "concept"}),
        (LABELS, {"n_controls": 0}),
        (LABELS, {"n_folds": 1}),
    ):
        with pytest.raises(InvalidInputError):
            erase(PlantedModel(), prompts, CONCEPTS, labels, **options)
    for steering in ({"factors": ()}, {"factors": (np.inf,)}, {"norm": "large"}):
        with pytest.raises(InvalidInputError):
            steer(PlantedModel(), prompts, CONCEPTS, LABELS, **steering)
