"""Logit lens: known answers in a model that only rotates, agreement with the model's output."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from tests.golden_ltu import character_tokenizer, new_net
from tests.rotation_model import VOCABULARY, WIDTH, RotationModel, audio
from tests.tiny_chat_models import saved
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.lens_reading import MEASURES, measures_of, ranks_among, read_site
from audioprobe.interpretability.lens_result import POSITIONS, LensResult, compare_lenses
from audioprobe.interpretability.lens_words import WordTokens
from audioprobe.interpretability.logit_lens import logit_lens
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.ltu.model import LTU
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Example, Prompt, Waveform

CONCEPTS = VOCABULARY[:8]


def states_of_words(model: RotationModel, *words: str) -> npt.NDArray[np.float32]:
    """Return the rows of the unembedding of words, which are read as these words."""
    rows = model.unembedding[[VOCABULARY.index(word) for word in words]]
    return np.asarray(rows.numpy(), dtype=np.float32)


def planted(model: RotationModel, n_positions: int = 3) -> list[InspectedPrompt]:
    """Return prompts whose audio has the state of the prompt's word at position 1."""
    rng = np.random.default_rng(0)
    prompts = []
    for word in CONCEPTS:
        states = rng.normal(size=(n_positions, WIDTH))
        states[1] = states_of_words(model, word)[0]
        prompts.append(InspectedPrompt(Prompt("the sound", audio(states)), id=word))
    return prompts


def read(model: RotationModel, prompts: list[InspectedPrompt], **options: object) -> LensResult:
    settings = {"words": CONCEPTS, "targets": CONCEPTS, "random_weights": False} | options
    return logit_lens(model, prompts, CONCEPTS, **settings)  # type: ignore[arg-type]


def test_planted_words_are_read_at_their_position() -> None:
    model = RotationModel(rotates=False)
    prompts = planted(model)
    where = {"sites": "lm.resid.*", "spans": ["audio[1s:2s]", "audio"]}
    result = read(model, prompts, **where)
    first = result.curve("first").at(span="audio[1s:2s]")
    assert (first.values == 1).all()
    mean, best = (result.curve("first", p).at(span="audio") for p in POSITIONS)
    assert (best.values == 1).all()
    assert (mean.values >= 1 / 3).all()
    assert mean.values.mean() < 0.6  # random states at the other positions
    top = result.readings.columns
    rows = zip(top["rank"], top["span"], top["token"], top["concept"], strict=True)
    assert all(
        token == concept
        for rank, span, token, concept in rows
        if (rank, span) == (1, "audio[1s:2s]")
    )


def test_a_rotation_hides_words_until_the_last_layer() -> None:
    model = RotationModel(n_layers=4)
    total = torch.linalg.multi_dot(tuple(model.rotations.flip(0)))
    prompts = [
        InspectedPrompt(Prompt("the", audio(states_of_words(model, word) @ total.numpy())), id=word)
        for word in CONCEPTS
    ]
    result = read(model, prompts, spans=["audio"])
    rates = result.curve("first").values.mean(axis=0)
    assert rates[-1] == 1
    assert (rates[:-1] <= 0.5).all()
    shuffled = result.curve("first").controls["shuffled targets"].mean(axis=0)
    assert shuffled[-1] == 0


def test_the_best_of_a_span_is_read_at_positions_and_not_from_the_mean_state() -> None:
    model = RotationModel(rotates=False)
    state = states_of_words(model, "crow")
    prompts = [InspectedPrompt(Prompt("the", audio(np.concatenate([state, -state + 1e-3]))))] * 8
    result = read(model, prompts, sites=["lm.embed"], spans=["audio"])
    values = result.curve("log-probability", "best").values[0, 0]
    words = WordTokens.of(model, CONCEPTS)
    (alone,) = read_site(model, "lm.embed", [state], words, chosen=[0])
    assert values == pytest.approx(alone.values[0, 0, MEASURES.index("log-probability")])


