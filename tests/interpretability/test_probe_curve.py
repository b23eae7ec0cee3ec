"""Curves of probes: values, controls, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.interpretability.planted_models import (
    N_STEPS,
    WIDTH,
    Planted,
    PlantedModel,
)

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.linear_probe import linear_probe
from audioprobe.interpretability.probe_curve import probe_curve, transfer_curve
from audioprobe.interpretability.probe_estimates import ProbeSettings
from audioprobe.interpretability.recording import record
from audioprobe.interpretability.recording_files import Recording
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt, Waveform

PLANTED = Planted()
SETTINGS = ProbeSettings(n_folds=3)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(PlantedModel("connector"), tmp_path_factory.mktemp("recording"))


def recorded(
    model: PlantedModel, folder: Path, prompts: list[InspectedPrompt] | None = None
) -> Recording:
    sites = ["encoder.out", "connector.out", "lm.resid.1"]
    return record(model, prompts or PLANTED.audio, sites, ["audio", "last"], folder)


def curve_of(recording: Recording, *sites: str, n_controls: int = 2) -> SiteCurve:
    return probe_curve(
        recording,
        PLANTED.labels,
        concepts=PLANTED.concepts,
        sites=sites or ("*",),
        n_controls=n_controls,
        settings=SETTINGS,
    )


def test_values_are_held_out_predictions_in_the_order_of_the_prompts(recording: Recording) -> None:
    curve = curve_of(recording, "encoder.out", n_controls=3)
    probe = linear_probe(
        recording.states("encoder.out", "audio"),
        PLANTED.labels,
        groups=PLANTED.concepts,
        n_controls=3,
        n_orders=1,
        settings=SETTINGS,
    )
    assert curve.values.mean() == pytest.approx(probe.accuracy.value)
    control = curve.controls["control tasks"].mean()
    assert control == pytest.approx(probe.control_accuracy.value)


def test_the_order_of_the_prompts_does_not_matter(recording: Recording, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(PLANTED.labels)).tolist()
    shuffled = recorded(PlantedModel("connector"), tmp_path, [PLANTED.audio[n] for n in order])
    curve = probe_curve(
        shuffled,
        [PLANTED.labels[n] for n in order],
        concepts=[PLANTED.concepts[n] for n in order],
        sites=["encoder.out"],
        n_controls=1,
        settings=SETTINGS,
    )
    expected = curve_of(recording, "encoder.out", n_controls=1)
    np.testing.assert_array_equal(curve.values, expected.values[order])
    assert curve.items == tuple(expected.items[n] for n in order)


def test_the_label_is_readable_until_it_is_deleted(recording: Recording) -> None:
    before, after, later = curve_of(recording).points()
    assert [p.place.site for p in (before, after, later)] == list(recording.sites)
    assert before.p_value is not None
    assert before.p_value < 0.01
    assert before.estimate.value is not None
    assert before.estimate.value > 0.8
    for point in (after, later):
        assert point.difference.low is not None
        assert point.difference.low < 0


def test_the_control_of_a_constant_prediction_is_the_prediction(tmp_path: Path) -> None:
    zero = np.zeros(N_STEPS * WIDTH, dtype=np.float32)
    prompts = [
        InspectedPrompt(Prompt(f"Is it a bird? {n}", Waveform(zero, WIDTH)))
        for n in PLANTED.concepts
    ]
    constant = record(PlantedModel(), prompts, ["encoder.out"], ["audio"], tmp_path)
    labels = ["bird" if n % 3 == 0 else "other" for n in PLANTED.concepts]
    curve = probe_curve(constant, labels, concepts=PLANTED.concepts, n_controls=1)
    assert curve.values.mean() == pytest.approx(2 / 3)
    for control in curve.controls.values():
        np.testing.assert_array_equal(control, curve.values)


def test_the_randomized_network_and_the_input_are_floors(
    recording: Recording, tmp_path: Path
) -> None:
    floor = recorded(PlantedModel("connector").randomized(3), tmp_path)
    curve = probe_curve(
        recording,
        PLANTED.labels,
        concepts=PLANTED.concepts,
        sites=["encoder.out"],
        randomized=floor,
        n_controls=1,
        settings=SETTINGS,
    )
    expected = curve_of(floor, "encoder.out", n_controls=1).values
    np.testing.assert_array_equal(curve.controls["randomized network"], expected)
    other = recorded(PlantedModel(), tmp_path / "other", PLANTED.audio[:-1])
    with pytest.raises(InvalidInputError, match="same prompts"):
        probe_curve(recording, PLANTED.labels, concepts=PLANTED.concepts, randomized=other)


def test_prompts_without_states_are_undefined(tmp_path: Path) -> None:
    prompts = PLANTED.audio
    prompts[0] = InspectedPrompt(Prompt("Is it a bird? 0"))  # no audio
    curve = curve_of(recorded(PlantedModel(), tmp_path, prompts), "encoder.out")
    assert np.isnan(curve.values[0]).all()
    assert all(np.isnan(control[0]).all() for control in curve.controls.values())
    assert not np.isnan(curve.values[1:]).any()


def test_sites_without_the_span_are_undefined(recording: Recording) -> None:
    curve = probe_curve(
        recording,
        PLANTED.labels,
        concepts=PLANTED.concepts,
        span="last",
        n_controls=1,
        settings=SETTINGS,
    )
    assert np.isnan(curve.values[:, :2]).all()
    assert not np.isnan(curve.values[:, 2]).any()
    with pytest.raises(InvalidInputError, match="Text has no positions"):
        probe_curve(
            recording,
            PLANTED.labels,
            concepts=PLANTED.concepts,
            span="last",
            sites=["encoder.out"],
        )


def test_too_few_concepts_or_groups_are_refused_with_the_number_needed(
    recording: Recording, tmp_path: Path
) -> None:
    few = recorded(PlantedModel(), tmp_path, PLANTED.audio[:8])
    with pytest.raises(InvalidInputError, match="at least 6 concepts"):
        probe_curve(few, PLANTED.labels[:8], concepts=PLANTED.concepts[:8])
    groups = ["one" if label == "bird" else n for n, label in enumerate(PLANTED.labels)]
    with pytest.raises(InvalidInputError, match="in at least two groups"):
        probe_curve(recording, PLANTED.labels, concepts=PLANTED.concepts, groups=groups)
    with pytest.raises(InvalidInputError, match="missing"):
        probe_curve(recording, [None, *PLANTED.labels[1:]], concepts=PLANTED.concepts)


@pytest.mark.parametrize(("defect", "transfers"), [("none", True), ("codes", False)])
def test_transfer_shows_whether_text_and_audio_have_the_same_code(
    defect: str, transfers: bool, tmp_path: Path
) -> None:
    model = PlantedModel(defect)  # type: ignore[arg-type]
    text = record(model, PLANTED.text, ["lm.resid.1"], ["concept"], tmp_path / "text")
    audio = record(model, PLANTED.audio, ["lm.resid.1"], ["audio"], tmp_path / "audio")
    curve = transfer_curve(
        text,
        PLANTED.labels,
        audio,
        PLANTED.labels,
        train_concepts=PLANTED.concepts,
        test_concepts=PLANTED.concepts,
        train_span="concept",
        test_span="audio",
        n_permutations=3,
        settings=SETTINGS,
    )
    (point,) = curve.points()
    assert curve.controls["trained on the test modality"].mean() > 0.9
    assert point.p_value is not None
    assert point.difference.value is not None
    assert (point.p_value < 0.01 and point.difference.value > 0) == transfers
    assert list(curve.controls) == ["permuted labels", "trained on the test modality"]
