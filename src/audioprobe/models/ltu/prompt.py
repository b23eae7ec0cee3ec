"""LTU's prompts as text and as token ids, the same in training and in inference."""

from typing import Any

from audioprobe.models.causal_lm.tokenization import text_ids

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt template (`alpaca_short`); it does not mention the audio."""

TRANSCRIPT_TEMPLATE = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
"""LTU-AS's prompt template for audio with speech: the transcript is the input."""

_END = "### Response:\n"


def write_prompt(question: str, transcript: str = "") -> str:
    """Return the text that precedes a response.

    Args:
        question: inserted unchanged, braces included.
        transcript: spoken words; "" omits their heading, as the originals do.
    """
    if not transcript:
        return TEMPLATE.replace("{}", question)
    before, between, after = TRANSCRIPT_TEMPLATE.split("{}")
    return f"{before}{question}{between}{transcript}{after}"


def tokenize(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401 - transformers has no types
    """Return the token ids of a prompt, with the beginning-of-sequence token first.

    No part of the text becomes a control token.

    Raises:
        InvalidInputError: as `text_ids`.
    """
    ids = text_ids(tokenizer, text)
    start = tokenizer.bos_token_id
    return ids if ids[:1] == [start] else [start, *ids]


def continuation_ids(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Return the token ids of a response as it follows a prompt.

    A response tokenised separately would begin with a space in LLaMA's vocabulary. If its beginning
    would merge with the line break before it, it is tokenised separately nevertheless.

    Raises:
        InvalidInputError: as `text_ids`.
    """
    before = text_ids(tokenizer, _END)
    ids = text_ids(tokenizer, _END + text)
    if ids[: len(before)] == before:
        return ids[len(before) :]
    return text_ids(tokenizer, text, add_special_tokens=False)
