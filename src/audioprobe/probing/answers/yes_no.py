"""Parse free-text answers to yes/no questions.

The parser decides for each clause whether it means "yes" or "no"; all clauses have to agree:

1. Reasoning, markup, JSON and tags are removed. A question at the end and polite phrases are
   ignored.
2. A clause that hedges, refuses to answer or withdraws an answer makes the answer invalid.
3. A word such as "yes" or "no" decides its clause. If the answer has such a word, other clauses may
   explain it but must not contradict it.
4. If there is no such word, each clause has to be a positive or negative statement ("there is no
   bird" means "no").

An answer that cannot be parsed is "invalid", because a missing answer does less harm than a wrong
answer.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

from audioprobe.probing.answers import clauses
from audioprobe.probing.answers.clauses import COMMON, LANGUAGES, Language, compile_words
from audioprobe.probing.answers.text import final_answer, is_question, split_sentences

YesNo: TypeAlias = Literal["yes", "no", "invalid"]
_Kind: TypeAlias = Literal[
    "yes", "no", "it is", "positive", "negative", "double", "other", "other negation"
]
"""Meaning of one clause of an answer.

`_side` explains most values; "other" and "other negation" are clauses that do not answer the
question, without and with a negation.
"""

_AFFIRMATION = compile_words(COMMON["affirmations"])
_DISBELIEF = re.compile(
    r"(?:well,? )?i (?:do not|don't) (?:think|believe|suppose)(?: that)? "
    r"(?=(?:it|this|that|there|they|the) ?(?:\w|'))(?!that$)"
)
_MENTION = re.compile(
    r"-\w| ?(?:is|isn't|was|wasn't|would|wouldn't|can|cannot|can't|could|seems|may|might|should"
    r"|answer|ist|wäre|est|serait|es|sería|é|seria|è|sarebbe|jest|byłoby)(?!\w)"
)
"""Words that follow "yes" or "no" in sentences about these words ("yes would be wrong")."""


@lru_cache(maxsize=10_000)  # models often give the same response
def parse_yes_no(text: str) -> YesNo:
    """Parse a model's free-text response to a yes/no question.

    Returns:
        "yes" or "no"; "invalid" if the answer hedges, refuses, contradicts itself, ends before the
        reasoning is complete, or cannot be parsed.
    """
    answer = final_answer(text)
    if not answer:
        return "invalid"
    if _AFFIRMATION.fullmatch(answer.strip(" .!。")):
        return "yes"  # in a longer answer, words such as "sure" are only polite
    kinds: list[_Kind] = []
    for sentence in split_sentences(answer):
        sentence_kinds = _kinds(sentence)
        if sentence_kinds is None:
            return "invalid"
        kinds += sentence_kinds
    return _combine(kinds)


def _combine(kinds: list[_Kind]) -> YesNo:
    """Return "yes" or "no" if all clauses agree, otherwise "invalid"."""
    says_yes, says_no = "yes" in kinds, "no" in kinds
    if "double" in kinds or (says_yes and says_no):
        return "invalid"
    if says_yes:
        unexplained = "other negation" in kinds and not {"positive", "it is"} & set(kinds)
        return "invalid" if "negative" in kinds or unexplained else "yes"
    if says_no:
        return "invalid" if "it is" in kinds else "no"
    stated = set(kinds)
    if stated == {"negative"}:
        return "no"
    return "yes" if stated and stated <= {"it is", "positive"} else "invalid"


def _kinds(sentence: str) -> list[_Kind] | None:
    """Return the meaning of each clause of a sentence, such as "yes" or "negative"; see `_side`.

    Return None if the sentence makes the whole answer invalid, because it hedges, refuses or
    withdraws an answer. Return [] for a question, which is ignored.
    """
    plain = clauses.without_courtesy(sentence)
    if is_question(plain):
        kinds = {kind for clause in clauses.split_clauses(plain) for kind in _clause_kinds(clause)}
        return None if clauses.is_refusal(plain) or kinds & {"yes", "no"} else []
    plain = clauses.with_contrasts_split(plain)
    if clauses.is_undecided(plain):
        return None
    disbelief = _DISBELIEF.match(plain)
    if disbelief:
        return _disbelief_kinds(plain[disbelief.end() :])
    return [kind for clause in clauses.split_clauses(plain) for kind in _clause_kinds(clause)]


def _disbelief_kinds(believed: str) -> list[_Kind] | None:
    """Return the meanings of a sentence such as "I don't think that it is a bird".

    `believed` is the text after "that". The meaning of the whole example is "no".
    Return None, for an invalid answer, if the first clause of `believed` is not positive.
    """
    first, *others = clauses.split_clauses(believed) or [""]
    kinds = list(_clause_kinds(first))
    if kinds not in (["it is"], ["positive"]):
        return None
    return ["no", *(kind for clause in others for kind in _clause_kinds(clause))]


def _clause_kinds(clause: str) -> Iterator[_Kind]:
    """Yield the meanings of a clause, such as "yes" or "negative"; `_side` explains the values.

    A leading "yes" or "no" has its own meaning, followed by the meaning of the words after it.
    Example: "no it is not a bird" yields "no", then "negative".
    """
    while True:
        repeated = _repeated(clause)
        if repeated:
            yield repeated
            return
        sides: set[_Kind] = {kind for language in LANGUAGES if (kind := _side(clause, language))}
        if clauses.is_aside(clause):
            sides &= {"yes", "no"}
        if sides:
            yield from sides
            return
        for language in LANGUAGES:
            beginnings: tuple[tuple[re.Pattern[str], _Kind], ...] = (
                (language.yes, "yes"),
                (language.no, "no"),
            )
            for pattern, kind in beginnings:
                start = pattern.match(clause)
                if start and not _MENTION.match(clause[start.end() :]):
                    yield kind
                    rest = clause[start.end() :].strip(" -")
                    if rest:
                        yield from _clause_kinds(rest)
                    return
        shorter = clauses.without_opening(clause)
        if shorter == clause:
            negated = clauses.is_negative(clause)
            yield "other negation" if negated else "other"
            return
        clause = shorter


def _side(clause: str, language: Language) -> _Kind | None:
    """Return the meaning of a clause, found with the words of one language.

    Returns:
        "yes" or "no" for a clause that consists of such a word; "it is" for a confirmation ("that
        is true"); "positive" for a statement without negation ("I hear a bird"); "negative" or
        "double" for a statement with one or with several negations; "other" for a confirmation or
        positive statement with a negation. None if the words of this language decide nothing.
    """
    if language.yes_alone.fullmatch(clause) or language.yes.fullmatch(clause):
        return "yes"
    if language.no_alone.fullmatch(clause) or language.no.fullmatch(clause):
        return "no"
    n_negations = len(language.negations.findall(clause))
    n_denials = len(language.denials.findall(clause))
    if language.concord:
        n_negations = min(n_negations, 1)
    negative = n_negations + n_denials
    if language.confirmations.match(clause):
        return "other" if negative else "it is"
    if language.positives.match(clause):
        return "other" if negative or clauses.has_negation(clause) else "positive"
    if negative and language.statements.match(clause):
        return "negative" if negative == 1 else "double"
    return None


def _repeated(clause: str) -> _Kind | None:
    """Return "yes" or "no" for a clause that repeats one word ("no no no"); None otherwise."""
    parts = clause.split()
    if len(parts) < 2 or len(set(parts)) > 1:
        return None
    kinds = {_side(parts[0], language) for language in LANGUAGES}
    if ("yes" in kinds) == ("no" in kinds):
        return None
    return "yes" if "yes" in kinds else "no"
