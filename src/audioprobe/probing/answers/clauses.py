"""Words that decide how an answer is parsed, and the clauses in which they occur.

The words of all known languages are in `languages.toml`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audioprobe.io.config import read_toml

_NOTHING = re.compile("(?!)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Words of a language that decide how an answer is parsed, as patterns for lower-case text.

    Attributes:
        yes: words that mean "yes" at the start of a clause.
        no: words that mean "no" at the start of a clause.
        yes_alone: words that mean "yes" only as a whole clause (Spanish "si" also means "if").
        no_alone: words that mean "no" only as a whole clause ("no bird" is not an answer "no").
        negations: words that negate their clause.
        denials: words that deny, such as "wrong" in "that is wrong".
        confirmations: phrases that only confirm, such as "it is" and "that is true".
        statements: beginnings of statements about the sound, such as "there is". Such a statement
            means "no" if it has a negation.
        positives: beginnings of statements that mean "yes" if they have no negation.
        but: words that begin a restriction or withdraw an answer.
        asides: words in statements about the question, the file or the answer ("that is not an
            easy question"); these statements do not answer the question.
        hedges: words that express uncertainty.
        refusals: phrases that refuse to answer, or ask for more input before answering.
        concord: whether two negation words express a single negation ("no hay ningún").
    """

    yes: re.Pattern[str] = _NOTHING
    no: re.Pattern[str] = _NOTHING
    yes_alone: re.Pattern[str] = _NOTHING
    no_alone: re.Pattern[str] = _NOTHING
    negations: re.Pattern[str] = _NOTHING
    denials: re.Pattern[str] = _NOTHING
    confirmations: re.Pattern[str] = _NOTHING
    statements: re.Pattern[str] = _NOTHING
    positives: re.Pattern[str] = _NOTHING
    but: re.Pattern[str] = _NOTHING
    asides: re.Pattern[str] = _NOTHING
    hedges: re.Pattern[str] = _NOTHING
    refusals: re.Pattern[str] = _NOTHING
    concord: bool = False


def compile_words(entries: str, *, spaced: bool = True) -> re.Pattern[str]:
    """Return a regular expression that matches any of the entries.

    Args:
        entries: words or phrases, joined by "|".
        spaced: whether only whole words match; False for languages without spaces.
    """
    return re.compile(rf"(?<!\w)(?:{entries})(?!\w)" if spaced else f"(?:{entries})")


def _read_languages() -> tuple[tuple[Language, ...], dict[str, str]]:
    """Read `languages.toml`.

    Returns:
        The words of each language, and the phrases that are used for all languages, keyed by their
        purpose, such as "courtesy" (polite phrases).
    """
    data = read_toml(Path(__file__).parent / "languages.toml")

    def pattern(entries: list[str]) -> str:
        """Return the entries joined by "|".

        A name such as <IT> is replaced by the entries of the fragment "IT" in the file.
        """
        fragments = data["fragments"]
        return re.sub("<([A-Z]+)>", lambda m: pattern(fragments[m[1]]), "|".join(entries))

    languages = []
    for table in data["language"]:
        patterns = {key: pattern(value) for key, value in table.items() if isinstance(value, list)}
        spaced, concord = table.get("spaced", True), table.get("concord", False)
        compiled = {
            key: re.compile(text)
            if key in ("confirmations", "statements", "positives")
            else compile_words(text, spaced=spaced)
            for key, text in patterns.items()
        }
        languages.append(Language(concord=concord, **compiled))
    return tuple(languages), {key: pattern(entries) for key, entries in data["common"].items()}


LANGUAGES, COMMON = _read_languages()

_BREAK = re.compile(r"[,;:()\[\]{}/|=<>!…—–、。\n]+|\.(?!\d)|\s-+(?=\s)|-{2,}|\?")
_REFUSALS = [language.refusals for language in LANGUAGES]
_UNDECIDED = [
    *(pattern for language in LANGUAGES for pattern in (language.hedges, language.but)),
    *_REFUSALS,
    compile_words(COMMON["retractions"]),
    compile_words(COMMON["idioms"]),
    compile_words(COMMON["idioms_unspaced"], spaced=False),
]
_NEGATIONS = [language.negations for language in LANGUAGES]
_DENIALS = [language.denials for language in LANGUAGES]
_ASIDES = [language.asides for language in LANGUAGES]
_COURTESY = compile_words(COMMON["courtesy"])
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
    rf"(?:(?:{COMMON['openings']})(?!\w)|(?:{COMMON['openings_unspaced']}))\s*", re.IGNORECASE
)
_JOINS = compile_words(COMMON["joins"])
_CONTRAST = re.compile(
    rf"(?<!\w)(?:{COMMON['contrasts']})(?!\w)|(?:{COMMON['contrasts_unspaced']})", re.IGNORECASE
)


def is_undecided(sentence: str) -> bool:
    """Return whether a sentence hedges, refuses to answer, or withdraws or restricts an answer."""
    return _contains(_UNDECIDED, sentence)


def is_refusal(sentence: str) -> bool:
    """Return whether a sentence refuses to answer, or asks for more input before answering."""
    return _contains(_REFUSALS, sentence)


def is_aside(clause: str) -> bool:
    """Return whether a clause is about the question, file or answer instead of the sound."""
    return _contains(_ASIDES, clause)


def has_negation(text: str) -> bool:
    """Return whether a text has a negation, such as "not"."""
    return _contains(_NEGATIONS, text)


def is_negative(text: str) -> bool:
    """Return whether a text has a negation, or a word that denies, such as "wrong"."""
    return has_negation(text) or _contains(_DENIALS, text)


def _contains(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def without_courtesy(sentence: str) -> str:
    """Return the sentence without phrases such as "no doubt", whose "no" is not an answer."""
    return _COURTESY_INSIDE.sub(",", sentence)


def with_contrasts_split(sentence: str) -> str:
    """Return the sentence with "not A but B" replaced by "not A, B"."""
    contrast = _CONTRAST.search(sentence)
    if contrast and has_negation(sentence[: contrast.start()]):
        return f"{sentence[: contrast.start()]},{sentence[contrast.end() :]}"
    return sentence


def split_clauses(sentence: str, *, joins: bool = True) -> list[str]:
    """Return the clauses of a sentence; polite phrases are removed.

    Args:
        sentence: a sentence that `text.normalize` has returned.
        joins: whether words such as "and" and "because" also separate clauses.
    """
    pieces = _BREAK.split(sentence)
    if joins:
        pieces = [part for piece in pieces for part in _JOINS.split(piece)]
    stripped = (piece.strip(" -.+'") for piece in pieces)
    return [piece for piece in stripped if piece and not _COURTESY.fullmatch(piece)]


def without_opening(clause: str) -> str:
    """Return the clause without opening words, such as "well" and "the answer is"."""
    while (opening := _OPENING.match(clause)) and opening.end():
        clause = clause[opening.end() :].strip(" -")
    return clause
