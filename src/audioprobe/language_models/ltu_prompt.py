"""LTU's prompts, in words and in tokens; the same in training and in use."""

from typing import Any

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt (`alpaca_short`); the sound is not mentioned in it."""

TRANSCRIPT_TEMPLATE = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
"""LTU-AS's prompt where words are spoken: they are its input."""


def write_prompt(question: str, transcript: str = "") -> str:
    """The text before an answer.

    Args:
        question: put in as it is, braces included.
        transcript: spoken words; "" leaves their heading out, as the originals do.
    """
    if not transcript:
        return TEMPLATE.replace("{}", question)
    before, between, after = TRANSCRIPT_TEMPLATE.split("{}")
    return f"{before}{question}{between}{transcript}{after}"


def tokenize(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401 - transformers has no types
    """Token ids, beginning-of-sequence first, whether or not the tokenizer puts it there."""
    ids: list[int] = tokenizer(text).input_ids
    start = tokenizer.bos_token_id
    return ids if ids[:1] == [start] else [start, *ids]
