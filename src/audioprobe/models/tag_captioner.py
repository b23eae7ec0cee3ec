"""A captioner without a language model: it writes down what a tagger hears.

The first honest baseline, and the control for everything that an audio language model adds: it can
name what its encoder recognises, and nothing else.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from audioprobe.errors import InvalidInputError, NonFiniteError, UnsupportedInputError
from audioprobe.protocols import Tagger, training_data_of
from audioprobe.registry import load
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, FloatArray, Prompt, Response, Waveform

NOTHING = "No sound is recognised."
"""The caption where no tag reaches the floor."""


class TagCaptioner:
    """Captions from tags, such as "The sound of a carrion crow, possibly a hooded crow.".

    Tags of at least `sure` are stated, those between `floor` and `sure` are introduced by
    "possibly", and where none reaches `floor` the caption says that nothing is recognised. The
    question of the prompt is not read: only its sound counts, and the same sound always gets the
    same words.

    Args:
        tagger: an encoder with the ability `Tagger`, or its name: "birdnet", "ast:FOLDER".
        sure: probability from which a tag is stated as heard.
        floor: probability under which a tag is left out.
        most: number of tags named, the most probable first.

    Raises:
        InvalidInputError: if the tagger has no tags, or not 0 <= floor <= sure <= 1.
    """

    def __init__(
        self,
        tagger: Tagger | str = "birdnet",
        *,
        sure: float = 0.5,
        floor: float = 0.1,
        most: int = 3,
    ) -> None:
        chosen = load("encoder", tagger)
        if not isinstance(chosen, Tagger):
            raise InvalidInputError(
                f"{type(chosen).__name__} has no tags to write down: pass an encoder with `tag`, "
                "`labels` and `phrases`."
            )
        if not 0 <= floor <= sure <= 1 or most < 1:
            raise InvalidInputError(
                f"Need 0 <= floor <= sure <= 1 and most >= 1, got {floor}, {sure} and {most}."
            )
        self._tagger = chosen
        self._sure = sure
        self._floor = floor
        self._most = most

    @property
    def info(self) -> ComponentInfo:
        """Thresholds, and the tagger as a part."""
        options = {"sure": self._sure, "floor": self._floor, "most": self._most}
        parts = {"tagger": self._tagger.info}
        return ComponentInfo("language_model", "TagCaptioner", "1", options, parts)

    @property
    def training_data(self) -> TrainingData | None:
        """That of the tagger; None where it is not known."""
        return training_data_of(self._tagger)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """One caption per prompt, in order.

        Args:
            prompts: each with a sound.
            decoding: not used: nothing is drawn at random.

        Raises:
            UnsupportedInputError: for a prompt without sound, or with examples.
            NonFiniteError: if the tagger gives a probability that is NaN or infinite.
        """
        del decoding
        for probabilities in self._tagger.tag(_sound_of(prompt) for prompt in prompts):
            yield self._describe(probabilities)

    def _describe(self, probabilities: FloatArray) -> Response:
        if not np.isfinite(probabilities).all():
            raise NonFiniteError(
                f"The tagger {self._tagger.info.name!r} was to give probabilities, got NaN or "
                f"infinity among {len(probabilities)}. {NonFiniteError.ADVICE}"
            )
        order = np.argsort(-probabilities, kind="stable")[: self._most]
        heard = [n for n in order.tolist() if probabilities[n] >= self._floor]
        if not heard:
            return Response(NOTHING, abstained=True)
        phrases = self._tagger.phrases
        # Two labels may read the same (two species of one common name): say it once.
        stated = _unique(phrases[n] for n in heard if probabilities[n] >= self._sure)
        guessed = _unique(phrases[n] for n in heard if probabilities[n] < self._sure)
        guessed = [phrase for phrase in guessed if phrase not in stated]
        if not stated:
            return Response(f"Possibly the sound of {_join(guessed, 'or')}.")
        possibly = f", possibly {_join(guessed, 'or')}" if guessed else ""
        return Response(f"The sound of {_join(stated, 'and')}{possibly}.")


def _sound_of(prompt: Prompt) -> Waveform:
    if prompt.audio is None:
        raise UnsupportedInputError("A TagCaptioner only describes sound: give the prompt audio.")
    if prompt.examples:
        raise UnsupportedInputError("A TagCaptioner cannot learn from examples: leave them out.")
    return prompt.audio


def _unique(phrases: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(phrases))


def _join(phrases: list[str], word: str) -> str:
    *most, last = phrases
    return f"{', '.join(most)} {word} {last}" if most else last
