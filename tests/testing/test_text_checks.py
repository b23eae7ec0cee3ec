"""The checks of text and joint embedders, scorers and data sets detect each violation of a rule."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from tests.scripted import CharacterEmbedder, JointLevels, sound

from audioprobe.datasets.recordings import Recordings
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.testing import (
    check_dataset,
    check_embedder,
    check_joint_encoder,
    check_scorer,
)
from audioprobe.types import (
    Clip,
    ComponentInfo,
    FloatArray,
    Waveform,
)


class Reversed(CharacterEmbedder):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return super().embed(texts)[::-1]


class Constant(CharacterEmbedder):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts), 3))


class Centred(CharacterEmbedder):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        vectors = super().embed(texts)
        return vectors - vectors.mean(axis=0) if len(texts) else vectors


class Infinite(CharacterEmbedder):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return super().embed(texts) * np.inf


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Reversed, "alone and in a batch"),
        (Constant, "differ"),
        (Centred, "alone and in a batch"),
        (Infinite, "embed: finite"),
    ],
)
def test_violation_by_an_embedder_is_detected(broken: type[CharacterEmbedder], rule: str) -> None:
    check_embedder(CharacterEmbedder())
    with pytest.raises(ContractError, match=rule):
        check_embedder(broken())


class Scorer(KeywordScorer):
    """A correct scorer; each subclass violates one rule."""


class Turned(Scorer):
    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        return super().score(captions, labels).T


class Softmax(Scorer):
    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        scores = np.exp(super().score(captions, labels))
        return np.asarray(scores / max(1.0, scores.sum()))


class Sorting(Scorer):
    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        return super().score(captions, sorted(labels))


class Lenient(Scorer):
    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        return (
            np.zeros((len(captions), len(labels)))
            if not labels
            else super().score(captions, labels)
        )


class Dividing(Scorer):
    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        return super().score(captions, labels) * np.nan


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Dividing, "score: finite"),
        (Turned, "shape"),
        (Softmax, "alone and in a batch"),
        (Sorting, "order of the labels"),
        (Lenient, "refuses no labels"),
    ],
)
def test_violation_by_a_scorer_is_detected(broken: type[Scorer], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_scorer(broken())


class Toy:
    """A data set of two splits."""

    info = ComponentInfo("dataset", "toy")
    labels = ("a", "b")
    splits = ("train", "test")
    _clips = {
        "train": (Clip(id="1", waveform=sound(), labels=("a",), group="here"),),
        "test": (Clip(id="2", waveform=sound(), labels=("b",), group="there"),),
    }

    def clips(self, split: str) -> Sequence[Clip]:
        if split not in self._clips:
            raise InvalidInputError("no such split")
        return self._clips[split]


class Leaking(Toy):
    _clips = Toy._clips | {"test": (Clip(id="2", waveform=sound(), group="here"),)}


class Repeating(Toy):
    _clips = Toy._clips | {"test": (Clip(id="1", waveform=sound()),)}


class Unknown(Toy):
    _clips = Toy._clips | {"test": (Clip(id="2", waveform=sound(), labels=("c",)),)}


class Generous(Toy):
    def clips(self, split: str) -> Sequence[Clip]:
        return self._clips.get(split, ())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Leaking, "in one split only"),
        (Repeating, "is unique"),
        (Unknown, "are known"),
        (Generous, "unknown split"),
    ],
)
def test_violation_by_a_data_set_is_detected(broken: type[Toy], rule: str) -> None:
    check_dataset(Toy())
    with pytest.raises(ContractError, match=rule):
        check_dataset(broken())


def test_packaged_recordings_pass() -> None:
    check_dataset(Recordings())


class Wide(JointLevels):
    def embed_clip(self, waveform: Waveform) -> FloatArray:
        return np.ones(3)


class Framed(JointLevels):
    def embed_clip(self, waveform: Waveform) -> FloatArray:
        return np.ones((1, 2))


class Hoarding(JointLevels):
    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return map(self.embed_clip, list(waveforms))


class Leaning(JointLevels):
    """The vector of a text depends on the other texts."""

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        vectors = super().embed_texts(texts)
        return vectors - (vectors.mean(axis=0) if len(texts) else 0)


class Undirected(JointLevels):
    def embed_clip(self, waveform: Waveform) -> FloatArray:
        return np.full(2, np.nan)


class Scaleless(JointLevels):
    def __init__(self) -> None:
        super().__init__(scale=0.0)


def test_correct_joint_encoder_passes() -> None:
    check_joint_encoder(JointLevels())
    check_joint_encoder(JointLevels(batch_size=3))


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Wide, "same width as embed_texts"),
        (Framed, "embed_audio: 1 dimensions, got 2"),
        (Hoarding, "embed_audio: streams"),
        (Leaning, "embed_texts: the same vector alone"),
        (Scaleless, "logit_scale"),
        (Undirected, "embed_audio: finite"),
    ],
)
def test_violation_by_a_joint_encoder_is_detected(broken: type[JointLevels], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_joint_encoder(broken())
