"""Directions of words that are erased from audio states, in a network that reads one of them."""

import numpy as np
import pytest
from tests.interpretability.planted_models import (
    NOISE,
    TEXT_CODE,
    WIDTH,
    Planted,
    PlantedModel,
)

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.direction_erasing import CONTROL, erase_directions
from audioprobe.interpretability.text_bank import TextBank

SITE = "lm.resid.0"
CODED, OTHERS = "coded", ("first", "second", "third")


def bank(coordinate: int) -> TextBank:
    """Return texts in which one concept has the coordinate, and the others have noise."""
    names = (CODED, *OTHERS)
    rows = [coordinate, *range(NOISE.start, NOISE.start + len(OTHERS))]
    states = np.zeros((len(names), WIDTH), np.float32)
    states[np.arange(len(names)), rows] = 3.0
    return TextBank(names, names, {SITE: states}, {})


def test_the_direction_that_the_network_reads_matters_more_than_that_of_another_concept() -> None:
    model, planted = PlantedModel(), Planted()
    prompts = planted.audio
    effects = erase_directions(model, prompts, [CODED] * len(prompts), bank(TEXT_CODE))
    curve = effects.logit_difference
    assert [(place.site, place.span) for place in curve.places] == [(SITE, "audio")]
    fall, control = -curve.values.mean(), -curve.controls[CONTROL].mean()
    assert fall > 1
    assert fall > 3 * abs(control)
    unread = erase_directions(model, prompts, [CODED] * len(prompts), bank(NOISE.stop - 1))
    assert abs(unread.logit_difference.values.mean()) < fall / 10


def test_results_depend_neither_on_batches_nor_on_order() -> None:
    model, planted = PlantedModel(), Planted()
    prompts, names = planted.audio[:6], [CODED, *OTHERS, CODED, "first"]
    whole = erase_directions(model, prompts, names, bank(TEXT_CODE))
    single = erase_directions(model, prompts[::-1], names[::-1], bank(TEXT_CODE), batch_size=1)
    values = [effects.logit_difference.values for effects in (whole, single)]
    np.testing.assert_allclose(values[0], values[1][::-1], atol=1e-5)


def test_concepts_without_texts_are_undefined() -> None:
    model, planted = PlantedModel(), Planted()
    effects = erase_directions(model, planted.audio[:2], ["unknown", CODED], bank(TEXT_CODE))
    assert np.isnan(effects.logit_difference.values[:, 0]).tolist() == [True, False]
    with pytest.raises(InvalidInputError):
        erase_directions(model, planted.audio[:1], [CODED], bank(TEXT_CODE), sites="lm.resid.1")