def test_measures_equal_a_direct_computation() -> None:
    model = RotationModel()
    rng = np.random.default_rng(3)
    states = rng.normal(size=(70, WIDTH)).astype(np.float32)  # more than one chunk
    words = WordTokens.of(model, ["crow", "hooded crow", "carrion hen"], "mean")
    other = rng.normal(size=(9, WIDTH)).astype(np.float32)  # is in the same chunk
    _, reading = read_site(model, "lm.resid.0", [other, states], words, chosen=[2, 0], n_top=3)
    logs = model.vocabulary_logits(torch.from_numpy(states)).double().log_softmax(dim=-1).numpy()
    names = {word: n for n, word in enumerate(VOCABULARY)}
    scores = np.stack(
        [logs[:, [names[w] for w in word.split()]].mean(axis=1) for word in words.words], axis=1
    )
    closed = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    ranks = rankdata(-scores, axis=1)
    reciprocal = 1 / rankdata(-logs, axis=1)
    vocabulary = np.stack(
        [reciprocal[:, [names[w] for w in word.split()]].mean(axis=1) for word in words.words],
        axis=1,
    )
    expected = np.stack([closed, 1 / ranks, ranks == 1, scores, vocabulary], axis=-1)[:, [2, 0]]
    np.testing.assert_allclose(reading.values[0], expected.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reading.values[1], expected.max(axis=0), rtol=1e-4, atol=1e-5)
    means = np.exp(logs).mean(axis=0)
    assert reading.top_ids == tuple(np.argsort(-means)[:3])
    np.testing.assert_allclose(reading.top_means, -np.sort(-means)[:3], rtol=1e-5)
    np.testing.assert_allclose(
        reading.top_bests, np.exp(logs).max(axis=0)[list(reading.top_ids)], rtol=1e-5
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 9))
def test_ranks_equal_those_of_scipy_with_ties(seed: int, n_chosen: int, n_levels: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(n_levels, size=(4, 20)).astype(np.float32)  # many ties
    columns = rng.choice(20, n_chosen, replace=False)
    tensor = torch.from_numpy(values)
    ranks = ranks_among(tensor[:, columns.tolist()], tensor)
    np.testing.assert_array_equal(ranks.numpy(), rankdata(-values, axis=1)[:, columns])


def test_equal_words_share_their_rank_and_none_is_first() -> None:
    words = WordTokens.of(RotationModel(), ["crow", "hen", "dog"])
    measures = measures_of(torch.zeros(1, len(VOCABULARY)).log_softmax(-1), words, range(3))[0]
    assert measures[:, MEASURES.index("reciprocal rank")].tolist() == [0.5] * 3  # rank 2 of 3
    assert measures[:, MEASURES.index("first")].tolist() == [0.0] * 3


# --- Words of several tokens ---


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        (["crow", "hen"], ["crow", "hen"]),
        (["the crow", "the hen"], ["crow", "hen"]),
        (["the crow", "hen"], ["the", "hen"]),
        (["hooded crow", "carrion crow", "crow"], ["hooded", "carrion", "crow"]),
        (["the hooded crow", "the carrion crow", "the dog"], ["hooded", "carrion", "dog"]),
    ],
)
def test_a_word_is_read_by_its_first_distinguishing_token(
    words: list[str], tokens: list[str]
) -> None:
    result = WordTokens.of(RotationModel(), words)
    assert [texts[0] for texts in result.texts] == tokens
    assert all(len(texts) == 1 for texts in result.texts)
    assert result.data().columns["rule"] == ["first"] * len(words)


def test_the_mean_rule_reads_all_tokens() -> None:
    words = WordTokens.of(RotationModel(), ["hooded crow", "crow"], "mean")
    assert words.texts == (("hooded", "crow"), ("crow",))
    values = torch.zeros(len(VOCABULARY))
    values[VOCABULARY.index("hooded")], values[VOCABULARY.index("crow")] = -4.0, -2.0
    assert words.averaged(values[list(words.unique_ids)]).tolist() == [-3.0, -2.0]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["crow", "crow sound"], "first"),  # the shorter word has no token of its own
        (["the hen", "the dog", "hen"], "first"),  # both are read by "hen"
        (["hooded crow", "crow hooded"], "mean"),  # the same tokens
        (["crow"], "first"),
        (["crow", "crow"], "first"),
        (["crow", "hen"], "last"),
    ],
)
def test_words_that_cannot_be_distinguished_are_refused(words: list[str], rule: str) -> None:
    with pytest.raises(InvalidInputError):
        WordTokens.of(RotationModel(), words, rule)  # type: ignore[arg-type]


