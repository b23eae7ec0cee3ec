"""Classify free-text answers by rules, or by a language model as the judge."""

from audioprobe.probing.answers.choice import parse_choice
from audioprobe.probing.answers.judging import (
    Agreement,
    FreeAnswer,
    Judgement,
    agreement,
    judge_answers,
)
from audioprobe.probing.answers.yes_no import YesNo, parse_yes_no

__all__ = [
    "Agreement",
    "FreeAnswer",
    "Judgement",
    "YesNo",
    "agreement",
    "judge_answers",
    "parse_choice",
    "parse_yes_no",
]
