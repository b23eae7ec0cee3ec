"""Nearest texts of activations: planted states, permutation null, banks."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.neighbors import NearestNeighbors
from tests.rotation_model import VOCABULARY, WIDTH, RotationModel, audio

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.lens_result import LensResult, compare_lenses
from audioprobe.interpretability.logit_lens import logit_lens
from audioprobe.interpretability.nearest_texts import nearest_texts
from audioprobe.interpretability.recording import record
from audioprobe.interpretability.text_bank import TextBank
from audioprobe.interpretability.text_similarity import MEASURES, TextComparison
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt

CONCEPTS = VOCABULARY[:8]
RNG_SEED = 4


def texts() -> tuple[list[InspectedPrompt], list[str]]:
    """Return two texts of each concept, and their concepts."""
    prompts = [
        InspectedPrompt(Prompt(f"{start} {word}"), concept=word, id=f"{start} {word}")
        for word in CONCEPTS
        for start in ("the", "hooded")
    ]
    return prompts, [word for word in CONCEPTS for _ in range(2)]


def bank(model: RotationModel, sites: str = "lm.resid.*") -> TextBank:
    prompts, concepts = texts()
    return TextBank.of(model, prompts, concepts, sites=sites)


def embeddings(model: RotationModel, shift: float = 0.0) -> list[InspectedPrompt]:
    """Return prompts whose audio is a random state, then the embedding of a word plus a shift."""
    rng = np.random.default_rng(RNG_SEED)
    rows = model.embedding[: len(CONCEPTS)].numpy()
    return [
        InspectedPrompt(Prompt("the", audio([rng.normal(size=WIDTH), row + shift])), id=word)
        for word, row in zip(CONCEPTS, rows, strict=True)
    ]


def find(prompts: list[InspectedPrompt], **options: object) -> LensResult:
    model = RotationModel()
    settings = {"sites": "lm.resid.*", "k": 2, "center": False} | options
    return nearest_texts(model, prompts, CONCEPTS, bank(model), **settings)  # type: ignore[arg-type]


def test_planted_states_are_found_at_their_layer() -> None:
    result = find(embeddings(RotationModel()), spans=["audio[1s:2s]", "audio"])
    for measure in MEASURES:
        assert (result.curve(measure).at(span="audio[1s:2s]").values == 1).all(), measure
        assert (result.curve(measure, "best").at(span="audio").values == 1).all(), measure
        assert result.curve(measure).at(span="audio").values.mean() < 1
    rows = list(zip(*result.readings.columns.values(), strict=True))
    for item, _, site, span, rank, text, concept, text_site, cosine in rows:
        if rank == 1 and span == "audio[1s:2s]":
            assert (text, concept, text_site) == (item, item, site)
            assert cosine == pytest.approx(1, abs=1e-5)


def test_a_state_at_the_input_is_found_in_a_deeper_layer_of_text() -> None:
    model = RotationModel()
    states = (model.embedding[:8] @ (model.rotations[1] @ model.rotations[0]).T).numpy()
    prompts = [InspectedPrompt(Prompt("the", audio(row[None]))) for row in states]
    result = nearest_texts(
        model, prompts, CONCEPTS, bank(model), sites="lm.embed", k=2, center=False
    )
    assert (result.curve("first").values == 1).all()
    columns = result.readings.columns
    layers = {site for site, rank in zip(columns["text_site"], columns["rank"], strict=True)
              if rank == 1}  # fmt: skip
    assert layers == {"lm.resid.1"}


def test_centring_removes_a_shift_between_modalities() -> None:
    shifted = embeddings(RotationModel(), shift=20.0)
    raw, centred = (
        find(shifted, spans=["audio[1s:2s]"], center=center).curve("first").values.mean()
        for center in (False, True)
    )
    assert raw < 0.5
    assert centred == 1


def test_neighbours_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    states = {f"lm.resid.{n}": rng.normal(size=(12, WIDTH)).astype(np.float32) for n in range(2)}
    concepts = tuple("abc"[n % 3] for n in range(12))
    planted = TextBank(tuple(f"text {n}" for n in range(12)), concepts, states, {})
    queries = rng.normal(size=(40, WIDTH)).astype(np.float32)
    comparison = TextComparison.of(planted, center=False, k=4)
    values = comparison.compare(queries, None, 3).values
    both = np.concatenate(list(states.values()))
    distances, order = (
        NearestNeighbors(n_neighbors=24, metric="cosine").fit(both).kneighbors(queries)
    )
    for concept in range(3):
        shares, reciprocal = [], []
        for row in order:
            ranked = list(dict.fromkeys(n % 12 for n in row))  # each text once, at its best site
            is_concept = np.array([n % 3 == concept for n in ranked])
            shares.append(is_concept[:4].mean())
            reciprocal.append(1 / (1 + is_concept.argmax()))
        expected = np.stack([shares, reciprocal, np.array(reciprocal) == 1], axis=1)
        np.testing.assert_allclose(values[0, concept], expected.mean(axis=0))
        np.testing.assert_allclose(values[1, concept], expected.max(axis=0))
    best = comparison.compare(queries[:1], None, 3)
    assert best.texts[0] == order[0, 0] % 12
    assert best.cosines[0] == pytest.approx(1 - distances[0, 0], abs=1e-5)


def test_the_control_is_the_mean_over_the_texts_of_other_concepts() -> None:
    model, prompts = RotationModel(), embeddings(RotationModel())
    result = nearest_texts(model, prompts, CONCEPTS, bank(model), k=2)
    for name in CONCEPTS[:3]:
        exchanged = [
            nearest_texts(
                model,
                prompts,
                [other if c == name else name if c == other else c for c in CONCEPTS],
                bank(model),
                k=2,
            )
            for other in CONCEPTS
            if other != name
        ]
        row = CONCEPTS.index(name)
        for key, curve in result.curves.items():
            mean = np.mean([each.curves[key].values[row] for each in exchanged], axis=0)
            np.testing.assert_allclose(curve.controls["shuffled concepts"][row], mean)


def test_random_audio_is_rarely_significant() -> None:
    model, rng = RotationModel(), np.random.default_rng(2)
    known, n_runs = bank(model), 40
    significant: Counter[object] = Counter()
    for _ in range(n_runs):
        states = rng.normal(size=(16, 4, WIDTH))
        prompts = [InspectedPrompt(Prompt("the", audio(each))) for each in states]
        result = nearest_texts(model, prompts, CONCEPTS * 2, known, k=2, sites="lm.resid.0")
        for key, curve in result.curves.items():
            (point,) = curve.points(Bootstrap(n_resamples=10))
            significant[key] += point.p_value is not None and point.p_value <= 0.05
    # Binomial with 40 runs and a rate of .05: 7 or more errors have probability .004.
    assert max(significant.values()) <= 6, significant


def test_results_do_not_depend_on_batch_size_or_order() -> None:
    model, prompts = RotationModel(), embeddings(RotationModel())
    forward = nearest_texts(model, prompts, CONCEPTS, bank(model), batch_size=1)
    back = nearest_texts(model, prompts[::-1], CONCEPTS[::-1], bank(model), batch_size=5)
    for key, curve in forward.curves.items():
        np.testing.assert_allclose(curve.values, back.curves[key].values[::-1], atol=1e-6)
        for name, control in curve.controls.items():
            np.testing.assert_allclose(control, back.curves[key].controls[name][::-1], atol=1e-6)


def test_unknown_concepts_and_missing_spans_are_undefined() -> None:
    model, prompts = RotationModel(), embeddings(RotationModel())
    prompts[1] = replace(prompts[1], prompt=Prompt("the"))  # without audio
    concepts = ["unicorn", *CONCEPTS[1:]]
    result = nearest_texts(model, prompts, concepts, bank(model))
    missing = np.isnan(result.curve().values).all(axis=1)
    assert missing.tolist() == [True, True, *[False] * 6]
    assert result.failures == {}


def test_states_that_are_equal_in_all_prompts_are_undefined_after_centring() -> None:
    model = RotationModel()
    prompts = [InspectedPrompt(Prompt("the sound"))] * len(CONCEPTS)
    result = nearest_texts(model, prompts, CONCEPTS, bank(model), spans=["last"])
    assert np.isnan(result.curve().values).all()
    assert len(result.readings) == 0
    raw = nearest_texts(model, prompts, CONCEPTS, bank(model), spans=["last"], center=False)
    assert not np.isnan(raw.curve().values).any()


def test_states_of_another_width_are_failures_with_a_cause() -> None:
    model = RotationModel()
    result = nearest_texts(
        model, embeddings(model), CONCEPTS, bank(model), sites="lm.logits", center=False
    )
    assert np.isnan(result.curve().values).all()
    assert set(result.failures) == set(range(8))
    assert "width" in result.failures[0]


def test_both_lenses_are_in_one_table() -> None:
    model, prompts = RotationModel(), embeddings(RotationModel())
    near = nearest_texts(model, prompts, CONCEPTS, bank(model), spans=["audio[1s:2s]"])
    logit = logit_lens(
        model, prompts, CONCEPTS, words=CONCEPTS, targets=CONCEPTS, spans=["audio[1s:2s]"]
    )
    table = compare_lenses({"logit lens": logit, "nearest texts": near}).columns
    firsts = dict(zip(zip(table["lens"], table["site"], strict=True), table["first"], strict=True))
    assert firsts["nearest texts", "lm.resid.0"] == 1
    assert isinstance(firsts["logit lens", "lm.resid.0"], float)
    assert firsts["logit lens", "lm.resid.0"] < 0.6  # underestimates
    assert len(table["lens"]) == 6


# --- Banks ---


def test_a_bank_from_a_recording_equals_one_in_memory(tmp_path: Path) -> None:
    model = RotationModel()
    prompts, concepts = texts()
    prompts[3] = replace(prompts[3], concept="bell")  # is not in the text
    prompts[5] = replace(prompts[5], prompt=Prompt("the dog", audio(np.ones((1, WIDTH)))))
    recording = record(model, prompts, ["lm.resid.*"], ["concept"], tmp_path / "texts")
    stored = TextBank.from_recording(recording, concepts, sites="lm.resid.*")
    memory = TextBank.of(model, prompts, concepts)
    assert (stored.texts, stored.concepts) == (memory.texts, memory.concepts)
    assert sorted(stored.missing) == sorted(memory.missing) == [3, 5]
    assert list(stored.states) == list(memory.states)
    for site, states in stored.states.items():
        np.testing.assert_array_equal(states, memory.states[site])
    assert len(stored) == 14
    assert "audio" in stored.missing[5]
    each = record(model, prompts, ["lm.resid.0"], ["concept"], tmp_path / "each", pooling="each")
    with pytest.raises(InvalidInputError, match="one vector per span"):
        TextBank.from_recording(each, concepts)


def test_prompts_with_audio_are_not_texts() -> None:
    model = RotationModel()
    prompts, concepts = texts()
    prompts[0] = replace(prompts[0], prompt=Prompt("the crow", audio(np.ones((1, WIDTH)))))
    memory = TextBank.of(model, prompts, concepts)
    assert "with audio" in memory.missing[0]
    assert len(memory) == 15


def test_banks_need_states_that_differ_between_concepts() -> None:
    model = RotationModel()
    prompts, concepts = texts()
    with pytest.raises(InvalidInputError, match="two concepts"):
        TextBank.of(model, prompts, ["crow"] * 16)
    with pytest.raises(InvalidInputError):
        TextBank.of(model, prompts, concepts[:3])
    same = TextBank.of(model, [InspectedPrompt(Prompt("the crow"))] * 2, ["a", "b"], span="last")
    with pytest.raises(InvalidInputError, match="differ"):
        nearest_texts(model, embeddings(model), CONCEPTS, same, k=1)
    states: npt.NDArray[np.float32] = np.ones((3, WIDTH), np.float32)
    with pytest.raises(InvalidInputError):
        TextBank(("x", "y"), ("a", "b"), {"lm.resid.0": states}, {})


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 16}, {"spans": []}, {"sites": "lm.rsid"}])
def test_invalid_arguments_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        find(embeddings(RotationModel()), **options)