def test_a_result_states_how_words_were_read() -> None:
    model = RotationModel()
    prompts = [InspectedPrompt(Prompt("the sound"))] * 2
    for rule, name in (("first", "first distinguishing token"), ("mean", "mean over tokens")):
        result = logit_lens(
            model,
            prompts,
            ["a", "b"],
            words=["hooded crow", "carrion crow"],
            targets=["hooded crow", "carrion crow"],
            spans=["last"],
            tokens=rule,  # type: ignore[arg-type]
        )
        assert name in result.lens
        assert result.words.columns["rule"] == [rule] * 2


# --- Controls ---


def test_a_lens_that_prefers_a_word_does_not_beat_shuffled_targets() -> None:
    model = RotationModel(rotates=False)
    state = states_of_words(model, "crow")
    prompts = [InspectedPrompt(Prompt("the", audio(state)))] * 12  # always reads "crow"
    targets = ["crow"] * 6 + ["hen"] * 4 + ["dog", "dog"]
    concepts = [n // 2 for n in range(12)]
    result = logit_lens(
        model, prompts, concepts, words=CONCEPTS, targets=targets, spans=["audio"], sites="lm.embed"
    )
    for measure in ("first", "log-probability", "vocabulary reciprocal rank"):
        curve = result.curve(measure)
        shuffled = curve.controls["shuffled targets"]
        assert curve.values.mean() == pytest.approx(shuffled.mean())
        # The control of a concept is the mean over the other concepts.
        means = [curve.values[[2 * n, 2 * n + 1], 0].mean() for n in range(6)]
        assert shuffled[0, 0] == pytest.approx(np.mean(means[1:]))
        assert tuple(curve.controls) == ("shuffled targets", "random weights")


def test_one_concept_has_no_shuffled_targets() -> None:
    prompts = [InspectedPrompt(Prompt("the sound"))] * 2
    result = logit_lens(
        RotationModel(), prompts, ["a", "a"], words=["crow", "hen"], targets=["hen"] * 2,
        spans=["last"],
    )  # fmt: skip
    controls = result.curve().controls
    assert np.isnan(controls["shuffled targets"]).all()
    assert not np.isnan(controls["random weights"]).any()


# --- Real networks ---


@cache
def network(kind: str) -> LTU | TransformersLM:
    if kind == "ltu":
        return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))
    return TransformersLM(saved(kind))


def real_prompts() -> list[InspectedPrompt]:
    values = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 52_800)).astype(np.float32)
    return [
        InspectedPrompt(Prompt("Is a crow a bird?", Waveform(values[0], 16_000)), id="a"),
        InspectedPrompt(Prompt("Which?", Waveform(values[1], 16_000)), id="b"),
        InspectedPrompt(Prompt("Why?"), id="c"),
    ]


WORDS = ["Yes", "no", "crow", "hen"]


@pytest.mark.parametrize("kind", ["ltu", "qwen2-audio"])
def test_the_last_layer_gives_the_output_of_the_model(kind: str) -> None:
    model, prompts = network(kind), real_prompts()
    last = [site for site in model.sites if site.startswith("lm.resid.")][-1]
    result = logit_lens(
        model,
        prompts,
        ["x", "y", "z"],
        words=WORDS,
        targets=["Yes", "no", "crow"],
        sites=[last, "lm.norm", "lm.logits"],
        spans=["audio", "last"],
        random_weights=False,
    )
    logits: dict[int, Tensor] = {}
    model.run_with_hooks(prompts, {"lm.logits": lambda n, x: logits.__setitem__(n, x.clone())})
    ids = [WordTokens.of(model, WORDS).ids[n][0] for n in range(3)]
    expected = [float(logits[n][-1].log_softmax(-1)[ids[n]]) for n in range(3)]
    curve = result.curve("vocabulary log-probability").at(span="last")
    for column in range(3):  # the final norm is applied once at each of the sites
        np.testing.assert_allclose(curve.values[:, column], expected, atol=1e-5)
    audio_curve = result.curve("vocabulary log-probability", "best").at(span="audio")
    positions = list(model.layout(prompts[0]).positions(last, "audio"))
    best = float(logits[0][positions].log_softmax(-1)[:, ids[0]].max())
    np.testing.assert_allclose(audio_curve.values[0], best, atol=1e-5)
    assert np.isnan(audio_curve.values[2]).all()  # no audio
    assert result.failures == {}


