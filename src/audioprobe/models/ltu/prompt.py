"""LTU's prompt templates and their tokenisation, used in both training and inference."""

from typing import Any

from audioprobe.models.causal_lm.tokenization import text_ids

TEMPLATE = "### Instruction:\n{}\n\n### Response:\n"
"""LTU's prompt template (`alpaca_short`); it does not mention the audio."""

TRANSCRIPT_TEMPLATE = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
"""LTU-AS's prompt template for audio with speech: the transcript is the input."""

_END = "### Response:\n"


def write_prompt(question: str, transcript: str = "") -> str:
    """Return the prompt text that precedes a response.

    Args:
        question: the question, inserted unchanged even if it contains braces.
        transcript: spoken words; "" omits the transcript section, as in the authors' code.
    """
    if not transcript:
        return TEMPLATE.replace("{}", question)
    before, between, after = TRANSCRIPT_TEMPLATE.split("{}")
    return f"{before}{question}{between}{transcript}{after}"


def tokenize(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401 - transformers has no types
    """Return the token ids of a prompt, with the beginning-of-sequence token first.

    No part of the text is read as a control token.

    Raises:
        InvalidInputError: as for `text_ids`.
    """
    ids = text_ids(tokenizer, text)
    start = tokenizer.bos_token_id
    return ids if ids[:1] == [start] else [start, *ids]


def continuation_ids(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Return the token ids of a response that follows a prompt.

    LLaMA's tokenizer would add a space at the start of a response that is tokenised alone. The
    response is therefore tokenised after the end of the template, unless its beginning would merge
    with the preceding line break.

    Raises:
        InvalidInputError: as for `text_ids`.
    """
    before = text_ids(tokenizer, _END)
    ids = text_ids(tokenizer, _END + text)
    if ids[: len(before)] == before:
        return ids[len(before) :]
    return text_ids(tokenizer, text, add_special_tokens=False)
