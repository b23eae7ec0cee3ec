"""Positions of the parts of a prompt among its token ids."""

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Prompt


def text_spans(
    tokenizer: Any,  # noqa: ANN401 - transformers has no types
    ids: Sequence[int],
    question: str,
    concept: str,
    *,
    audio: Collection[int] = (),
    n_continuation: int = 0,
) -> dict[str, tuple[int, ...]]:
    """Return the positions of all text spans; see `audioprobe.sites`.

    A token that is only partly inside a phrase belongs to it.

    Args:
        tokenizer: tokenizer that decodes the ids.
        ids: all token ids, with one id per audio token.
        question: the question, as the prompt contains it.
        concept: phrase in the question, in any letter case; "" for none. Its first occurrence is
            used.
        audio: positions of audio tokens.
        n_continuation: number of tokens at the end that are the continuation.

    Raises:
        UnsupportedInputError: if the decoded prompt does not contain the question.
    """
    n_prompt = len(ids) - n_continuation
    places = [n for n in range(n_prompt) if n not in audio]
    kept = [ids[n] for n in places]

    def decode(n: int) -> str:
        text: str = tokenizer.decode(kept[:n], skip_special_tokens=False)
        return text

    text, wanted = decode(len(kept)), question.strip()
    start = text.rfind(wanted)
    if start < 0:
        raise UnsupportedInputError(
            f"Expected the question {wanted!r:.60} in the decoded prompt, which is {text!r:.200}. "
            "The tokenizer or the chat template changes the question. Write it as it is decoded."
        )

    def n_characters(n: int) -> int:
        """Return how many characters of the text the first `n` tokens determine."""
        pairs = zip(decode(n), text, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def between(start: int, end: int) -> tuple[int, ...]:
        numbers = range(len(kept) + 1)
        first = bisect_left(numbers, start, key=n_characters)
        if n_characters(first) > start:
            first -= 1
        return tuple(places[first : bisect_left(numbers, end, key=n_characters)])

    phrase = re.search(re.escape(concept), wanted, re.IGNORECASE) if concept else None
    begins = bool(ids) and ids[places[0]] == tokenizer.bos_token_id
    return {
        "bos": (places[0],) if begins else (),
        "question": between(start, start + len(wanted)),
        "concept": between(start + phrase.start(), start + phrase.end()) if phrase else (),
        "last": (n_prompt - 1,),
        "answer": tuple(range(n_prompt, len(ids))),
    }


def refuse_example_audio(prompt: Prompt) -> None:
    """Raise `UnsupportedInputError` if an example has audio, which no span describes."""
    if any(example.audio is not None for example in prompt.examples):
        raise UnsupportedInputError(
            "Activations can be read for prompts with one audio clip, got examples with audio. "
            "Write the examples as text or remove them."
        )
