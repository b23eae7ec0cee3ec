"""A captioner without a language model: lists the most probable labels of an audio tagger.

It serves as a baseline: its captions contain only sounds that the tagger recognises.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from audioprobe.errors import InvalidInputError, NonFiniteError, UnsupportedInputError
from audioprobe.models.choices import refuse_choices
from audioprobe.protocols import Tagger
from audioprobe.registry import load
from audioprobe.training_data import TrainingData, training_data_of
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    FloatArray,
    InfoRepr,
    Option,
    Prompt,
    Response,
    Waveform,
)

NOTHING = "No sound is recognised."
"""Caption if the probabilities of all labels are too low."""


class TagCaptioner(InfoRepr):
    """A captioner that lists labels: "The sound of a carrion crow, possibly a hooded crow.".

    The labels and their probabilities come from a tagger, an encoder that assigns labels to audio.
    Labels with a probability between `possible` and `certain` follow "possibly". If all
    probabilities are lower, the caption says that no sound is recognised. The text of the prompt is
    ignored.

    Args:
        tagger: an encoder that implements `Tagger`, or its name: "birdnet", "ast:FOLDER".
        certain: minimum probability of a label that is listed without "possibly".
        possible: minimum probability of a label that is listed.
        max_tags: maximum number of labels; the most probable are listed.
        probabilities: whether to write the probability of each label instead of "possibly": "a
            carrion crow (0.91), a hooded crow (0.24)". `certain` then has no effect.

    Raises:
        InvalidInputError: if the encoder is not a tagger, or unless 0 <= possible <= certain <= 1.
    """

    def __init__(
        self,
        tagger: Tagger | str = "birdnet",
        *,
        certain: float = 0.5,
        possible: float = 0.1,
        max_tags: int = 3,
        probabilities: bool = False,
    ) -> None:
        encoder = load("encoder", tagger)
        if not isinstance(encoder, Tagger):
            raise InvalidInputError(
                "Expected an encoder with `tag`, `labels` and `phrases`, got "
                f"{type(encoder).__name__}, which has no tags."
            )
        if not 0 <= possible <= certain <= 1 or max_tags < 1:
            raise InvalidInputError(
                "TagCaptioner needs 0 <= possible <= certain <= 1 and max_tags >= 1, got "
                f"{possible}, {certain} and {max_tags}."
            )
        self._tagger = encoder
        self._certain = certain
        self._possible = possible
        self._max_tags = max_tags
        self._probabilities = probabilities

    @property
    def info(self) -> ComponentInfo:
        """Thresholds, maximum number of labels, and the `info` of the tagger."""
        options: dict[str, Option] = {
            "certain": self._certain,
            "possible": self._possible,
            "max_tags": self._max_tags,
        }
        if self._probabilities:
            options["probabilities"] = True
        parts = {"tagger": self._tagger.info}
        return ComponentInfo("language_model", "TagCaptioner", "1", options, parts)

    @property
    def training_data(self) -> TrainingData | None:
        """Training data of the tagger; None if unknown."""
        return training_data_of(self._tagger)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one caption per prompt, in order; `decoding` has no effect.

        Raises:
            UnsupportedInputError: if a prompt has no audio, or has examples, or if `decoding` has
                choices.
            NonFiniteError: if a probability is NaN or infinite.
        """
        refuse_choices(decoding, "A TagCaptioner", "Omit Decoding.choices.")
        for probabilities in self._tagger.tag(_audio_of(prompt) for prompt in prompts):
            yield self.describe(probabilities)

    def describe(self, probabilities: FloatArray) -> Response:
        """Convert the probabilities of all labels to a caption; abstain if all are too low.

        Args:
            probabilities: shape (n_labels,).

        Raises:
            NonFiniteError: if a probability is NaN or infinite.
        """
        if not np.isfinite(probabilities).all():
            raise NonFiniteError(
                f"Expected probabilities from the tagger {self._tagger.info.name!r}, got NaN or "
                f"infinity among {len(probabilities)}. {NonFiniteError.ADVICE}"
            )
        order = np.argsort(-probabilities, kind="stable")[: self._max_tags]
        tags = [n for n in order.tolist() if probabilities[n] >= self._possible]
        if not tags:
            return Response(NOTHING, abstained=True)
        # Two labels may have the same phrase (two species with one common name).
        phrases = self._tagger.phrases
        if self._probabilities:
            listed: dict[str, float] = {}
            for n in tags:
                listed.setdefault(phrases[n], float(probabilities[n]))
            return Response(", ".join(f"{name} ({p:.2f})" for name, p in listed.items()))
        certain = dict.fromkeys(phrases[n] for n in tags if probabilities[n] >= self._certain)
        possible = dict.fromkeys(phrases[n] for n in tags if phrases[n] not in certain)
        if not certain:
            return Response(f"Possibly the sound of {_join(possible, 'or')}.")
        suffix = f", possibly {_join(possible, 'or')}" if possible else ""
        return Response(f"The sound of {_join(certain, 'and')}{suffix}.")


def _audio_of(prompt: Prompt) -> Waveform:
    if prompt.audio is None:
        raise UnsupportedInputError("A TagCaptioner needs audio, got a prompt without audio.")
    if prompt.examples:
        raise UnsupportedInputError(
            "A TagCaptioner does not use examples, got a prompt with examples. Remove them."
        )
    return prompt.audio


def _join(phrases: Iterable[str], word: str) -> str:
    *first, last = phrases
    return f"{', '.join(first)} {word} {last}" if first else last
