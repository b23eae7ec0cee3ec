"""Captions depend on the tag probabilities only."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scripted import CharacterEmbedder, LevelTagger, sound

from audioprobe.errors import InvalidInputError, NonFiniteError, UnsupportedInputError
from audioprobe.models.tag_captioner import NOTHING, TagCaptioner
from audioprobe.testing import check_language_model
from audioprobe.types import Example, FloatArray, Prompt, Waveform


class FixedTagger(LevelTagger):
    """Returns fixed probabilities."""

    def __init__(self, *probabilities: float) -> None:
        self._probabilities = np.array(probabilities)

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return (self._probabilities for _ in waveforms)


@pytest.mark.parametrize(
    ("probabilities", "text"),
    [
        ((0.9, 0.0, 0.0), "The sound of a crow."),
        ((0.9, 0.3, 0.0), "The sound of a crow, possibly rain."),
        ((0.6, 0.9, 0.0), "The sound of rain and a crow."),
        ((0.6, 0.9, 0.7), "The sound of rain, music and a crow."),
        ((0.9, 0.3, 0.2), "The sound of a crow, possibly rain or music."),
        ((0.4, 0.3, 0.0), "Possibly the sound of a crow or rain."),
        ((0.1, 0.0, 0.0), "Possibly the sound of a crow."),
        ((0.5, 0.0, 0.0), "The sound of a crow."),
        ((0.0999, 0.05, 0.0), NOTHING),
    ],
)
def test_caption_states_certain_and_possible_tags(
    probabilities: tuple[float, ...], text: str
) -> None:
    (response,) = TagCaptioner(FixedTagger(*probabilities)).generate([Prompt("?", sound())])
    assert response.text == text
    assert response.abstained == (text == NOTHING)


@settings(max_examples=50)
@given(st.tuples(*[st.floats(0, 1)] * 3), st.floats(0, 1), st.floats(0, 1), st.integers(1, 4))
def test_most_probable_tags_are_named(
    probabilities: tuple[float, ...], a: float, b: float, max_tags: int
) -> None:
    possible, certain = sorted((a, b))
    tagger = FixedTagger(*probabilities)
    captioner = TagCaptioner(tagger, possible=possible, certain=certain, max_tags=max_tags)
    (response,) = captioner.generate([Prompt("?", sound())])
    named = {p for p in tagger.phrases if p in response.text and not response.abstained}
    ranked = sorted(range(3), key=lambda n: (-probabilities[n], n))[:max_tags]
    assert named == {tagger.phrases[n] for n in ranked if probabilities[n] >= possible}


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_probability_that_is_not_finite_is_an_error(number: float) -> None:
    with pytest.raises(NonFiniteError):
        list(TagCaptioner(FixedTagger(0.0, number, 0.0)).generate([Prompt("?", sound())]))


def test_labels_with_equal_phrases_are_named_once() -> None:
    tagger = FixedTagger(0.9, 0.8, 0.3)
    tagger.phrases = ("a crow", "a crow", "a crow")
    (response,) = TagCaptioner(tagger).generate([Prompt("?", sound())])
    assert response.text == "The sound of a crow."


def test_contract_holds() -> None:
    check_language_model(TagCaptioner(LevelTagger()))


def test_unsupported_prompts_and_options_are_refused() -> None:
    captioner = TagCaptioner(LevelTagger())
    with pytest.raises(UnsupportedInputError, match="needs audio"):
        list(captioner.generate([Prompt("What is a crow?")]))
    with pytest.raises(UnsupportedInputError, match="does not use examples"):
        list(captioner.generate([Prompt("?", sound(), (Example("?", "a crow"),))]))
    with pytest.raises(InvalidInputError, match="no tags"):
        TagCaptioner(CharacterEmbedder())  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="possible <= certain"):
        TagCaptioner(LevelTagger(), possible=0.6, certain=0.5)


def test_info_contains_thresholds_and_tagger() -> None:
    info = TagCaptioner(LevelTagger(), possible=0.2).info
    assert info.options["possible"] == 0.2
    assert info.parts["tagger"].name == "levels"
