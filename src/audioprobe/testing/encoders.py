"""Contracts of what takes sound to numbers."""

from audioprobe.protocols import AudioEncoder, Tagger
from audioprobe.testing.rules import (
    check_array,
    check_info,
    check_laziness,
    check_stream,
    close,
    example_sounds,
    require,
)


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
