"""LTU's prompts, in words and in tokens; the same in training and in use."""

from typing import Any

from audioprobe.models.causal_lm.tokenization import text_ids

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt (`alpaca_short`); the sound is not mentioned in it."""

TRANSCRIPT_TEMPLATE = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
"""LTU-AS's prompt where words are spoken: they are its input."""


_END = "### Response:\n"


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
    """Token ids, beginning-of-sequence first, whether or not the tokenizer puts it there.

    Nothing in the text is a control token; the template has none.

    Raises:
        InvalidInputError: as `text_ids`.
    """
    ids = text_ids(tokenizer, text)
    start = tokenizer.bos_token_id
    return ids if ids[:1] == [start] else [start, *ids]


def continuation_ids(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Token ids of an answer as it stands behind a prompt.

    Tokenised by itself, an answer would begin with a space in LLaMA's vocabulary. One that would
    merge with the line break before it is tokenised by itself nevertheless.

    Raises:
        InvalidInputError: as `text_ids`.
    """
    before = text_ids(tokenizer, _END)
    whole = text_ids(tokenizer, _END + text)
    if whole[: len(before)] == before:
        return whole[len(before) :]
    return text_ids(tokenizer, text, add_special_tokens=False)
