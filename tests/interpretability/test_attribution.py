"""Attribution patching: exact where the network is linear, close to patching for small changes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import spearmanr
from tests.interpretability.test_patching import (
    CONCEPTS,
    SMALL,
    model,
    new_ltu,
    planted,
    sounds,
    texts,
)
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.attribution import attribution_patch
from audioprobe.interpretability.patch_result import AttributionResult, rank_correlation
from audioprobe.interpretability.patching import patch
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.types import Waveform

SITES = ("lm.embed", "lm.attn.*", "lm.mlp.*", "lm.resid.*", "lm.norm")


class Scaling(nn.Module):
    """A linear norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, width), requires_grad=False)

    def forward(self, states: Tensor) -> Tensor:
        return states * self.weight


def test_estimate_is_exact_in_a_linear_network() -> None:
    lm = planted()
    lm._net.llama.model.norm = Scaling(lm._net.llama.config.hidden_size)
    arguments = (lm, sounds(0), sounds(5), CONCEPTS)
    sites = ["lm.mlp.0", "lm.resid.*", "lm.norm"]
    spans = ["last", "audio", "question"]
    estimate = attribution_patch(*arguments, sites=sites, spans=spans)
    exact = patch(*arguments, sites=sites, spans=spans, least_difference=SMALL)
    assert not estimate.failures
    np.testing.assert_allclose(estimate.effect.values, exact.effect.values, atol=1e-5)
    assert list(estimate.effect.controls) == list(exact.effect.controls)
    for name, values in estimate.effect.controls.items():
        np.testing.assert_allclose(values, exact.effect.controls[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(estimate.base, exact.base, atol=1e-6)
    np.testing.assert_allclose(estimate.source, exact.source, atol=1e-6)
    assert np.abs(exact.effect.at(span="last").values).min() > 1e-4


@pytest.mark.parametrize("kind", ["ltu", "qwen2-audio"])
def test_estimate_agrees_with_patching_for_a_small_change(kind: str) -> None:
    base = sounds(0)
    source = [
        replace(item, prompt=replace(item.prompt, audio=Waveform(0.97 * sound.samples, 16_000)))
        for item in base
        if (sound := item.prompt.audio) is not None
    ]
    arguments = (model(kind), base, source, CONCEPTS)
    spans = ["audio", "last"]
    estimate = attribution_patch(*arguments, sites=SITES, spans=spans)
    exact = patch(*arguments, sites=SITES, spans=spans, least_difference=SMALL)
    size = np.abs(exact.effect.values).max()
    assert size > 1e-4
    np.testing.assert_allclose(estimate.effect.values, exact.effect.values, atol=0.1 * size + 1e-5)
    assert rank_correlation(estimate.effect, exact.effect) > 0.8


def test_places_are_ranked_by_the_size_of_their_effect() -> None:
    values = np.array([[0.1, -3.0, np.nan, 1.0]])
    result = AttributionResult(
        effect=curve(values), base=np.zeros(1), source=np.zeros(1), failures={}, control_failures={}
    )
    assert [place.site for place in result.ranked()] == ["lm.resid.1", "lm.resid.3", "lm.resid.0"]
    assert "0 pairs failed" in repr(result)


def curve(values: npt.NDArray[np.float64]) -> SiteCurve:
    return SiteCurve(
        measure="effect",
        places=tuple(Place(f"lm.resid.{n}", "last") for n in range(values.shape[1])),
        concepts=tuple(range(len(values))),
        values=values,
        controls={},
    )


def test_rank_correlation_is_that_of_the_means() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 4, 9))
    first[0, 3] = np.nan
    second[:, 5] = np.nan
    defined = [n for n in range(9) if n != 5]
    means = [np.nanmean(values[:, defined], axis=0) for values in (first, second)]
    expected = spearmanr(*means).statistic
    assert rank_correlation(curve(first), curve(second)) == pytest.approx(expected)
    assert rank_correlation(curve(first), curve(np.exp(first))) <= 1
    assert np.isnan(rank_correlation(curve(first), curve(np.ones((4, 9)))))
    assert np.isnan(rank_correlation(curve(first[:, :2]), curve(second[:, :2])))
    with pytest.raises(InvalidInputError, match="same places"):
        rank_correlation(curve(first), curve(second[:, :3]))


def test_failed_pairs_are_missing() -> None:
    lm = new_ltu()
    with torch.no_grad():
        lm._net.llama.lm_head.weight.fill_(torch.inf)
    result = attribution_patch(lm, sounds(0)[:1], sounds(5)[:1], ["crow"], sites="lm.resid.0")
    assert "NonFiniteError" in result.failures[0]
    assert np.isnan(result.effect.values).all()
    assert np.isnan(result.base).all()


def test_sites_without_gradients_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"connector\.out, where there are no gradients"):
        attribution_patch(model(), sounds(0), sounds(5), CONCEPTS, sites="connector.out")
    with pytest.raises(InvalidInputError, match='lengths="mean"'):
        attribution_patch(
            model(), sounds(0), texts("Is a {} a bird?"), CONCEPTS, spans="concept -> audio"
        )
