"""Prompt templates in data files, and the prompt levels of classification."""

from audioprobe.prompts.levels import Control, PromptLevel, label_caption, shipped_templates
from audioprobe.prompts.template import PromptTemplate, read_templates

__all__ = [
    "Control",
    "PromptLevel",
    "PromptTemplate",
    "label_caption",
    "read_templates",
    "shipped_templates",
]
