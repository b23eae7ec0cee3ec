"""Responses that must be one of several choices are the result of an exhaustive search."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.golden_ltu import character_tokenizer, tiny_net
from tests.scripted import LevelTagger, sound
from tests.tiny_chat_models import saved

from audioprobe import (
    LTU,
    CachedModel,
    CaptionClassifier,
    Decoding,
    KeywordScorer,
    Scripted,
    TagCaptioner,
    TransformersLM,
)
from audioprobe.classification.caption import CAPTION_QUESTION
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.choices import choose
from audioprobe.models.remote.openai_format import decoding_fields
from audioprobe.types import ComponentInfo, LogLikelihood, Prompt

CHOICES = ("crow", "crows", "rain", "dogs", "bell", "bees")  # one is the start of another
QUESTIONS = [Prompt(f"What is sound {n}?") for n in range(8)]


def beam_search(net: Any, inputs: Any, rows: list[list[int]], ends: tuple[int, ...]) -> list[int]:
    """Return the row that transformers' beam search finds when it may generate only these rows."""
    texts = [[*row, end] for row in rows for end in ends]
    n_before = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        done = ids.tolist()[n_before:]
        return sorted({t[len(done)] for t in texts if t[: len(done)] == done and t[len(done) :]})

    (sequence,) = net.generate(
        **inputs,
        prefix_allowed_tokens_fn=lambda n, ids: allowed(n, ids) or [ends[0]],
        num_beams=len(texts),
        length_penalty=0.0,
        early_stopping=False,
        do_sample=False,
        repetition_penalty=1.0,
        max_new_tokens=max(map(len, texts)),
        eos_token_id=list(ends),
        pad_token_id=ends[0],
    )
    new = sequence.tolist()[n_before:]
    row: list[int] = new[: min((new.index(end) for end in ends if end in new), default=len(new))]
    return row


def test_ltu_chooses_what_an_exhaustive_beam_search_finds() -> None:
    model = LTU(tiny_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))
    prompts = [*QUESTIONS[:3], *(Prompt(q.text, sound(0.2)) for q in QUESTIONS[:3])]
    ids = [model._prompts.continuation_ids(text) for text in CHOICES]
    decoding = Decoding(choices=CHOICES)
    for prompt, response in zip(prompts, model.generate(prompts, decoding), strict=True):
        encoded = model._encode(prompt)
        embedded = model._net.embed(
            encoded.input_ids[None],
            None if encoded.audio_tokens is None else encoded.audio_tokens[None],
        )
        inputs = {
            "inputs_embeds": embedded,
            "attention_mask": torch.ones(embedded.shape[:2]).long(),
        }
        searched = beam_search(model._net.llama, inputs, ids, (model._prompts.eos_token_id,))
        assert response.text == CHOICES[ids.index(searched)]
        assert response.finish == "stop"


def test_chat_model_chooses_what_an_exhaustive_beam_search_finds() -> None:
    model = TransformersLM(saved("llama"))
    ids = [model._encoder.continuation(text) for text in CHOICES]
    responses = list(model.generate(QUESTIONS, Decoding(choices=CHOICES)))
    for prompt, response in zip(QUESTIONS, responses, strict=True):
        inputs = model._on_device(model._encoder.encode(prompt).inputs)
        searched = beam_search(model._net, inputs, ids, model._ends)
        assert response.text == CHOICES[ids.index(searched)]
    assert len({response.text for response in responses}) > 1


def test_single_choice_is_always_the_response() -> None:
    model = TransformersLM(saved("llama"))
    (response,) = model.generate(QUESTIONS[:1], Decoding(choices=(" no such sound",)))
    assert response.text == "no such sound"
    assert isinstance(response.details["log-likelihood (nats)"], float)


@given(st.lists(st.floats(-800, 0), min_size=1, max_size=6), st.integers(0, 5))
def test_choice_with_the_highest_likelihood_wins(values: list[float], seed: int) -> None:
    choices = tuple(f"label {n}" for n in range(len(values)))
    response = choose(values, Decoding(choices=choices, seed=seed))
    assert response.text == choices[int(np.argmax(values))]
    cold = choose(values, Decoding(choices=choices, temperature=1e-9, seed=seed))
    assert values[choices.index(cold.text)] >= max(values) - 1e-6


def test_sampled_choices_have_the_tempered_probabilities() -> None:
    values = np.log([0.6, 0.3, 0.1])
    counts = Counter(
        choose(values.tolist(), Decoding(choices=("x", "y", "z"), temperature=2.0, seed=seed)).text
        for seed in range(4000)
    )
    expected = np.sqrt([0.6, 0.3, 0.1]) / np.sqrt([0.6, 0.3, 0.1]).sum()
    np.testing.assert_allclose([counts[t] / 4000 for t in "xyz"], expected, atol=0.025)


def test_classifier_with_choices_uses_labels_only(tmp_path: Path) -> None:
    labels = ["crow", "rain"]
    quiet = Prompt(CAPTION_QUESTION, sound(0.1))
    model = Scripted(
        "something else",
        likelihood=lambda prompt, text: LogLikelihood(
            -1.0 if (text == "crow") == (prompt.digest() == quiet.digest()) else -2.0, 1
        ),
    )
    cached = CachedModel(model, tmp_path / "cache.sqlite")
    classifier = CaptionClassifier(
        cached, KeywordScorer(), decoding=Decoding(choices=tuple(labels))
    )
    result = classifier([sound(0.1), sound(0.2)], labels)
    assert [caption.text for caption in result.captions] == ["crow", "rain"]
    assert result.provenance.options["decoding.choices"] == ("crow", "rain")
    plain = CaptionClassifier(cached, KeywordScorer(), decoding=Decoding())
    assert plain(sound(0.1), labels).captions[0].text == "something else"


def test_models_without_likelihoods_refuse_choices() -> None:
    decoding = Decoding(choices=("crow", "rain"))
    with pytest.raises(UnsupportedInputError, match="TagCaptioner cannot choose"):
        list(TagCaptioner(LevelTagger()).generate([Prompt("?", sound(0.1))], decoding))
    with pytest.raises(UnsupportedInputError, match="VllmChat"):
        decoding_fields(decoding, is_openai=False)


@pytest.mark.parametrize(
    "options",
    [
        {"choices": "crow"},
        {"choices": ("crow", " ")},
        {"choices": ("crow", " crow")},
        {"choices": ("crow",), "top_p": 0.9},
        {"choices": ("crow",), "top_k": 5},
        {"choices": ("crow",), "repetition_penalty": 1.1},
    ],
)
def test_invalid_choices_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="choices"):
        Decoding(**options)


def test_settings_without_choices_keep_their_cache_key() -> None:
    assert "choices" not in Decoding().options
    assert Decoding(choices=["crow"]).options["choices"] == ("crow",)  # type: ignore[arg-type]
