"""Events that captions name are compared with labels by the graph of concepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import Concepts, hallucinated_events
from audioprobe.errors import InvalidInputError

NAMES = [concept.name for concept in Concepts.shipped()]


@pytest.mark.parametrize(
    ("caption", "labels", "wrong", "right"),
    [
        ("A crow calls.", ["crow"], (), ("crow",)),
        ("A crow calls in the rain.", ["crow"], ("rain",), ("crow",)),
        ("Two dogs bark.", ["crow"], ("dog",), ()),
        ("A bird sings.", ["crow"], (), ("bird",)),  # above the label
        ("A crow calls.", ["bird"], (), ("crow",)),  # below the label
        ("A crow calls.", ["animal"], (), ("crow",)),  # a class only
        ("The church bell rings.", ["church bell"], (), ("church bell",)),
        ("A church bell rings.", ["dog"], ("church bell",), ()),  # not a bell in addition
        ("A lorry passes.", ["truck"], (), ("truck",)),
        ("There is no rain, but a crow.", ["crow"], (), ("crow",)),
        ("A crow without any wind.", ["crow"], (), ("crow",)),
        ("A group of people makes a sound.", ["crow"], (), ()),
        ("A crow, a crow and crows", [], ("crow",), ()),
    ],
)
def test_named_events_are_compared_with_labels(
    caption: str, labels: list[str], wrong: tuple[str, ...], right: tuple[str, ...]
) -> None:
    events = hallucinated_events({"a": caption}, {"a": labels})
    assert events.by_clip == ({"a": wrong} if wrong else {})
    assert events.supported == ({"a": right} if right else {})
    assert events.without_events == (() if wrong or right else ("a",))


def test_shares_are_over_mentions_and_captions() -> None:
    captions = {"a": "a crow and rain", "b": "a dog", "c": "hum", "d": "a cow", "e": "a cow"}
    labels = {"a": ["crow"], "b": ["dog"], "c": ["rain"], "d": ["zither"], "f": ["crow"]}
    events = hallucinated_events(captions, labels, groups={"a": "site", "b": "site"})
    assert events.of_mentions.value == pytest.approx(1 / 3)
    assert events.of_captions.value == pytest.approx(1 / 3)
    assert (events.of_captions.n, events.without_events) == (3, ("c",))
    assert events.unknown_labels == {"d": ("zither",)}
    silent = hallucinated_events({"a": "hum"}, {"a": ["crow"]})
    assert silent.of_mentions.value is None
    assert silent.of_captions.value == 0


def test_unknown_labels_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="None of 1 captions"):
        hallucinated_events({"a": "a crow"}, {"a": ["zither"]})


@given(st.sampled_from(NAMES), st.sampled_from(["a {} is near", "{}", "rain? {}!"]))
def test_caption_that_names_the_label_supports_it(name: str, template: str) -> None:
    events = hallucinated_events({"a": template.format(name)}, {"a": [name, "rain"]})
    assert name in events.supported["a"]
    assert not events.by_clip
