"""The check of joint encoders detects each violation of a rule."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from tests.scripted import JointLevels

from audioprobe.errors import ContractError
from audioprobe.testing import (
    check_joint_encoder,
)
from audioprobe.types import (
    FloatArray,
    Waveform,
)


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
