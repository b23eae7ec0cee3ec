"""Positions of the parts of a prompt among its token ids."""

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from audioprobe.errors import UnsupportedInputError
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt


def text_spans(
    tokenizer: Any,  # noqa: ANN401 - transformers has no types
    ids: Sequence[int],
    prompt: InspectedPrompt,
    *,
    audio: Collection[int] = (),
    n_continuation: int = 0,
) -> dict[str, tuple[int, ...]]:
    """Return the positions of all text spans; see `audioprobe.sites`.

    A token that is only partly inside a phrase belongs to it.

    Args:
        tokenizer: tokenizer that decodes the ids.
        ids: all token ids, with one id per audio token.
        prompt: the prompt. The concept is found in any letter case, where it occurs first; an
            option where it occurs last, without a full stop at its end.
        audio: positions of audio tokens.
        n_continuation: number of tokens at the end that are the continuation.

    Raises:
        UnsupportedInputError: if the decoded prompt does not contain the question.
    """
    n_prompt = len(ids) - n_continuation
    places = [n for n in range(n_prompt) if n not in audio]
    tokens = _DecodedTokens(tokenizer, [ids[n] for n in places])
    wanted = prompt.prompt.text.strip()
    start = tokens.text.rfind(wanted)
    if start < 0:
        raise UnsupportedInputError(
            f"Expected the question {wanted!r:.60} in the decoded prompt, which is "
            f"{tokens.text!r:.200}. The tokenizer or the chat template changes the question. Write "
            "it as it is decoded."
        )

    def between(first: int, last: int) -> tuple[int, ...]:
        return tuple(places[n] for n in tokens.overlapping(start + first, start + last))

    phrases = _occurrences(prompt.concept, wanted)[:1]
    options = [place for o in prompt.options for place in _occurrences(o.rstrip("."), wanted)[-1:]]
    begins = ids[places[0]] == tokenizer.bos_token_id
    return {
        "bos": (places[0],) if begins else (),
        "question": between(0, len(wanted)),
        "concept": tuple(n for place in phrases for n in between(*place)),
        "options": tuple(sorted({n for place in options for n in between(*place)})),
        "last": (n_prompt - 1,),
        "answer": tuple(range(n_prompt, len(ids))),
    }


def _occurrences(phrase: str, text: str) -> list[tuple[int, int]]:
    """Return start and end of each occurrence of a phrase, in any letter case."""
    if not phrase:
        return []
    return [match.span() for match in re.finditer(re.escape(phrase), text, re.IGNORECASE)]


class _DecodedTokens:
    """Token ids with the text that they decode to.

    Attributes:
        text: the text, including special tokens.
    """

    def __init__(self, tokenizer: Any, ids: list[int]) -> None:  # noqa: ANN401
        self._tokenizer, self._ids = tokenizer, ids
        self.text = self._decode(len(ids))

    def overlapping(self, start: int, end: int) -> range:
        """Return the indices of the tokens that contain characters from `start` to `end`."""
        numbers = range(len(self._ids) + 1)
        first = bisect_left(numbers, start, key=self._n_characters)
        if self._n_characters(first) > start:  # the token before begins outside of the range
            first -= 1
        return range(first, bisect_left(numbers, end, key=self._n_characters))

    def _n_characters(self, n: int) -> int:
        """Return how many characters of the text the first `n` tokens determine."""
        pairs = zip(self._decode(n), self.text, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _decode(self, n: int) -> str:
        """Return the text of the first `n` tokens."""
        text: str = self._tokenizer.decode(self._ids[:n], skip_special_tokens=False)
        return text


def refuse_example_audio(prompt: Prompt) -> None:
    """Raise `UnsupportedInputError` if an example has audio, which no span describes."""
    if any(example.audio is not None for example in prompt.examples):
        raise UnsupportedInputError(
            "Activations can be read for prompts with one audio clip, got examples with audio. "
            "Write the examples as text or remove them."
        )
