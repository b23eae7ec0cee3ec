"""The words that decide an answer, of all languages."""

from audioprobe.probing.answers.asian_words import CHINESE, JAPANESE, KOREAN, OTHERS
from audioprobe.probing.answers.english_words import ENGLISH, Language
from audioprobe.probing.answers.european_words import (
    FRENCH,
    GERMAN,
    ITALIAN,
    POLISH,
    PORTUGUESE,
    RUSSIAN,
    SPANISH,
)  # fmt: skip

__all__ = ["LANGUAGES", "Language"]

LANGUAGES = (
    ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN, POLISH, RUSSIAN, CHINESE, JAPANESE,
    KOREAN, OTHERS,
)  # fmt: skip
