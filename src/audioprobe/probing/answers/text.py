"""Free text of a model as plain sentences: without reasoning, markup and symbols."""

import html
import json
import re
import unicodedata
from collections.abc import Iterator

from audioprobe.responses import split_reasoning

_ANSWER_KEYS = frozenset(
    [
        "answer",
        "final_answer",
        "finalanswer",
        "response",
        "result",
        "label",
        "choice",
        "option",
        "output",
        "prediction",
        "selected",
        "value",
        "text",
    ]
)
_MAX_OBJECTS = 20  # of JSON in one answer
_TOKEN = re.compile(r"<\|[^|<>]{0,40}\|>|\[/?INST\]|</?s>")
_ROLE = re.compile(r"\A\s*(?:assistant|model|ai|bot)\s*(?::|\n)", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LATEX = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")
_FENCE = re.compile(r"```[A-Za-z]*")
_LIST_MARK = re.compile(r"^[ \t]*(?:[-+•>·–—#]+[ \t]+|\d{1,2}[.)][ \t]+)", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？…])(?=\s|$|[\"')\]])|(?<=[?。！？])|\n+")


def answer_of(text: str) -> str | None:
    """Return the answer as plain lower-case text, None where it was not reached.

    Reasoning, control tokens, tags, JSON, LaTeX and the marks of Markdown are removed. Unicode is
    normalised (NFKC), apostrophes are straight, invisible characters are dropped. Line breaks and
    brackets stay.

    Args:
        text: as the model wrote it.
    """
    answer = split_reasoning(text)[1]
    if answer is None:
        return None
    plain = unicodedata.normalize("NFKC", html.unescape(_TOKEN.sub(" ", answer)))
    plain = _ROLE.sub("", _visible(plain))
    plain = _without_json(_FENCE.sub("\n", plain))
    plain = _TAG.sub("\n", plain)
    while _LATEX.search(plain):
        plain = _LATEX.sub(r"(\1)", plain)
    return folded(plain)


def folded(text: str) -> str:
    """Return text in one spelling: case, quotes, symbols and white space make no difference."""
    plain = _visible(unicodedata.normalize("NFKC", text))
    plain = re.sub(r"[’‘ʼ´`]", "'", plain).casefold()
    plain = unicodedata.normalize("NFKC", plain)
    plain = _LIST_MARK.sub("", plain)
    plain = re.sub(r"(?<!\w)'|'(?!\w)", " ", plain)
    plain = "".join(" " if _is_mark(c) else c for c in plain)
    plain = re.sub(r"[^\S\n]+", " ", plain)
    return re.sub(r" *\n[ \n]*", "\n", plain).strip()


def _visible(text: str) -> str:
    """Drop characters without a meaning of their own: invisible, private and unassigned ones."""
    lines = text.replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def sentences(plain: str) -> Iterator[str]:
    """Yield the sentences of a plain text, with the mark at their end."""
    for sentence in _SENTENCE_END.split(plain):
        stripped = sentence.strip(" \n")
        if stripped:
            yield stripped


def is_question(sentence: str) -> bool:
    """Return whether a sentence asks something."""
    end = sentence.rstrip(" \n.!:)]}")
    return end.endswith("?") or bool(re.search(r"(?:吗|呢|ですか|ますか|까요|습니까)$", end))


def _is_mark(character: str) -> bool:
    """Return whether a character only decorates: emphasis, quotes, emoji, LaTeX."""
    if character in '*_~"“”„«»「」『』$\\':
        return True
    return unicodedata.category(character) in ("So", "Sk", "Mn", "Me") and not _belongs(character)


def _belongs(character: str) -> bool:
    """Return whether a combining mark is part of a letter, as in Hindi or after NFKC."""
    return unicodedata.category(character) == "Mn" and not "\ufe00" <= character <= "\ufe0f"


def _without_json(text: str) -> str:
    """Replace objects of JSON by the texts in them, one a line, the answer first."""
    decoder = json.JSONDecoder(object_pairs_hook=_MarkupPairs)
    for _ in range(_MAX_OBJECTS):
        start = next((n for n in re.finditer(r"[{\[]\s*[\"'\[{]", text)), None)
        if start is None:
            return text
        begin = start.start()
        rest = text[begin:]
        value = end = None
        for candidate in (rest, re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", '"', rest)):
            try:
                value, end = decoder.raw_decode(candidate)
                break
            except (json.JSONDecodeError, RecursionError):
                continue
        if end is None:
            return text
        text = f"{text[:begin]}\n{chr(10).join(_texts(value))}\n{rest[end:]}"
    return text


class _MarkupPairs(list[tuple[str, object]]):
    """An object of JSON; unlike a dict it keeps a key that stands twice."""


def _texts(value: object) -> list[str]:
    if isinstance(value, _MarkupPairs):
        named = [item for key, item in value if key.casefold().replace(" ", "_") in _ANSWER_KEYS]
        others = [
            item
            for key, item in value
            if key.casefold().replace(" ", "_") not in _ANSWER_KEYS
            and not isinstance(item, bool | int | float)
        ]
        return [_text for item in (*named, *others) for _text in _texts(item)]
    if isinstance(value, list):
        return [_text for item in value for _text in _texts(item)]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [value] if isinstance(value, str) else []
