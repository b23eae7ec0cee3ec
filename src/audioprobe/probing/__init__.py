"""Questions about concepts to language models: how their free answers are parsed."""

from audioprobe.probing.choice import parse_choice
from audioprobe.probing.yes_no import YesNo, parse_yes_no

__all__ = ["YesNo", "parse_choice", "parse_yes_no"]
