"""Words that decide how an answer is parsed, by language, read from `languages.toml`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.io.config import read_toml

WORDS = Path(__file__).parent / "languages.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Words of a language: regular expressions for lower-case text.

    Attributes:
        name: name of the language.
        yes: words that mean "yes" at the start of a clause.
        no: words that mean "no" at the start of a clause.
        yes_alone: words that mean "yes" only as a whole clause (Spanish "si" also means "if").
        no_alone: words that mean "no" only as a whole clause ("no bird" is not an answer "no").
        negations: words that negate their clause.
        denials: negative predicates, as in "that is wrong".
        confirmations: phrases that only confirm, such as "it is" and "that is true".
        statements: words that begin a positive or negative statement about the sound.
        positives: words that begin a statement that means "yes" unless it has a negation.
        but: words that begin a restriction or a retraction.
        asides: words of statements that are not about the sound, but about the question, the file
            or the answer ("that is not an easy question").
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
    """Phrases in all languages that accompany an answer: regular expressions for lower-case text.

    The fields `..._unspaced` are for languages that do not separate words by spaces.

    Attributes:
        courtesy: clauses that are dropped: polite phrases, and references to the recording.
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
    """Compile a pattern that matches any of the words; whole words only if `spaced`."""
    if not entries:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{entries})(?!\w)" if spaced else f"(?:{entries})")


def compile_all(field: str) -> tuple[re.Pattern[str], ...]:
    """Compile one field of `Language`: one pattern per language."""
    return tuple(
        compile_words(entries, spaced=language.spaced)
        for language in LANGUAGES
        if (entries := getattr(language, field))
    )
