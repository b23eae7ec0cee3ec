"""Ablation by resampling: exact effects, controls, donors, missing values."""

from dataclasses import replace

import numpy as np
import pytest
from tests.interpretability.tiny_answers import model, noise, question, values_of

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.ablation import ablate, time_spans
from audioprobe.interpretability.answer_logits import AnswerReader, AnswerTokens
from audioprobe.interpretability.donors import Donors
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt


def difference(lm: Inspectable, item: InspectedPrompt) -> float:
    reader = AnswerReader(lm)
    (logits,) = reader.logits([reader.prompt(item)])
    return float(AnswerTokens.of(lm, item).difference(logits))


@pytest.mark.parametrize("kind", ["ltu", pytest.param("qwen2-audio", marks=pytest.mark.slow)])
@pytest.mark.parametrize("site", ["lm.embed", "connector.out"])
def test_replaced_audio_has_the_effect_of_the_other_clip(kind: str, site: str) -> None:
    lm = model(kind)
    items = [question(0), question(1, "Is it an owl?")]
    effects = ablate(lm, items, "ab", sites=[site], n_resamples=3)
    for n, item in enumerate(items):
        other = replace(item, prompt=Prompt(item.prompt.text, items[1 - n].prompt.audio))
        expected = difference(lm, other) - difference(lm, item)
        assert abs(expected) > 1e-3
        assert effects.logit_difference.values[n, 0] == pytest.approx(expected, abs=1e-3)


def test_the_controls_have_donors_of_the_same_concept_or_other_positions() -> None:
    lm = model("ltu")
    items = [question(n) for n in range(3)]
    effects = ablate(lm, items, "aab", sites=["lm.embed"], n_resamples=1)
    same = effects.logit_difference.controls["same concept"][:, 0]
    for n in (0, 1):
        expected = difference(lm, items[1 - n]) - difference(lm, items[n])
        assert same[n] == pytest.approx(expected, abs=1e-3)
    assert np.isnan(same[2])  # the only clip of its concept
    assert not np.isnan(effects.logit_difference.values).any()


def test_audio_positions_have_no_effect_after_the_last_layer() -> None:
    items = [question(n) for n in range(4)]
    effects = ablate(model("ltu"), items, "aabb", n_resamples=2)
    curve = effects.logit_difference
    assert [place.site for place in curve.places] == ["lm.resid.0", "lm.resid.1"]
    np.testing.assert_allclose(curve.values[:, 1], 0, atol=1e-4)
    assert (abs(curve.values[:, 0]) > 1e-3).all()


def test_a_time_profile_replaces_only_its_range() -> None:
    lm = model("ltu")
    first, second = noise(3.0, 0), noise(3.0, 1)
    spans = time_spans(3.0, 1.0)
    effects = ablate(
        lm,
        [
            InspectedPrompt(Prompt("Is it?", each), options=("Yes", "No"))
            for each in (first, second)
        ],
        "ab",
        spans=spans,
        sites=["lm.embed", "lm.attn.1"],
    )
    curve = effects.logit_difference
    assert [p.span for p in curve.places] == [*spans, *spans]
    assert not np.isnan(curve.controls["other positions"]).any()
    embedded = curve.at(sites=["lm.embed"]).values
    assert (abs(embedded) > 1e-4).all()
    assert len(np.unique(embedded.round(5))) == embedded.size


def test_values_do_not_depend_on_batches_or_order() -> None:
    items = [question(n, text) for n in range(3) for text in ("Is it a crow?", "Rain?")]
    concepts = "aabbbb"
    options = {"sites": ["lm.embed", "lm.resid.0"], "spans": ("audio", "audio[0s:1s]")}
    together = ablate(model("ltu"), items, concepts, n_resamples=2, **options)  # type: ignore[arg-type]
    alone = ablate(
        model("ltu"),
        items[::-1],
        concepts[::-1],
        n_resamples=2,
        batch_size=1,
        **options,  # type: ignore[arg-type]
    )
    np.testing.assert_allclose(values_of(together), values_of(alone)[::-1], atol=5e-4)
    other = ablate(model("ltu"), items, concepts, n_resamples=1, seed=1, **options)  # type: ignore[arg-type]
    assert not np.allclose(values_of(other), values_of(together), atol=1e-3, equal_nan=True)


def test_missing_spans_are_undefined_and_failures_are_listed() -> None:
    items = [question(0), question(None), question(1, options=("Yes",)), question(2)]
    effects = ablate(model("ltu"), items, "abcd", sites=["lm.embed"])
    assert np.isnan(effects.logit_difference.values[:, 0]).tolist() == [False, True, True, False]
    assert set(effects.failures) == {2}
    assert np.isnan(effects.baseline).tolist() == [False, False, True, False]


def test_donors_have_other_audio_and_enough_of_it() -> None:
    lm = model("qwen2-audio")
    items = [
        InspectedPrompt(Prompt(text, noise(seconds, seed)))
        for text, seconds, seed in (
            ("Crow?", 2.0, 0),
            ("Bird?", 2.0, 0),  # the same clip
            ("Crow?", 4.0, 1),
            ("Crow?", 1.0, 2),
        )
    ]
    pairs = {n: (item, lm.layout(item)) for n, item in enumerate(items)}
    donors = Donors(pairs, "aaab", ["lm.embed", "lm.resid.0", "connector.out"], 4, 0)
    assert donors.draw(0, "audio", same_concept=True) == (2,)
    assert donors.draw(0, "audio", same_concept=False) == ()
    assert donors.draw(0, "audio[0s:1s]", same_concept=False) == (3,)
    assert set(donors.draw(3, "audio", same_concept=False)) == {0, 1, 2}
    assert set(donors.draw(0, "question", same_concept=True)) == {1, 2}
    audio = pairs[0][1].positions("lm.embed", "audio")
    replaced, replacing = donors.pairs(0, 2, "lm.embed", "audio") or ([], [])
    assert tuple(replaced) == audio
    assert replacing == list(pairs[2][1].positions("lm.embed", "audio")[: len(audio)])
    span = set(pairs[0][1].positions("lm.embed", "audio[0s:0.5s]"))
    others, sources = donors.others(0, 2, "lm.embed", "audio[0s:0.5s]") or ([], [])
    assert len(set(others)) == len(sources) == len(span)
    assert set(others) <= set(audio) - span
    assert donors.others(0, 2, "connector.out", "audio") is None
    assert donors.pairs(0, None, "lm.embed", "audio") is None


def test_time_spans_cover_the_audio() -> None:
    assert time_spans(5, 2) == ("audio[0s:2s]", "audio[2s:4s]", "audio[4s:5s]")
    assert time_spans(0.5, 0.25) == ("audio[0s:0.25s]", "audio[0.25s:0.5s]")
    assert time_spans(0.3, 0.1)[-1] == "audio[0.2s:0.3s]"
    assert time_spans(1, 9) == ("audio[0s:1s]",)
    for duration, step in ((0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(InvalidInputError):
            time_spans(duration, step)


def test_impossible_arguments_are_refused() -> None:
    items = [question(0), question(1)]
    with pytest.raises(InvalidInputError, match="n_resamples"):
        ablate(model("ltu"), items, "ab", n_resamples=0)
    with pytest.raises(InvalidInputError, match="at least one span"):
        ablate(model("ltu"), items, "ab", spans=())
    with pytest.raises(InvalidInputError, match=r"lm\.resid"):
        ablate(model("ltu"), items, "ab", sites=["lm.residue.*"])
