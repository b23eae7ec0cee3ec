"""Contracts of what takes sound to numbers."""

import math

from audioprobe.protocols import AudioEncoder, JointEncoder, Tagger
from audioprobe.testing.rules import (
    check_array,
    check_info,
    check_laziness,
    check_stream,
    close,
    example_sounds,
    require,
)
from audioprobe.testing.texts import check_vectors


def check_encoder(encoder: AudioEncoder) -> None:
    """One (n_frames, width) array per waveform, in order, alone as in company.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(encoder, "encoder")
    arrays = check_stream("encode", encoder.encode, example_sounds(), close)
    for array in arrays:
        check_array(array, "encode", n_dimensions=2)
    require(len({array.shape[1] for array in arrays}) == 1, "encode: all widths are equal")
    check_laziness("encode", encoder.encode, example_sounds()[0])


def check_tagger(tagger: Tagger) -> None:
    """Unique labels, a phrase for each, and probabilities in [0, 1], alone as in company.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(tagger, "encoder")
    n_labels = len(tagger.labels)
    require(len(set(tagger.labels)) == n_labels > 0, "labels: at least one, all different")
    require(len(tagger.phrases) == n_labels, "phrases: one per label")
    for array in check_stream("tag", tagger.tag, example_sounds(), close):
        check_array(array, "tag", n_dimensions=1)
        require(array.size == n_labels, "tag: one probability per label")
        require(bool(((array >= 0) & (array <= 1)).all()), "tag: probabilities lie in [0, 1]")
    check_laziness("tag", tagger.tag, example_sounds()[0])


def check_joint_encoder(encoder: JointEncoder) -> None:
    """One vector per sound and per text, of one width, alone as in company.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(encoder, "encoder")
    sounds = check_stream("embed_audio", encoder.embed_audio, example_sounds(), close)
    texts = check_vectors("embed_texts", encoder.embed_texts)
    for array in sounds:
        check_array(array, "embed_audio", n_dimensions=1)
        require(
            array.shape == texts.shape[1:], "embed_audio: vectors are as wide as those of texts"
        )
    check_laziness("embed_audio", encoder.embed_audio, example_sounds()[0])
    scale = encoder.logit_scale
    require(
        isinstance(scale, float) and 0 < scale < math.inf,
        "logit_scale: a positive, finite float",
    )
