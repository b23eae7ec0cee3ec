"""Clauses of an answer, and what the words in them say, in all known languages."""

import re
from collections.abc import Iterable

from audioprobe.probing.answers import courtesy_words as around
from audioprobe.probing.answers.words import LANGUAGES, Language

_BREAK = re.compile(r"[,;:()\[\]{}/|=<>!…—–、。\n]+|\.(?!\d)|\s-+(?=\s)|-{2,}|\?")


def words(entries: str, *, spaced: bool = True) -> re.Pattern[str]:
    """Compile entries of a word list; in a spaced language they match whole words."""
    if not entries:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{entries})(?!\w)" if spaced else f"(?:{entries})")


def of_all(field: str) -> tuple[re.Pattern[str], ...]:
    """Compile one list of every language."""
    return tuple(
        words(entries, spaced=language.spaced)
        for language in LANGUAGES
        if (entries := getattr(language, field))
    )


_HEDGES = (
    *of_all("hedges"),
    *of_all("refusals"),
    words(around.RETRACTIONS),
    words(around.IDIOMS),
    words(around.IDIOMS_UNSPACED, spaced=False),
)
_REFUSALS = of_all("refusals")
_BUT = of_all("but")
ASIDES = of_all("asides")
NEGATIONS = of_all("negations")
DENIALS = of_all("denials")
_COURTESY = words(around.COURTESY)
_COURTESY_INSIDE = words(
    r"no (?:problem|worries|doubt)(?: about (?:it|that))?|without (?:a|any) (?:doubt|question)"
    r"|beyond (?:a |any )?doubt|there is no doubt|sans (?:aucun|nul) doute"
    r"|ohne (?:jeden )?zweifel|kein zweifel"
    r"|sin (?:ninguna )?duda(?: alguna)?|sem (?:qualquer )?dúvida|senza (?:alcun )?dubbio"
    r"|bez wątpienia|без сомнени[яй]"
    # To a negated question a reason for the side, and no side by itself.
    r"|(?:it's|it is|it would be|that's|that is) (?:wrong|incorrect|false|inaccurate)"
    r" to (?:say|call|claim|state|describe|assert)(?!\w)[^.!?,;\n]*"
    r"|(?:please )?(?:let me know|feel free|just ask)(?![^.!\n]*(?:audio|recording|file|upload"
    r"|share"
    r"|provide))[^.!\n]*(?:else|more|help\w*|questions?|assist\w*|further|details)[^.!\n]*"
)
_OPENING = re.compile(
    rf"(?:(?:{around.OPENINGS})(?!\w)|(?:{around.OPENINGS_UNSPACED}))\s*", re.IGNORECASE
)
_JOINS = words(around.JOINS)
_CONTRAST = re.compile(
    rf"(?<!\w)(?:{around.CONTRASTS})(?!\w)|(?:{around.CONTRASTS_UNSPACED})", re.IGNORECASE
)


def found(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    """Return whether one of the patterns occurs in a text."""
    return any(pattern.search(text) for pattern in patterns)


def undecided(sentence: str) -> bool:
    """Return whether a sentence hedges, refuses, takes back, or restricts."""
    return found(_HEDGES, sentence) or found(_BUT, sentence)


def refuses(sentence: str) -> bool:
    """Return whether a sentence refuses or asks for something first."""
    return found(_REFUSALS, sentence)


def without_courtesy(sentence: str) -> str:
    """Remove phrases as "no doubt" that hold words of a negation."""
    return _COURTESY_INSIDE.sub(",", sentence)


def with_contrasts_split(sentence: str) -> str:
    """Replace "not A but B" by "not A, B"."""
    contrast = _CONTRAST.search(sentence)
    if contrast and found(NEGATIONS, sentence[: contrast.start()]):
        return f"{sentence[: contrast.start()]},{sentence[contrast.end() :]}"
    return sentence


def clauses(sentence: str, *, joins: bool = True) -> list[str]:
    """Split a sentence; courtesy and empty clauses are dropped.

    Args:
        sentence: in one spelling.
        joins: whether words as "and" and "because" separate clauses too.
    """
    pieces = _BREAK.split(sentence)
    if joins:
        pieces = [part for piece in pieces for part in _JOINS.split(piece)]
    stripped = (piece.strip(" -.+'") for piece in pieces)
    return [piece for piece in stripped if piece and not _COURTESY.fullmatch(piece)]


def without_opening(clause: str) -> str:
    """Remove words as "well" and "the answer is" at the beginning."""
    while (opening := _OPENING.match(clause)) and opening.end():
        clause = clause[opening.end() :].strip(" -")
    return clause


def count(entries: str, text: str, language: Language) -> int:
    """Return how often words of a list occur in a text."""
    return len(words(entries, spaced=language.spaced).findall(text))
