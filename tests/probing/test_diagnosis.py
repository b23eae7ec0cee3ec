"""A diagnosis needs so many concepts that a listener who guesses hardly ever gets one."""

import importlib

import pytest
from tests.processes import ROOT

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.diagnosis import MIN_CONCEPTS, TOO_FEW, diagnose
from audioprobe.probing.trial import Trial


def test_few_concepts_get_no_diagnosis_and_guessers_hardly_ever_one() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        script = importlib.import_module("guessing_listener")
    for n_concepts in (3, MIN_CONCEPTS - 1, MIN_CONCEPTS):
        trials = [
            Trial(question=q, response="", parsed=q.correct)
            for q in script.questions_of(n_concepts, 1)
        ]
        name = diagnose(trials, "free-text", Bootstrap(100)).name
        assert name == (TOO_FEW if n_concepts < MIN_CONCEPTS else "recognises and reasons")
    assert script.share_named(MIN_CONCEPTS, 1, 60) <= 0.05