def test_results_do_not_depend_on_batch_size_or_order() -> None:
    model, prompts = network("ltu"), real_prompts()
    concepts, targets = ["x", "y", "z"], ["Yes", "no", "crow"]

    def run(order: list[int], batch_size: int) -> LensResult:
        return logit_lens(
            model,
            [prompts[n] for n in order],
            [concepts[n] for n in order],
            words=WORDS,
            targets=[targets[n] for n in order],
            batch_size=batch_size,
        )

    single, together, backwards = run([0, 1, 2], 1), run([0, 1, 2], 3), run([2, 1, 0], 2)
    for key, curve in single.curves.items():
        for other, rows in ((together, [0, 1, 2]), (backwards, [2, 1, 0])):
            np.testing.assert_allclose(curve.values, other.curves[key].values[rows], atol=1e-4)
            for name, control in curve.controls.items():
                again = other.curves[key].controls[name][rows]
                np.testing.assert_allclose(control, again, atol=1e-4, err_msg=f"{key} {name}")
    assert not np.allclose(
        single.curve("log-probability").controls["random weights"][:, -1],
        single.curve("log-probability").values[:, -1],
    )


def test_a_failing_prompt_has_no_values_and_a_cause() -> None:
    prompts = real_prompts()
    with_audio = Example("What?", "A hen.", prompts[1].prompt.audio)
    prompts[1] = replace(prompts[1], prompt=replace(prompts[1].prompt, examples=(with_audio,)))
    result = logit_lens(
        network("ltu"), prompts, ["x", "y", "z"], words=WORDS, targets=WORDS[:3],
        sites=["lm.resid.0"], spans=["last"], random_weights=False,
    )  # fmt: skip
    assert np.isnan(result.curve().values[1]).all()
    assert not np.isnan(result.curve().values[[0, 2]]).any()
    assert list(result.failures) == [1]
    assert "1 prompts failed" in repr(result)


# --- Arguments and results ---


@pytest.mark.parametrize(
    "options",
    [
        {"targets": ["crow"]},
        {"targets": ["crw"] * 8},
        {"sites": "lm.attn.0"},
        {"sites": "connector.out"},
        {"spans": "audio"},
        {"spans": []},
        {"spans": ["answers"]},
        {"tokens": "any"},
    ],
)
def test_invalid_arguments_are_refused(options: dict[str, object]) -> None:
    model = RotationModel()
    with pytest.raises(InvalidInputError):
        read(model, planted(model), **options)


def test_sites_that_a_lens_cannot_read_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="residual stream"):
        logit_lens(
            network("ltu"), real_prompts(), [1, 2, 3], words=WORDS, targets=WORDS[:3],
            sites=["connector.out"],
        )  # fmt: skip


def test_results_have_tables_and_can_be_compared() -> None:
    model = RotationModel()
    prompts = planted(model)
    first, second = read(model, prompts), read(model, prompts, tokens="mean")
    table = compare_lenses({"a": first, "b": second}, measure="reciprocal rank", positions="best")
    n_places = len(first.curve().places)
    assert table.columns["lens"] == ["a"] * n_places + ["b"] * n_places
    values = first.curve("reciprocal rank", "best").values
    index = first.curve().places.index(first.curve().at(span="audio").places[0])
    assert table.columns["reciprocal rank"][index] == pytest.approx(values[:, index].mean())
    data = first.data()
    assert len(data) == len(MEASURES) * 2 * len(prompts) * n_places
    with pytest.raises(InvalidInputError, match="reciprocal rank"):
        first.curve("recipocal rank")
    others = logit_lens(
        model, prompts[:2], CONCEPTS[:2], words=CONCEPTS, targets=CONCEPTS[:2], random_weights=False
    )
    with pytest.raises(InvalidInputError, match="same prompts"):
        compare_lenses({"a": first, "b": others})


def test_tokens_with_markup_are_escaped() -> None:
    model = RotationModel()
    model.token_texts = lambda ids: ["<script>\x1b[31m"] * len(ids)  # type: ignore[method-assign]
    result = read(model, planted(model))
    assert "<script>" not in result.readings._repr_html_()
    assert not re.search("\x1b", repr(result.readings))
