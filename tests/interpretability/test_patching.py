"""Activation patching: agreement with whole passes, planted information, controls, failures."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from tests.golden_ltu import character_tokenizer, new_net
from tests.interpretability.test_recording import noise
from tests.tiny_chat_models import saved
from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_logits import AnswerReader, AnswerTokens
from audioprobe.interpretability.patched_runs import PatchedRuns, read_base, window_of
from audioprobe.interpretability.patching import patch
from audioprobe.interpretability.span_transfer import Replacement
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.ltu.model import LTU
from audioprobe.progress import ProgressEvent
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Prompt

OPTIONS = ("yes", "no")
CONCEPTS = ("crow", "owl", "rain")
SMALL = 1e-9  # logit differences of tiny random models are small


@cache
def model(kind: str = "ltu") -> LTU | TransformersLM:
    return new_ltu() if kind == "ltu" else TransformersLM(saved(kind))


def new_ltu() -> LTU:
    return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))


def prompt(text: str, seed: int | None = None, concept: str = "") -> InspectedPrompt:
    sound = None if seed is None else noise(2.0, seed)
    return InspectedPrompt(Prompt(text, sound), concept=concept, options=OPTIONS, id=text)


def texts(pattern: str) -> list[InspectedPrompt]:
    return [prompt(pattern.format(name), concept=name) for name in CONCEPTS]


def sounds(first: int) -> list[InspectedPrompt]:
    return [prompt("Is this a bird?", first + n) for n in range(3)]


def planted() -> LTU:
    """Return a model whose answer is complete after its first layer: the others add nothing."""
    lm = new_ltu()
    with torch.no_grad():
        for layer in lm._net.llama.model.layers[1:]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    return lm


def keep(stored: dict[int, Tensor], number: int, states: Tensor) -> None:
    stored[number] = states.clone()


def logits_by_hand(
    lm: LTU | TransformersLM, base: InspectedPrompt, site: str, change: Any
) -> Tensor:
    logits: dict[int, Tensor] = {}
    hooks = {site: lambda _, x: change(x.clone()), "lm.logits": logits.__setitem__}
    lm.run_with_hooks([base], hooks)
    return logits[0][-1]


@pytest.mark.parametrize("kind", ["ltu", "llama", "qwen2-audio"])
def test_all_sites_agree_with_whole_passes(kind: str) -> None:
    lm = model(kind)
    audio = kind != "llama"
    base = prompt("Is this a bird?", 0 if audio else None)
    source = prompt("Is this a door?", 1 if audio else None)
    span = "audio" if audio else "question"
    sites = [site for site in lm.sites if site != "lm.logits"]
    result = patch(
        lm, [base], [source], ["crow"], sites=sites, spans=[span], least_difference=SMALL
    )
    assert not result.failures
    reader = AnswerReader(lm)
    base, source = reader.prompt(base), reader.prompt(source)
    tokens = AnswerTokens.of(lm, base)
    layouts = [lm.layout(each) for each in (base, source)]
    n_defined = 0
    for site, value in zip(sites, result.difference.values[0], strict=True):
        to, origin = (list(layout.positions(site, span)) for layout in layouts)
        stored: dict[int, Tensor] = {}
        if origin:
            lm.run_with_hooks([source], {site: partial(keep, stored)})

        def change(states: Tensor, to: Any = to, origin: Any = origin, s: Any = stored) -> Tensor:
            states[to] = s[0][origin]
            return states

        if to:
            expected = float(tokens.difference(logits_by_hand(lm, base, site, change)))
            assert value == pytest.approx(expected, abs=1e-5), site
            n_defined += 1
        else:
            assert np.isnan(value)
    assert n_defined == len([s for s in sites if audio or s.startswith("lm.")])
    assert np.nanmax(np.abs(result.effect.values)) > 1e-4  # the test can fail


@pytest.mark.parametrize("kind", ["ltu", "qwen2-audio"])
def test_whole_prompt_reproduces_the_source_run(kind: str) -> None:
    sites = ["lm.embed", "lm.resid.*", "lm.norm"]
    result = patch(
        model(kind),
        sounds(0),
        sounds(5),
        CONCEPTS,
        sites=sites,
        spans="all",
        least_difference=SMALL,
    )
    assert not result.failures
    expected = np.broadcast_to(result.source[:, None], result.difference.values.shape)
    np.testing.assert_allclose(result.difference.values, expected, atol=1e-5)
    assert np.abs(result.divergence.values).max() < 1e-5
    assert np.abs(result.source - result.base).min() > 1e-4
    assert set(result.changed.values[~np.isnan(result.changed.values)]) <= {1.0}


def test_information_is_found_where_it_was_planted() -> None:
    lm = planted()
    sites = ["lm.embed", "lm.attn.*", "lm.resid.*", "lm.norm"]
    result = patch(
        lm, sounds(0), sounds(5), CONCEPTS, sites=sites, spans=["last", "audio"],
        least_difference=SMALL,
    )  # fmt: skip
    last = result.recovered.at(span="last")
    n_layers = len(lm._net.llama.model.layers)
    expected = {"lm.embed": 0.0, "lm.attn.0": 1.0, "lm.norm": 1.0}
    expected |= {f"lm.resid.{n}": 1.0 for n in range(n_layers)}
    expected |= {f"lm.attn.{n}": 0.0 for n in range(1, n_layers)}
    for place, values in zip(last.places, last.values.T, strict=True):
        np.testing.assert_allclose(values, expected[place.site], atol=2e-3, err_msg=place.site)
    audio = result.recovered.at(span="audio")
    expected = dict.fromkeys(expected, 0.0) | {"lm.embed": 1.0}
    for place, values in zip(audio.places, audio.values.T, strict=True):
        np.testing.assert_allclose(values, expected[place.site], atol=2e-3, err_msg=place.site)


def test_another_clip_at_the_connector_is_the_source_prompt() -> None:
    sites = ["encoder.input", "connector.out"]
    result = patch(
        model(), sounds(0), sounds(5), CONCEPTS, sites=sites, spans="audio", least_difference=SMALL
    )
    np.testing.assert_allclose(result.recovered.values[:, 1], 1, atol=1e-2)
    assert np.isnan(result.recovered.controls["bos"]).all()  # text has no place in the encoder


def test_controls_have_their_known_values() -> None:
    result = patch(
        planted(), sounds(0), sounds(5), CONCEPTS, sites="lm.resid.*", least_difference=SMALL
    )
    controls = result.effect.controls
    assert list(controls) == ["base into itself", "noise", "other concept", "bos"]
    assert np.abs(controls["base into itself"]).max() < 1e-6
    assert np.abs(controls["noise"]).min() > 0
    differences = result.difference.controls["other concept"]
    for pair, row in enumerate(differences):  # the source of one of the other pairs
        matches = [np.allclose(row, other, atol=1e-5) for other in result.source]
        assert sum(matches) == 1
        assert not matches[pair]
    same = patch(
        planted(), sounds(0), sounds(5), CONCEPTS, same_concept=sounds(9), least_difference=SMALL
    )
    assert list(same.effect.controls) == ["same concept", "noise", "other concept", "bos"]
    reader, expected = AnswerReader(planted()), []
    for item in sounds(9):
        (logits,) = reader.logits([reader.prompt(item)])
        expected.append(float(AnswerTokens.of(reader.model, item).difference(logits)))
    got = same.difference.controls["same concept"]
    np.testing.assert_allclose(got, np.tile(np.array(expected)[:, None], got.shape[1]), atol=1e-5)


def test_sources_of_other_concepts_do_not_depend_on_the_order() -> None:
    base, source, concepts = sounds(0), sounds(5), list(CONCEPTS)
    run = partial(patch, model(), sites="lm.resid.0", least_difference=SMALL)
    first, second = run(base, source, concepts), run(base[::-1], source[::-1], concepts[::-1])
    for name, values in first.difference.controls.items():
        np.testing.assert_allclose(values, second.difference.controls[name][::-1], atol=1e-6)
    alone = run(base[:1], source[:1], concepts[:1])
    assert np.isnan(alone.difference.controls["other concept"]).all()
    np.testing.assert_allclose(
        alone.difference.controls["noise"], first.difference.controls["noise"][:1], atol=1e-6
    )


def test_batch_size_does_not_matter() -> None:
    base, source = texts("Is a {} a bird?"), texts("Is a {} a door?")
    spans = ["last", "concept", "concept -> question"]
    run = partial(patch, model("llama"), base, source, CONCEPTS, spans=spans, lengths="last")
    first, second = run(batch_size=1), run(batch_size=5)
    np.testing.assert_allclose(first.difference.values, second.difference.values, atol=1e-5)
    with pytest.raises(InvalidInputError, match="batch_size"):
        run(batch_size=0)


def test_windows_patch_the_following_layers_together() -> None:
    assert window_of("lm.resid.3", 3, [f"lm.resid.{n}" for n in range(5)]) == (
        "lm.resid.3",
        "lm.resid.4",
    )
    assert window_of("connector.out", 3, ["connector.out"]) == ("connector.out",)
    base, source = prompt("Is this a bird?", 0), prompt("Is this a bird?", 1)
    lm = model()
    sites = ["lm.attn.0", "lm.mlp.0", "lm.resid.0"]
    wide = patch(lm, [base], [source], ["crow"], sites=sites, window=2, least_difference=SMALL)
    assert wide.difference.measure == "logit difference (windows of 2 layers)"
    tokens = AnswerTokens.of(lm, base)
    stored: dict[str, Tensor] = {}
    for site, value in zip(sites, wide.difference.values[0], strict=True):
        both = [site, site.replace("0", "1")]
        for name in both:
            states: dict[int, Tensor] = {}
            lm.run_with_hooks([source], {name: partial(keep, states)})
            stored[name] = states[0][-1]
        logits: dict[int, Tensor] = {}

        def change(name: str, _: int, x: Tensor) -> Tensor:
            return torch.cat([x[:-1], stored[name][None]])

        hooks = {name: partial(change, name) for name in both}
        lm.run_with_hooks([base], {**hooks, "lm.logits": logits.__setitem__})
        assert value == pytest.approx(float(tokens.difference(logits[0][-1])), abs=1e-5)
    with pytest.raises(InvalidInputError, match="at least one layer"):
        patch(lm, [base], [source], ["crow"], window=0)


def test_equal_logit_differences_have_no_recovered_share() -> None:
    base = texts("Is a {} a bird?")
    result = patch(model("llama"), base, base, CONCEPTS, sites="lm.resid.0")
    assert np.isnan(result.recovered.values).all()
    assert np.isnan(result.changed.values).all()
    assert result.n_small_differences == 3
    assert np.abs(result.divergence.values).max() < 1e-6
    assert "3 have no recovered share" in repr(result)


def test_failed_prompts_are_missing_and_do_not_stop_the_others() -> None:
    short = InspectedPrompt(Prompt("Is this a bird?", noise(0.01)), options=OPTIONS)
    base, source = [*sounds(0), short, *sounds(20)[:1]], [*sounds(5), *sounds(8)[:1], short]
    concepts = [*CONCEPTS, "wind", "sea"]
    events: list[ProgressEvent] = []
    result = patch(
        model(), base, source, concepts, sites="lm.resid.1", least_difference=SMALL,
        progress=events.append,
    )  # fmt: skip
    assert set(result.failures) == {3, 4}
    assert result.failures[4].startswith("source: ")
    assert np.isnan(result.difference.values).all(axis=1).tolist() == [False] * 3 + [True] * 2
    assert [(e.done, e.n_failed) for e in events][-1] == (5, 2)
    same = patch(
        model(), sounds(0), sounds(5), CONCEPTS, sites="lm.resid.1",
        same_concept=[short, *sounds(9)[1:]],
    )  # fmt: skip
    assert not same.failures
    assert list(same.control_failures) == [(0, "same concept")]
    missing = np.isnan(same.difference.controls["same concept"]).ravel().tolist()
    assert missing == [True, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sites": "lm.logits"}, "before the logits"),
        ({"sites": "lm.residual.*"}, "Expected a site"),
        ({"spans": "adio"}, "Did you mean 'audio'"),
        ({"spans": ()}, "at least one span"),
        ({"spans": "last -> audio -> last"}, "SOURCE_SPAN -> BASE_SPAN"),
        ({"spans": "concept -> audio"}, 'lengths="mean"'),
        ({"lengths": "longest"}, "Expected lengths among equal, mean, last"),
        ({"concepts": ["crow"]}, "as many base prompts"),
        ({"same_concept": []}, "0 same-concept"),
        ({"least_difference": 0}, "least_difference > 0"),
    ],
)
def test_invalid_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments = {"concepts": CONCEPTS, "sources": texts("Is a {} a bird?")} | changes
    with pytest.raises(InvalidInputError, match=message):
        patch(model(), sounds(0), **arguments)


def test_pairs_with_other_options_are_refused() -> None:
    source = [InspectedPrompt(item.prompt, options=("no", "yes")) for item in sounds(5)]
    with pytest.raises(InvalidInputError, match="same options"):
        patch(model(), sounds(0), source, CONCEPTS)


def test_spans_that_are_absent_are_undefined() -> None:
    result = patch(
        model(), sounds(0), texts("Is a {} a bird?"), CONCEPTS,
        spans=["concept -> audio", "audio"], sites=["connector.out", "lm.resid.0"], lengths="mean",
        least_difference=SMALL,
    )  # fmt: skip
    defined = {
        (place.site, place.span): not np.isnan(values).any()
        for place, values in zip(result.difference.places, result.difference.values.T, strict=True)
    }
    assert [key for key, value in defined.items() if value] == [("lm.resid.0", "concept -> audio")]


def modules(lm: LTU) -> Iterator[nn.Module]:
    return lm._net.modules()


def test_no_hooks_are_left_after_an_error() -> None:
    lm = new_ltu()
    reader = AnswerReader(lm)
    item = reader.prompt(sounds(0)[0])
    base = read_base(reader, (item, lm.layout(item)), lm.sites[:-1])
    bad = Replacement((0,), torch.zeros(1, 3))
    for site in ("connector.out", "lm.embed", "lm.attn.1", "lm.resid.0"):
        with pytest.raises(RuntimeError):
            PatchedRuns(reader, 2).logits(base, [{site: bad}])

    def interrupt(_: ProgressEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patch(lm, sounds(0), sounds(5), CONCEPTS, sites="lm.resid.0", progress=interrupt)
    for module in modules(lm):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in module.__dict__


def test_layers_before_the_patch_are_not_computed() -> None:
    lm = new_ltu()
    calls: list[int] = []
    for number, layer in enumerate(lm._net.llama.model.layers):
        layer.mlp.register_forward_hook(lambda *_, n=number: calls.append(n))
    reader = AnswerReader(lm)
    item = reader.prompt(sounds(0)[0])
    base = read_base(reader, (item, lm.layout(item)), lm.sites[:-1])
    runs = PatchedRuns(reader, 2)
    n_layers = len(lm._net.llama.model.layers)
    expected = {"lm.resid.0": 1, "lm.attn.1": 1, "lm.mlp.0": 0, "lm.norm": n_layers}
    for site, first in expected.items():
        calls.clear()
        states = base.states[site][-1:]
        runs.logits(base, [{site: Replacement((len(base.states[site]) - 1,), states)}])
        assert calls == list(range(first, n_layers)), site
