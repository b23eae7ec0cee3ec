"""Accuracy is compared between concepts with and without training recordings."""

import pytest
from scipy.stats import spearmanr
from tests.probing.known_models import CLIPS, CONCEPTS, known_model, recognise_half

from audioprobe import LTU
from audioprobe.datasets.debian import recordings, training_counts
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome, familiarity
from audioprobe.training_data import TrainingData, TrainingRecording


@pytest.fixture(scope="module")
def outcome() -> ProbeOutcome:
    probe = ConceptProbe(
        known_model(recognise_half),
        concepts=CONCEPTS,
        conditions=("text", "audio"),
        bootstrap=Bootstrap(100),
        n_clips=1,
    )
    return probe("hypernym", CLIPS)


def test_scores_are_those_of_concepts_with_and_without_recordings(outcome: ProbeOutcome) -> None:
    names = [concept.id for concept in CONCEPTS.concepts]
    counts = {name: n % 4 for n, name in enumerate(names)}
    result = familiarity(outcome, counts)
    trials = outcome.where(condition="audio")
    for score, is_familiar in ((result.familiar, True), (result.unfamiliar, False)):
        correct = [
            bool(trial.is_correct(outcome.reading))
            for trial in trials
            if bool(counts[trial.question.pair.concept]) is is_familiar
        ]
        assert score.n_trials == len(correct)
        assert score.strict_accuracy.value == pytest.approx(sum(correct) / len(correct))
    assert result.familiar.n_trials + result.unfamiliar.n_trials == len(trials)
    values = list(result.accuracies.values())
    assert len(set(values)) > 1
    expected = spearmanr([counts[name] for name in result.accuracies], values).statistic
    assert result.correlation.value == pytest.approx(expected)
    assert result.correlation.n == len(values)


def test_equal_counts_have_no_correlation(outcome: ProbeOutcome) -> None:
    counts = {concept.id: 1 for concept in CONCEPTS.concepts}
    result = familiarity(outcome, counts)
    assert result.correlation.value is None
    assert (result.unfamiliar.n_trials, result.unfamiliar.accuracy.value) == (0, None)


def test_missing_counts_are_not_zero(outcome: ProbeOutcome) -> None:
    with pytest.raises(InvalidInputError, match="Pass 0 for a concept"):
        familiarity(outcome, {})


def test_training_recordings_of_mini_are_counted_by_concept() -> None:
    data = LTU.from_pretrained("mini").training_data
    assert data is not None
    counts = training_counts(data)
    by_id = {recording.id: recording for recording in recordings()}
    assert counts["crow"] == sum("crow" in by_id[r.recording].concepts for r in data.recordings)
    assert counts["crow"] > 0
    assert min(counts.values()) == 0
    other = TrainingRecording(recording="mine.wav", n_bytes=1, sha256="0" * 64)
    with pytest.raises(InvalidInputError, match=r"1 of 1 training recordings .* 'mine.wav'"):
        training_counts(TrainingData("mine", (other,)))
