"""A free answer to a question of yes or no.

The side of each clause is found; all have to agree:

1. Reasoning, markup, JSON and tags are removed; a question at the end decides nothing, and neither
   does courtesy.
2. A hedge, a refusal or a retraction anywhere makes the answer invalid.
3. A word as "yes" or "no" decides its clause. Where there is one, other clauses may explain it, and
   must not deny it.
4. Without such a word each clause has to be a statement that is positive or negative: a copula
   decides with its complement ("there is no bird" is a no).

An answer that cannot be read is invalid, which is always better than a wrong side.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from audioprobe.probing.answers import clauses as said
from audioprobe.probing.answers.courtesy_words import AFFIRMATIONS
from audioprobe.probing.answers.text import answer_of, is_question, sentences
from audioprobe.probing.answers.words import LANGUAGES, Language

YesNo: TypeAlias = Literal["yes", "no", "invalid"]
_Kind: TypeAlias = Literal[
    "yes", "no", "it is", "positive", "negative", "double", "unread", "unread negation"
]

_AFFIRMED = said.words(AFFIRMATIONS)
_DOUBT = re.compile(
    r"(?:well,? )?i (?:do not|don't) (?:think|believe|suppose)(?: that)? "
    r"(?=(?:it|this|that|there|they|the) ?(?:\w|'))(?!that$)"
)
_SPOKEN_OF = re.compile(
    r"-\w| ?(?:is|isn't|was|wasn't|would|wouldn't|can|cannot|can't|could|seems|may|might|should"
    r"|answer|ist|wäre|est|serait|es|sería|é|seria|è|sarebbe|jest|byłoby)(?!\w)"
)
"""After a word of yes or no: a sentence about the word ("yes would be wrong")."""


@dataclass(frozen=True, slots=True)
class _Patterns:
    yes: re.Pattern[str]
    no: re.Pattern[str]
    yes_alone: re.Pattern[str]
    no_alone: re.Pattern[str]
    confirmations: re.Pattern[str]
    statements: re.Pattern[str]
    positives: re.Pattern[str]


def parse_yes_no(text: str) -> YesNo:
    """Read a free answer to a question of yes or no.

    Args:
        text: as the model wrote it.

    Returns:
        "yes" or "no", or "invalid" where the answer hedges, refuses, contradicts itself, is not
        reached within the reasoning, or cannot be read.
    """
    answer = answer_of(text)
    if not answer:
        return "invalid"
    if _AFFIRMED.fullmatch(answer.strip(" .!。")):
        return "yes"  # as a part of an answer it is courtesy
    kinds: list[_Kind] = []
    for sentence in sentences(answer):
        found = _kinds(sentence)
        if found is None:
            return "invalid"
        kinds += found
    return _together(kinds)


def _together(kinds: list[_Kind]) -> YesNo:
    """Return the side on which all clauses agree."""
    says_yes, says_no = "yes" in kinds, "no" in kinds
    if "double" in kinds or (says_yes and says_no):
        return "invalid"
    if says_yes:
        unexplained = "unread negation" in kinds and not {"positive", "it is"} & set(kinds)
        return "invalid" if "negative" in kinds or unexplained else "yes"
    if says_no:
        return "invalid" if "it is" in kinds else "no"
    stated = set(kinds)
    if stated == {"negative"}:
        return "no"
    return "yes" if stated and stated <= {"it is", "positive"} else "invalid"


def _kinds(sentence: str) -> list[_Kind] | None:
    """Return what the clauses of a sentence say, None where it makes the answer invalid."""
    plain = said.without_courtesy(sentence)
    if is_question(plain):
        asked = {kind for clause in said.clauses(plain) for kind in _clause_kinds(clause)}
        return None if said.refuses(plain) or asked & {"yes", "no"} else []
    plain = said.with_contrasts_split(plain)
    if said.undecided(plain):
        return None
    doubt = _DOUBT.match(plain)
    if doubt:
        return _denied(plain[doubt.end() :])
    return [kind for clause in said.clauses(plain) for kind in _clause_kinds(clause)]


def _denied(believed: str) -> list[_Kind] | None:
    """Return what "I don't think that …" says."""
    first, *others = said.clauses(believed) or [""]
    kinds = list(_clause_kinds(first))
    if kinds not in (["it is"], ["positive"]):
        return None
    return ["no", *(kind for clause in others for kind in _clause_kinds(clause))]


def _clause_kinds(clause: str) -> Iterator[_Kind]:
    """Yield what a clause says; two things for a word of yes or no and what follows it."""
    while True:
        repeated = _repeated(clause)
        if repeated:
            yield repeated
            return
        sides: set[_Kind] = {kind for language in LANGUAGES if (kind := _side(clause, language))}
        if said.found(said.ASIDES, clause):
            sides &= {"yes", "no"}
        if sides:
            yield from sides
            return
        for language in LANGUAGES:
            patterns = _patterns(language)
            beginnings: tuple[tuple[re.Pattern[str], _Kind], ...] = (
                (patterns.yes, "yes"),
                (patterns.no, "no"),
            )
            for pattern, kind in beginnings:
                start = pattern.match(clause)
                if start and not _SPOKEN_OF.match(clause[start.end() :]):
                    yield kind
                    rest = clause[start.end() :].strip(" -")
                    if rest:
                        yield from _clause_kinds(rest)
                    return
        shorter = said.without_opening(clause)
        if shorter == clause:
            negated = said.found((*said.NEGATIONS, *said.DENIALS), clause)
            yield "unread negation" if negated else "unread"
            return
        clause = shorter


def _side(clause: str, language: Language) -> _Kind | None:
    """Return what a whole clause says in a language, None where it says nothing."""
    patterns = _patterns(language)
    if patterns.yes_alone.fullmatch(clause) or patterns.yes.fullmatch(clause):
        return "yes"
    if patterns.no_alone.fullmatch(clause) or patterns.no.fullmatch(clause):
        return "no"
    n_negations = said.count(language.negations, clause, language)
    n_denials = said.count(language.denials, clause, language)
    if language.concord:
        n_negations = min(n_negations, 1)
    negative = n_negations + n_denials
    if patterns.confirmations.match(clause):
        return "unread" if negative else "it is"
    if patterns.positives.match(clause):
        return "unread" if negative or said.found(said.NEGATIONS, clause) else "positive"
    if negative and patterns.statements.match(clause):
        return "negative" if negative == 1 else "double"
    return None


def _repeated(clause: str) -> _Kind | None:
    """Return the side of one word said again and again ("no no no")."""
    parts = clause.split()
    if len(parts) < 2 or len(set(parts)) > 1:
        return None
    kinds = {_side(parts[0], language) for language in LANGUAGES}
    if ("yes" in kinds) == ("no" in kinds):
        return None
    return "yes" if "yes" in kinds else "no"


@cache
def _patterns(language: Language) -> _Patterns:
    """Compile the words of a language."""

    def compiled(entries: str) -> re.Pattern[str]:
        return said.words(entries, spaced=language.spaced)

    return _Patterns(
        yes=compiled(language.yes),
        no=compiled(language.no),
        yes_alone=compiled(language.yes_alone),
        no_alone=compiled(language.no_alone),
        confirmations=re.compile(language.confirmations or "(?!)"),
        statements=re.compile(language.statements or "(?!)"),
        positives=re.compile(language.positives or "(?!)"),
    )
