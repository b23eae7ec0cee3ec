"""Free text to an answer: yes, no, one of the options, or invalid.

An answer that cannot be read is not a wrong one: it is invalid, and counted. The rules are few, and
each is in the table of hard cases of the tests:

1. An answer that says both yes and no, or asks back, is invalid.
2. A hedge without a side ("maybe", "it could be", "I cannot tell") is invalid; one with a side ("I
   think so", "probably not") takes that side.
3. A word for yes or no at the beginning decides, in the languages below, unless the rest denies it.
4. Otherwise "it is" and "it is not" decide; a sentence that does neither is invalid.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, TypeAlias

Answer: TypeAlias = Literal["yes", "no", "invalid"]

_YES = (
    "yes|yeah|yep|yup|yea|aye|correct|true|affirmative|absolutely|certainly|definitely|indeed|sure|"
    "of course|right|that is right|that's right|exactly|"
    "ja|jawohl|si|sí|sì|oui|sim|да|tak|evet|hai|はい|是|是的|对|對|예|네|نعم"
)
_NO = (
    "no|nope|nah|nay|incorrect|false|negative|never|not really|not at all|not quite|wrong|"
    "definitely not|absolutely not|certainly not|of course not|probably not|not|"
    "nein|nee|non|não|nao|нет|nie|hayır|iie|いいえ|不|不是|否|아니요|아니오|لا"
)
_UNDECIDED = re.compile(
    r"\b(maybe|perhaps|possibly|might|may be|could be|could|unsure|uncertain|not sure|"
    r"not certain|unclear|hard to (say|tell)|difficult to (say|tell)|can ?not|can't|cannot|unable|"
    r"don't know|do not know|no idea|depends|sometimes|neither|i am sorry|i'm sorry|sorry)\b"
)
_BOTH = re.compile(
    r"\b(yes (and|or) no|no (and|or) yes|yes\s*/\s*no|no\s*/\s*yes|yes but also no)\b"
)
_LEANING = re.compile(
    r"^((i|we) (would )?(think|believe|say|guess|suppose)( that)?|probably|most likely|likely|"
    r"presumably|well|hmm+|um+|the answer is|my answer is|answer|a|so)\b[\s,:]*"
)
_THINKS_SO = re.compile(r"^(i|we) (think|believe|guess|suppose|would say) so\b")
_THINKS_NOT = re.compile(r"^(i|we) (do not|don't) (think|believe) (so|it is|that)\b")
_IS_NOT = re.compile(
    r"^(it|this|that|there|the sound|what is heard)('s| is| are| does| was)?"
    r"( not\b|n't\b)|^(it|this|that|there) (isn't|aren't|doesn't|wasn't)\b"
)
_IS = re.compile(r"^((it|this|that|there) (is|are|does|was)|(it|that)'s)\b")
_BARE = ("it is", "this is", "that is", "it does", "there is")
_NO_DOUBT = re.compile(r"\b(without|no|not a|beyond)( a)? (doubt|question|problem)\b")
_STARTS_YES = re.compile(rf"^({_YES})(?!\w)")
_STARTS_NO = re.compile(rf"^({_NO})(?!\w)")
_LETTER = re.compile(r"^(?:option |answer |the answer is )?\(?([a-z])\)?(?:[.:)]|$)")


def yes_or_no(text: str) -> Answer:
    """Read an answer to a question of yes or no.

    Args:
        text: as the model wrote it.
    """
    said = _plain(text)
    if not said or said.endswith("?") or _BOTH.search(said):
        return "invalid"
    said = _NO_DOUBT.sub(" ", said).strip(" ,.;:")
    if _THINKS_SO.match(said):
        return "yes"
    if _THINKS_NOT.match(said):
        return "no"
    while lean := _LEANING.match(said):
        said = said[lean.end() :]
    first, rest = _side(said)
    if first is None:
        return "invalid"
    return "invalid" if _denies(first, rest) else first


def chosen(text: str, options: Sequence[str]) -> int | None:
    """Read an answer to a question of choice.

    Args:
        text: as the model wrote it.
        options: as they were offered.

    Returns:
        The position of the one option that it names, by its words or by its letter ("B" is the
        second); None where it names none, or several, or denies one.
    """
    said = _plain(text)
    if not said or said.endswith("?"):
        return None
    named = [n for n, option in enumerate(options) if _names(said, option, options)]
    if len(named) == 1:
        return None if _denied(said, options[named[0]]) else named[0]
    letter = _LETTER.match(said)
    if not named and letter and ord(letter[1]) - ord("a") < len(options):
        return ord(letter[1]) - ord("a")
    return None


def _plain(text: str) -> str:
    """Lower case, one space, without quotes and marks of emphasis around words."""
    said = unicodedata.normalize("NFC", text).casefold().replace("’", "'")
    said = re.sub(r'[*_`"“”„«»]', " ", said)
    said = re.sub(r"^\W+(?<![?(])", "", said)
    return re.sub(r"\s+", " ", said).strip(" .!。,;:")


def _side(said: str) -> tuple[Answer | None, str]:
    """Yes or no by the beginning, and what comes after it."""
    for pattern, side in ((_STARTS_NO, "no"), (_STARTS_YES, "yes")):
        found = pattern.match(said)
        if found and not _UNDECIDED.match(said):
            return side, said[found.end() :]  # type: ignore[return-value]
    if _UNDECIDED.search(said):
        return None, ""
    if _IS_NOT.match(said):
        return "no", ""
    return ("yes", "") if _IS.match(said) else (None, "")


def _denies(first: Answer, rest: str) -> bool:
    """Whether the rest takes back what the beginning said."""
    after = rest.strip(" ,.;:!-")
    if _UNDECIDED.match(after):
        return True
    other = _STARTS_NO if first == "yes" else _STARTS_YES
    if other.match(after):
        return True
    return bool(_IS_NOT.match(after)) if first == "yes" else after in _BARE


def _names(said: str, option: str, options: Sequence[str]) -> bool:
    """Whether an option is named by itself, not inside a longer one."""
    longer = [_bare(o) for o in options if _bare(option) in _bare(o) and o != option]
    for other in longer:
        said = re.sub(rf"\b{re.escape(other)}\b", " ", said)
    return re.search(rf"\b{re.escape(_bare(option))}\b", said) is not None


def _denied(said: str, option: str) -> bool:
    return (
        re.search(rf"\b(not|no|n't|never)( an?| the)? {re.escape(_bare(option))}\b", said)
        is not None
    )


def _bare(option: str) -> str:
    """Without its article: "a bird" is named by "bird"."""
    return re.sub(r"^(an?|the) ", "", option.casefold())
