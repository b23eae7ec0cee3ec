"""Exchange with other tools: data sets of Hugging Face, tasks of inspect_ai, and logs.

`audioprobe.exchange.huggingface` needs the extra `data`; `inspect_task`, `inspect_log` and
`inspect_model` need the extra `exchange`. They are imported by their full names.
"""

from audioprobe.exchange.analysis import analyze_logs
from audioprobe.exchange.dataset_card import DatasetCard, HuggingFaceExport
from audioprobe.exchange.inspect_folder import (
    InspectQuestions,
    read_inspect_questions,
    write_inspect,
)
from audioprobe.exchange.lmms_eval import read_lmms_eval
from audioprobe.exchange.log_analysis import LogAnalysis, LogDifference, LogScore
from audioprobe.exchange.logs import read_log, read_outcome
from audioprobe.exchange.scored_log import ScoredLog
from audioprobe.exchange.tables import (
    AudioTable,
    classification_table,
    question_table,
    trial_table,
)

__all__ = [
    "AudioTable",
    "DatasetCard",
    "HuggingFaceExport",
    "InspectQuestions",
    "LogAnalysis",
    "LogDifference",
    "LogScore",
    "ScoredLog",
    "analyze_logs",
    "classification_table",
    "question_table",
    "read_inspect_questions",
    "read_lmms_eval",
    "read_log",
    "read_outcome",
    "trial_table",
    "write_inspect",
]
