"""Convert text to token ids such that no part of the text becomes a control token.

Control tokens, such as "<s>" or "[INST]", mark the parts of a prompt.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from audioprobe.errors import InvalidInputError, WeightsError

# Matches "<s>", "[INST]", "<|im_end|>", "<<SYS>>", "◁think▷": a name between marks, no space. Other
# added tokens are words or white space, which texts may contain.
_CONTROL_SHAPE = re.compile(r"[^\w\s]\S*\w\S*[^\w\s]")

_PLACEHOLDERS = ("audio_token", "image_token", "video_token")


def text_ids(tokenizer: Any, text: str, *, add_special_tokens: bool = True) -> list[int]:  # noqa: ANN401 - transformers has no types
    """Return the token ids of a text; treat "<s>" and other control tokens as ordinary text.

    Args:
        tokenizer: tokenizer of transformers or mistral-common.
        text: the text.
        add_special_tokens: whether the tokenizer adds its special tokens before and after the text.

    Raises:
        InvalidInputError: if the text contains a control token that the tokenizer cannot split into
            ordinary tokens, or if the text is not valid Unicode.
    """
    refuse_surrogates(text)
    options = {} if add_special_tokens else {"add_special_tokens": False}
    ids: list[int]
    if not _matches_added_tokens(tokenizer):
        ids = tokenizer(text, **options).input_ids
        return ids
    ids = tokenizer(text, split_special_tokens=True, **options).input_ids
    _refuse_ids(text, ids, _control_tokens(tokenizer, len(tokenizer), with_special=False))
    return ids


def refuse_control_tokens(tokenizer: Any, text: str) -> None:  # noqa: ANN401
    """Raise `InvalidInputError` if a text contains a control token or is not valid Unicode.

    A chat template inserts the text into the prompt, where the token would take effect.
    """
    refuse_surrogates(text)
    if _matches_added_tokens(tokenizer):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        _refuse_ids(text, ids, _control_tokens(tokenizer, len(tokenizer), with_special=True))


def special_tokens(tokenizer: Any) -> dict[int, str]:  # noqa: ANN401
    """Return the special tokens of a tokenizer, as a dictionary from id to text."""
    if not _matches_added_tokens(tokenizer):
        return dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    added = tokenizer.added_tokens_decoder.items()
    return {n: token.content for n, token in added if token.special}


def refuse_surrogates(text: str) -> None:
    """Raise `InvalidInputError` if a text contains lone surrogates, which are not valid Unicode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"Expected Unicode text, got lone surrogates in {text!r:.60}. It may have been decoded "
            "with a wrong encoding."
        ) from error


def refuse_ids_beyond(tokenizer: Any, n_rows: int, source: str) -> None:  # noqa: ANN401
    """Raise if a tokenizer has token ids for which the model has no embedding.

    Placeholders for audio, images and video are not checked, because features replace their
    embeddings.

    Raises:
        WeightsError: if a token id is not smaller than `n_rows`, the number of rows of the
            embedding matrix. The message names `source`.
    """
    placeholders = {getattr(tokenizer, name, None) for name in _PLACEHOLDERS}
    ids = {token: n for token, n in tokenizer.get_vocab().items() if token not in placeholders}
    last = max(ids, key=ids.__getitem__)
    if ids[last] >= n_rows:
        raise WeightsError(
            f"{source}: tokenizer and weights do not belong together: the embedding has {n_rows} "
            f"rows, and the tokenizer has ids up to {ids[last]} ({last!r}). Use the tokenizer that "
            "was published with the weights, or weights whose embedding was resized for the "
            "tokenizer."
        )


def _matches_added_tokens(tokenizer: Any) -> bool:  # noqa: ANN401
    """Return whether a tokenizer has a list of added tokens, which it searches for in texts.

    The result is False for tokenizers of mistral-common.
    """
    return isinstance(getattr(type(tokenizer), "added_tokens_decoder", None), property)


@lru_cache(maxsize=8)
def _control_tokens(tokenizer: Any, n_tokens: int, *, with_special: bool) -> dict[int, str]:  # noqa: ANN401
    """Return the added tokens that look like control tokens, as a dictionary from id to text.

    `n_tokens`, the vocabulary size, makes cached results invalid when tokens are added. Special
    tokens, which the tokenizer can split into ordinary tokens, are included if `with_special` is
    True.
    """
    del n_tokens
    return {
        n: token.content
        for n, token in tokenizer.added_tokens_decoder.items()
        if _CONTROL_SHAPE.fullmatch(token.content.strip()) and (with_special or not token.special)
    }


def _refuse_ids(text: str, ids: list[int], control: Mapping[int, str]) -> None:
    """Raise `InvalidInputError` if `ids` contains the id of a control token.

    `control` is a dictionary from id to text; `text` is used for the error message.
    """
    token = next((control[n] for n in ids if n in control), None)
    if token is not None:
        raise InvalidInputError(
            f"The text {text!r:.60} contains {token!r}, which is a control token of this model. "
            "Remove the token, or insert a space into it."
        )
