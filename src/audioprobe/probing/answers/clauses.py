"""Split answers into clauses and detect hedges, refusals and negations in all known languages."""

import re
from collections.abc import Iterable

from audioprobe.probing.answers.languages import COMMON, Language, compile_all, compile_words

_BREAK = re.compile(r"[,;:()\[\]{}/|=<>!…—–、。\n]+|\.(?!\d)|\s-+(?=\s)|-{2,}|\?")
_HEDGES = (
    *compile_all("hedges"),
    *compile_all("refusals"),
    compile_words(COMMON.retractions),
    compile_words(COMMON.idioms),
    compile_words(COMMON.idioms_unspaced, spaced=False),
)
_REFUSALS = compile_all("refusals")
_BUT = compile_all("but")
ASIDES = compile_all("asides")
NEGATIONS = compile_all("negations")
DENIALS = compile_all("denials")
_COURTESY = compile_words(COMMON.courtesy)
_COURTESY_INSIDE = compile_words(
    r"no (?:problem|worries|doubt)(?: about (?:it|that))?|without (?:a|any) (?:doubt|question)"
    r"|beyond (?:a |any )?doubt|there is no doubt|sans (?:aucun|nul) doute"
    r"|ohne (?:jeden )?zweifel|kein zweifel"
    r"|sin (?:ninguna )?duda(?: alguna)?|sem (?:qualquer )?dúvida|senza (?:alcun )?dubbio"
    r"|bez wątpienia|без сомнени[яй]"
    # After a negated question, this phrase explains an answer and is not an answer itself.
    r"|(?:it's|it is|it would be|that's|that is) (?:wrong|incorrect|false|inaccurate)"
    r" to (?:say|call|claim|state|describe|assert)(?!\w)[^.!?,;\n]*"
    r"|(?:please )?(?:let me know|feel free|just ask)(?![^.!\n]*(?:audio|recording|file|upload"
    r"|share"
    r"|provide))[^.!\n]*(?:else|more|help\w*|questions?|assist\w*|further|details)[^.!\n]*"
)
_OPENING = re.compile(
    rf"(?:(?:{COMMON.openings})(?!\w)|(?:{COMMON.openings_unspaced}))\s*", re.IGNORECASE
)
_JOINS = compile_words(COMMON.joins)
_CONTRAST = re.compile(
    rf"(?<!\w)(?:{COMMON.contrasts})(?!\w)|(?:{COMMON.contrasts_unspaced})", re.IGNORECASE
)


def matches_any(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    """Return whether any of the patterns occurs in a text."""
    return any(pattern.search(text) for pattern in patterns)


def is_undecided(sentence: str) -> bool:
    """Return whether a sentence hedges, refuses, or retracts or restricts an answer."""
    return matches_any(_HEDGES, sentence) or matches_any(_BUT, sentence)


def is_refusal(sentence: str) -> bool:
    """Return whether a sentence refuses to answer, or asks for more input before answering."""
    return matches_any(_REFUSALS, sentence)


def without_courtesy(sentence: str) -> str:
    """Remove phrases such as "no doubt", whose negation word does not negate the answer."""
    return _COURTESY_INSIDE.sub(",", sentence)


def with_contrasts_split(sentence: str) -> str:
    """Replace "not A but B" by "not A, B"."""
    contrast = _CONTRAST.search(sentence)
    if contrast and matches_any(NEGATIONS, sentence[: contrast.start()]):
        return f"{sentence[: contrast.start()]},{sentence[contrast.end() :]}"
    return sentence


def split_clauses(sentence: str, *, joins: bool = True) -> list[str]:
    """Split a sentence into clauses; polite phrases and empty clauses are dropped.

    Args:
        sentence: normalised by `text.normalize`.
        joins: whether words such as "and" and "because" also separate clauses.
    """
    pieces = _BREAK.split(sentence)
    if joins:
        pieces = [part for piece in pieces for part in _JOINS.split(piece)]
    stripped = (piece.strip(" -.+'") for piece in pieces)
    return [piece for piece in stripped if piece and not _COURTESY.fullmatch(piece)]


def without_opening(clause: str) -> str:
    """Remove opening words, such as "well" and "the answer is", from a clause."""
    while (opening := _OPENING.match(clause)) and opening.end():
        clause = clause[opening.end() :].strip(" -")
    return clause


def count_words(entries: str, text: str, language: Language) -> int:
    """Return the number of occurrences of the listed words in a text."""
    return len(compile_words(entries, spaced=language.spaced).findall(text))
