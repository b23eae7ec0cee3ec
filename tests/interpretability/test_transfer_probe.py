"""Transfer of a classifier between modalities: same directions, other directions, permutations."""

from typing import TypeAlias

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.probe_estimates import ProbeSettings
from audioprobe.interpretability.transfer_probe import TransferProbe, transfer_probe
from audioprobe.metrics.bootstrap import Bootstrap

N_CONCEPTS = 24
WIDTH = 16
SETTINGS = ProbeSettings(bootstrap=Bootstrap(n_resamples=200))
TWO_FOLDS = ProbeSettings(n_folds=2, bootstrap=Bootstrap(n_resamples=20))
BIRD = np.arange(N_CONCEPTS) % 2 == 1


Items: TypeAlias = tuple[np.ndarray, list[bool], list[str]]


def modality(direction: int, *, strength: float = 4.0, offset: float = 0.0, seed: int = 0) -> Items:
    """States, labels and concepts; the label is on the axis `direction`."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(N_CONCEPTS, WIDTH)) + offset
    states[:, direction] += strength * np.where(BIRD, 0.5, -0.5)
    return states, BIRD.tolist(), [f"concept {n}" for n in range(N_CONCEPTS)]


def transfer(text: Items, audio: Items, **options: object) -> TransferProbe:
    arguments = {"n_permutations": 19, "settings": SETTINGS} | options
    return transfer_probe(
        *text[:2],
        *audio[:2],
        train_groups=text[2],
        test_groups=audio[2],
        **arguments,  # type: ignore[arg-type]
    )


def test_same_direction_transfers_both_ways() -> None:
    text, audio = modality(0, strength=6), modality(0, strength=6, seed=1)
    for result in (transfer(text, audio), transfer(audio, text)):
        assert result.auc.value is not None
        assert result.auc.value > 0.9
        assert result.p_value == 1 / 20
        assert result.n_permutations == 19
        assert result.ceiling_auc.value is not None
        assert result.ceiling_auc.value > 0.9
        assert result.shortfall.value == pytest.approx(
            (result.ceiling_accuracy.value or 0) - (result.accuracy.value or 0)
        )
        assert result.accuracy.n_groups == N_CONCEPTS


def test_other_direction_does_not_transfer_although_each_modality_has_the_label() -> None:
    result = transfer(modality(0, strength=8), modality(1, strength=8, seed=1))
    assert result.ceiling_auc.value is not None
    assert result.ceiling_auc.value > 0.95
    assert result.auc.value is not None
    assert result.auc.value < 0.8
    assert result.p_value is not None
    assert result.p_value > 0.05
    assert (result.shortfall.low or 0) > 0.1


def test_offset_of_a_modality_hurts_accuracy_unless_each_is_standardized() -> None:
    text, audio = modality(0, strength=8), modality(0, strength=8, seed=1, offset=30)
    by_text, by_each = transfer(text, audio), transfer(text, audio, standardize="each")
    assert by_text.accuracy.value is not None
    assert by_text.accuracy.value < 0.8
    assert by_each.accuracy.value is not None
    assert by_each.accuracy.value > 0.9
    assert by_text.auc.value == pytest.approx(by_each.auc.value, abs=0.1)


def test_concept_identity_does_not_transfer() -> None:
    """Equal states in both modalities, with labels at random: test concepts are not in training."""
    rng = np.random.default_rng(3)
    states, _, concepts = modality(0, strength=0)
    labels = rng.permutation(BIRD).tolist()
    result = transfer((states, labels, concepts), (states + 0.01, labels, concepts))
    assert result.accuracy.value is not None
    assert result.accuracy.value < 0.75
    assert result.p_value is not None
    assert result.p_value > 0.05


def test_p_values_of_unrelated_states_are_uniform() -> None:
    p_values = []
    for seed in range(30):
        text, audio = modality(0, strength=0, seed=seed), modality(0, strength=0, seed=seed + 99)
        result = transfer(text, audio, n_permutations=9, settings=TWO_FOLDS)
        p_values.append(result.p_value)
    assert np.mean([p for p in p_values if p is not None]) == pytest.approx(0.55, abs=0.16)
    assert len([p for p in p_values if p is not None and p <= 0.1]) <= 8


def test_modalities_may_have_different_numbers_of_items_in_any_order() -> None:
    text, (states, labels, concepts) = modality(0), modality(0, seed=1)
    twice = np.concatenate([states, states + 0.1])[::-1], labels[::-1] * 2, concepts[::-1] * 2
    result = transfer(text, twice)
    assert result.accuracy.n == 2 * N_CONCEPTS
    assert result.accuracy.n_groups == N_CONCEPTS
    assert result.auc.value is not None
    assert result.auc.value > 0.9
    order = np.random.default_rng(0).permutation(N_CONCEPTS)
    shuffled = text[0][order], [text[1][n] for n in order], [text[2][n] for n in order]
    assert transfer(shuffled, twice).auc == result.auc


def test_undefined_transfer_states_the_reason() -> None:
    text, audio = modality(0), modality(0, seed=1)
    one_label = transfer(
        (text[0], [True] * N_CONCEPTS, text[2]), (audio[0], [True] * N_CONCEPTS, audio[2])
    )
    assert one_label.accuracy.value is None
    assert one_label.p_value is None
    assert one_label.accuracy.method == "all labels are True"
    only_birds = (text[0], [True] * N_CONCEPTS, [f"bird {n}" for n in range(N_CONCEPTS)])
    missing = transfer(only_birds, audio)
    assert missing.auc.n_undefined == N_CONCEPTS
    assert missing.auc.method.startswith("a label is missing from the training items")
    assert "Undefined: a label is missing" in repr(missing)


def test_invalid_arguments_are_rejected() -> None:
    text, audio = modality(0), modality(0, seed=1)
    with pytest.raises(InvalidInputError, match="same space, got widths 16 and 15"):
        transfer(text, (audio[0][:, 1:], *audio[1:]))
    with pytest.raises(InvalidInputError, match="24 items, got 23 labels and 24 groups"):
        transfer((text[0], text[1][1:], text[2]), audio)
    with pytest.raises(InvalidInputError, match="'train' or 'each', got 'both'"):
        transfer(text, audio, standardize="both")
    with pytest.raises(InvalidInputError, match="n_permutations >= 1, got 0"):
        transfer(text, audio, n_permutations=0)
