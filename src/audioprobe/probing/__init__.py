"""Questions about concepts to language models: how their free answers are parsed and judged."""

from audioprobe.probing.choice import parse_choice
from audioprobe.probing.judging import Agreement, FreeAnswer, JudgedAnswer, agreement, judge
from audioprobe.probing.yes_no import YesNo, parse_yes_no

__all__ = [
    "Agreement", "FreeAnswer", "JudgedAnswer", "YesNo", "agreement", "judge", "parse_choice",
    "parse_yes_no",
]  # fmt: skip
