"""Words that decide how an answer is parsed, and the clauses in which they occur.

The words of all known languages are in `languages.toml`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.io.config import read_toml

WORDS = Path(__file__).parent / "languages.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Words of a language that decide how an answer is parsed.

    Each field is a regular expression for lower-case text.

    Attributes:
        name: name of the language.
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
        spaced: whether words are separated by spaces.
        concord: whether two negation words express a single negation ("no hay ningún").
    """

    name: str
    yes: str = ""
    no: str = ""
    yes_alone: str = ""
    no_alone: str = ""
    negations: str = ""
    denials: str = ""
    confirmations: str = ""
    statements: str = ""
    positives: str = ""
    but: str = ""
    asides: str = ""
    hedges: str = ""
    refusals: str = ""
    spaced: bool = True
    concord: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonPhrases:
    """Phrases of all languages that occur beside an answer.

    Each field is a regular expression for lower-case text. The fields `..._unspaced` are for
    languages that do not separate words by spaces.

    Attributes:
        courtesy: clauses that are removed: polite phrases, and references to the recording.
        openings: words that are removed from the beginning of a clause.
        openings_unspaced: `openings` for languages without spaces.
        affirmations: words that mean "yes" only as the whole answer.
        retractions: phrases that withdraw an answer.
        idioms: phrases with a negation word that does not answer the question ("no doubt").
        idioms_unspaced: `idioms` for languages without spaces.
        contrasts: patterns that deny one thing and state another ("not a bird but a dog").
        contrasts_unspaced: `contrasts` for languages without spaces.
        joins: words that separate clauses, such as "and".
    """

    courtesy: str
    openings: str
    openings_unspaced: str
    affirmations: str
    retractions: str
    idioms: str
    idioms_unspaced: str
    contrasts: str
    contrasts_unspaced: str
    joins: str


def _read_languages() -> tuple[tuple[Language, ...], CommonPhrases]:
    """Read `languages.toml`; a name such as <IT> stands for the alternatives of a fragment."""
    data = read_toml(WORDS)
    fragments: dict[str, list[str]] = data["fragments"]

    def pattern(entries: list[str]) -> str:
        text = "|".join(entries)
        return re.sub("<([A-Z]+)>", lambda match: pattern(fragments[match[1]]), text)

    def patterns(table: dict[str, Any]) -> dict[str, Any]:
        return {
            k: pattern(value) if isinstance(value, list) else value for k, value in table.items()
        }

    languages = tuple(Language(**patterns(table)) for table in data["language"])
    return languages, CommonPhrases(**patterns(data["common"]))


LANGUAGES, COMMON = _read_languages()


def compile_words(entries: str, *, spaced: bool = True) -> re.Pattern[str]:
    """Return a pattern that finds any of the words; only as whole words if `spaced`."""
    if not entries:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{entries})(?!\w)" if spaced else f"(?:{entries})")


def compile_all(field: str) -> tuple[re.Pattern[str], ...]:
    """Return the patterns of one field of `Language`, one for each language that has words."""
    return tuple(
        compile_words(entries, spaced=language.spaced)
        for language in LANGUAGES
        if (entries := getattr(language, field))
    )


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
    """Return whether a text contains a match of any of the patterns."""
    return any(pattern.search(text) for pattern in patterns)


def is_undecided(sentence: str) -> bool:
    """Return whether a sentence hedges, refuses to answer, or withdraws or restricts an answer."""
    return matches_any(_HEDGES, sentence) or matches_any(_BUT, sentence)


def is_refusal(sentence: str) -> bool:
    """Return whether a sentence refuses to answer, or asks for more input before answering."""
    return matches_any(_REFUSALS, sentence)


def without_courtesy(sentence: str) -> str:
    """Return the sentence without phrases such as "no doubt", whose "no" is not an answer."""
    return _COURTESY_INSIDE.sub(",", sentence)


def with_contrasts_split(sentence: str) -> str:
    """Return the sentence with "not A but B" replaced by "not A, B"."""
    contrast = _CONTRAST.search(sentence)
    if contrast and matches_any(NEGATIONS, sentence[: contrast.start()]):
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


def count_words(entries: str, text: str, language: Language) -> int:
    """Return how often words of a language occur in a text; `entries` is a field of `Language`."""
    return len(compile_words(entries, spaced=language.spaced).findall(text))
