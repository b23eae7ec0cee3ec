"""Classify free-text answers by rules, or by a language model as the judge."""

from audioprobe.probing.answers.choice import parse_choice
from audioprobe.probing.answers.judging import Agreement, agreement, judge_trials
from audioprobe.probing.answers.yes_no import YesNo, parse_yes_no

__all__ = ["Agreement", "YesNo", "agreement", "judge_trials", "parse_choice", "parse_yes_no"]
