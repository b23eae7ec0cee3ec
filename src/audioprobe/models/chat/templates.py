"""Chat templates: where they are, the date they get, how they end."""

from datetime import date
from typing import Any

from transformers import PreTrainedTokenizerBase

from audioprobe.responses import split_reasoning

TEMPLATE_DATE = date(2024, 7, 26)
"""The date that chat templates get: prompts must not depend on the day they are written."""


def template_of(processor: Any, tokenizer: Any) -> str | None:  # noqa: ANN401
    """The chat template of a processor, or else of its tokenizer; None where there is none."""
    template = getattr(processor, "chat_template", None) or getattr(
        tokenizer, "chat_template", None
    )
    return template.get("default") if isinstance(template, dict) else template


def dated(template: str) -> str:
    """A chat template in which `strftime_now` writes a fixed date.

    transformers passes no functions to templates, so it is a macro. An empty expression follows it,
    for a line break behind a block would be lost.
    """
    replaced = "".join(
        f" | replace('%{letter}', '{TEMPLATE_DATE.strftime(f'%{letter}')}')"
        for letter in "aAbBdfHIjmMpSwyY"
    )
    macro = f"{{% macro strftime_now(format) %}}{{{{ format{replaced} }}}}{{% endmacro %}}"
    return f"{macro}{{{{ '' }}}}{template}"


def has_template_in_code(tokenizer: Any) -> bool:  # noqa: ANN401
    """Whether a tokenizer writes conversations by itself, as mistral-common's does."""
    return type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template


def opening_mark(text: str, question: str) -> str:
    """The mark that opens reasoning at the end of a prompt, as in DeepSeek-R1's template."""
    after = text[text.rfind(question.strip()) + len(question.strip()) :]
    mark = after[max(after.rfind(bracket) for bracket in "<[◁") :] if after else ""
    return mark if split_reasoning(mark)[1] is None else ""
