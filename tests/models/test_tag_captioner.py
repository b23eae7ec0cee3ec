"""The wording follows the probabilities, and nothing else."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scripted import CharacterEmbedder, LevelTagger, sound

from audioprobe.errors import InvalidInputError, NonFiniteError, UnsupportedInputError
from audioprobe.models.tag_captioner import NOTHING, TagCaptioner
from audioprobe.testing import check_language_model
from audioprobe.types import Example, FloatArray, Prompt, Waveform


class FixedTagger(LevelTagger):
    """Hears what it is told."""

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
def test_wording(probabilities: tuple[float, ...], text: str) -> None:
    (response,) = TagCaptioner(FixedTagger(*probabilities)).generate([Prompt("?", sound())])
    assert response.text == text
    assert response.abstained == (text == NOTHING)


@given(st.tuples(*[st.floats(0, 1)] * 3), st.floats(0, 1), st.floats(0, 1), st.integers(1, 4))
def test_exactly_the_most_probable_tags_above_the_floor_are_named(
    probabilities: tuple[float, ...], one: float, other: float, most: int
) -> None:
    floor, sure = sorted((one, other))
    tagger = FixedTagger(*probabilities)
    captioner = TagCaptioner(tagger, floor=floor, sure=sure, most=most)
    (response,) = captioner.generate([Prompt("?", sound())])
    named = {p for p in tagger.phrases if p in response.text and not response.abstained}
    ranked = sorted(range(3), key=lambda n: (-probabilities[n], n))[:most]
    assert named == {tagger.phrases[n] for n in ranked if probabilities[n] >= floor}


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_probability_that_is_not_finite_is_not_the_absence_of_a_sound(number: float) -> None:
    with pytest.raises(NonFiniteError):
        list(TagCaptioner(FixedTagger(0.0, number, 0.0)).generate([Prompt("?", sound())]))


def test_two_labels_that_read_the_same_are_said_once() -> None:
    tagger = FixedTagger(0.9, 0.8, 0.3)
    tagger.phrases = ("a crow", "a crow", "a crow")
    (response,) = TagCaptioner(tagger).generate([Prompt("?", sound())])
    assert response.text == "The sound of a crow."


def test_it_keeps_the_contract_of_language_models() -> None:
    check_language_model(TagCaptioner(LevelTagger()))


def test_it_refuses_what_it_cannot_take() -> None:
    captioner = TagCaptioner(LevelTagger())
    with pytest.raises(UnsupportedInputError, match="only describes sound"):
        list(captioner.generate([Prompt("What is a crow?")]))
    with pytest.raises(UnsupportedInputError, match="examples"):
        list(captioner.generate([Prompt("?", sound(), (Example("?", "a crow"),))]))
    with pytest.raises(InvalidInputError, match="no tags"):
        TagCaptioner(CharacterEmbedder())  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="floor <= sure"):
        TagCaptioner(LevelTagger(), floor=0.6, sure=0.5)


def test_thresholds_and_tagger_are_in_its_info() -> None:
    info = TagCaptioner(LevelTagger(), floor=0.2).info
    assert info.options["floor"] == 0.2
    assert info.parts["tagger"].name == "levels"
