"""The words that decide an answer, by language, read from `languages.toml`."""

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
        yes: begin a "yes" with any continuation.
        no: begin a "no" with any continuation.
        yes_alone: are a "yes" only as a whole clause ("si" is also "if").
        no_alone: are a "no" only as a whole clause ("no" is also "no bird").
        negations: negate their clause.
        denials: negative complements: "that is wrong".
        confirmations: positive statements without content: "it is", "that is true".
        statements: begin a statement about the question's subject, positive or negative.
        positives: begin a statement that is a "yes" unless it has a negation.
        but: begin a restriction or a retraction.
        asides: mark a statement about the question, the file or the answer instead of the sound
            ("that is not an easy question").
        hedges: leave the answer open.
        refusals: refuse to answer, or ask for something first.
        spaced: whether words are separated by spaces.
        concord: whether two negations negate once ("no hay ningún").
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
    """Phrases of all languages around an answer: regular expressions for lower-case text.

    Attributes:
        courtesy: clauses that are dropped: politeness, and references to the recording.
        openings: words that are cut off the beginning of a clause.
        openings_unspaced: the same in languages without spaces.
        affirmations: are a "yes" only as the whole answer.
        retractions: take an answer back.
        idioms: contain a negation that does not answer the question.
        idioms_unspaced: the same in languages without spaces.
        contrasts: join a denied and a stated thing: "not a bird but a dog".
        contrasts_unspaced: the same in languages without spaces.
        joins: separate clauses.
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
    """Compile alternatives; in a language with spaces they match whole words."""
    if not entries:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{entries})(?!\w)" if spaced else f"(?:{entries})")


def compile_all(field: str) -> tuple[re.Pattern[str], ...]:
    """Compile one field of every language."""
    return tuple(
        compile_words(entries, spaced=language.spaced)
        for language in LANGUAGES
        if (entries := getattr(language, field))
    )
