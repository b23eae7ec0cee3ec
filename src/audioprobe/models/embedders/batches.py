"""Texts into requests that an embedding service takes."""

from collections.abc import Callable, Iterator, Sequence

from audioprobe.errors import InvalidInputError

# Limits of one request, from the service's API reference of "Create embeddings".
MAX_TEXTS = 2048
MAX_TOKENS = 300_000
MAX_TOKENS_PER_TEXT = 8191


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what no service takes, before anything is sent.

    Raises:
        InvalidInputError: for an empty text, or one that is no Unicode; names the positions.
    """
    empty = [n for n, text in enumerate(texts) if not text]
    if empty:
        raise InvalidInputError(
            f"The service refuses empty texts, at positions {empty[:5]} of {len(texts)}. "
            "Leave them out."
        )
    refuse_surrogates(texts)


def refuse_surrogates(texts: Sequence[str]) -> None:
    """Refuse texts that are not valid Unicode.

    Raises:
        InvalidInputError: names the positions of those with lone surrogates.
    """
    broken = [n for n, text in enumerate(texts) if not _is_unicode(text)]
    if broken:
        raise InvalidInputError(
            f"The texts at positions {broken[:5]} hold lone surrogates, which are no UTF-8. They "
            "may have been read in a wrong encoding."
        )


def batches(
    texts: Sequence[str], count: Callable[[str], int], *, is_exact: bool
) -> Iterator[tuple[list[str], int]]:
    """Consecutive texts with their token count, within the limits of one request.

    Args:
        texts: at least one, as `check_texts` allows.
        count: tokens of a text.
        is_exact: False where `count` is an upper bound: a text that only the bound calls too long
            is then a batch of its own, so that a refusal by the service takes no other with it.

    Raises:
        InvalidInputError: for a text that is surely too long; names its position and size.
    """
    batch: list[str] = []
    n_tokens = 0
    for position, text in enumerate(texts):
        n = count(text)
        is_long = n > MAX_TOKENS_PER_TEXT
        if is_long and is_exact:
            raise InvalidInputError(
                f"The text at position {position} has {n} tokens, the service takes "
                f"{MAX_TOKENS_PER_TEXT}. Shorten it."
            )
        if batch and (is_long or len(batch) == MAX_TEXTS or n_tokens + n > MAX_TOKENS):
            yield batch, n_tokens
            batch, n_tokens = [], 0
        if is_long:
            yield [text], n
        else:
            batch.append(text)
            n_tokens += n
    if batch:
        yield batch, n_tokens


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
