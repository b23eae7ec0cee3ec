"""A diagnosis needs so many concepts that a guessing model hardly ever gets one."""

import importlib

import pytest
from tests.processes import ROOT

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import Trial, diagnose
from audioprobe.probing.diagnosis import MIN_CONCEPTS, TOO_FEW


def test_few_concepts_and_guessing_models_get_no_diagnosis() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        script = importlib.import_module("guessing_listener")
    for n_concepts in (3, MIN_CONCEPTS - 1, MIN_CONCEPTS):
        trials = [
            Trial(question=question, response="", parsed=question.correct)
            for question in script.questions_of(n_concepts, 1)
        ]
        name = diagnose(trials, "free-text", Bootstrap(50)).name
        assert name == (TOO_FEW if n_concepts < MIN_CONCEPTS else "recognises and reasons")
    assert script.share_named(MIN_CONCEPTS, 1, 60) <= 0.05
