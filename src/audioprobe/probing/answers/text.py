"""Normalise the free-text answer of a model, and split it into sentences."""

import html
import json
import re
import unicodedata
from collections.abc import Iterator

from audioprobe.responses import split_reasoning

_ANSWER_KEYS = frozenset({
    "answer", "final_answer", "finalanswer", "response", "result", "label", "choice", "option",
    "output", "prediction", "selected", "value", "text",
})  # fmt: skip
_MAX_OBJECTS = 20  # largest number of JSON objects in one answer
_TOKEN = re.compile(r"<\|[^|<>]{0,40}\|>|\[/?INST\]|</?s>")
_ROLE = re.compile(r"\A\s*(?:assistant|model|ai|bot)\s*(?::|\n)", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LATEX = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")
_FENCE = re.compile(r"```[A-Za-z]*")
_LIST_MARK = re.compile(r"^[ \t]*(?:[-+•>·–—#]+[ \t]+|\d{1,2}[.)][ \t]+)", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？…])(?=\s|$|[\"')\]])|(?<=[?。！？])|\n+")


def final_answer(text: str) -> str | None:
    """Return the answer in a model's response as plain lower-case text.

    Reasoning, control tokens, tags, and the syntax of JSON, LaTeX and Markdown are removed, and the
    text is normalised; see `normalize`. Line breaks and brackets remain.

    Returns:
        The answer; None if the response ends before the reasoning is complete.
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
    return normalize(plain)


def normalize(text: str) -> str:
    """Return a text in lower case, in Unicode form NFKC, without symbols and invisible characters.

    Apostrophes become straight; white space becomes single spaces and line breaks.
    """
    plain = _visible(unicodedata.normalize("NFKC", text))
    plain = re.sub(r"[’‘ʼ´`]", "'", plain).casefold()
    plain = unicodedata.normalize("NFKC", plain)
    plain = _LIST_MARK.sub("", plain)
    plain = re.sub(r"(?<!\w)'|'(?!\w)", " ", plain)
    plain = "".join(" " if _is_mark(c) else c for c in plain)
    plain = re.sub(r"[^\S\n]+", " ", plain)
    return re.sub(r" *\n[ \n]*", "\n", plain).strip()


def _visible(text: str) -> str:
    """Remove invisible, private-use and unassigned characters."""
    lines = text.replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def split_sentences(plain: str) -> Iterator[str]:
    """Yield the sentences of a normalised text, each with its final punctuation mark."""
    for sentence in _SENTENCE_END.split(plain):
        stripped = sentence.strip(" \n")
        if stripped:
            yield stripped


def is_question(sentence: str) -> bool:
    """Return whether a sentence is a question."""
    end = sentence.rstrip(" \n.!:)]}")
    return end.endswith("?") or bool(re.search(r"(?:吗|呢|ですか|ますか|까요|습니까)$", end))


def _is_mark(character: str) -> bool:
    """Return whether a character is not text: emphasis, quotation mark, emoji or LaTeX."""
    if character in '*_~"“”„«»「」『』$\\' or "\ufe00" <= character <= "\ufe0f":
        return True  # the range contains marks that select the form of an emoji
    return unicodedata.category(character) in ("So", "Sk", "Me")


def _without_json(text: str) -> str:
    """Return the text with each JSON object replaced by the strings in the object, one per line.

    The values of keys such as "answer" come before other values.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_JsonObject)
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


class _JsonObject(list[tuple[str, object]]):
    """JSON object as a list of keys and values; unlike in a dict, a key may occur twice."""


def _texts(value: object) -> list[str]:
    """Return the strings in a JSON value; true becomes "yes", and false becomes "no"."""
    if isinstance(value, _JsonObject):
        named = [item for key, item in value if key.casefold().replace(" ", "_") in _ANSWER_KEYS]
        others = [
            item
            for key, item in value
            if key.casefold().replace(" ", "_") not in _ANSWER_KEYS
            and not isinstance(item, bool | int | float)
        ]
        return [text for item in (*named, *others) for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [value] if isinstance(value, str) else []
