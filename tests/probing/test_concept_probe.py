"""A probe measures models with known abilities exactly, and counts all missing data."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.probing.known_models import (
    CLIPS,
    CONCEPTS,
    NAMES,
    always_yes,
    confuse,
    know_all,
    know_names,
    known_model,
    recognise_half,
    recognise_nothing,
)

from audioprobe import Clip, Prompt, Response, Scripted, Waveform, Windowing, probing
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeConcept, ProbeOutcome, PromptingOptions
from audioprobe.protocols import LanguageModel

CONDITIONS = ("text", "audio", "wrong clip", "silence", "no audio", "caption")
FEW = Bootstrap(100)


def run(model: LanguageModel, **options: object) -> ProbeOutcome:
    defaults = {"conditions": CONDITIONS, "concepts": CONCEPTS, "bootstrap": FEW, "n_clips": 1}
    return ConceptProbe(model, **defaults | options)("hypernym", CLIPS)  # type: ignore[arg-type]


@cache
def perfect() -> ProbeOutcome:
    return run(known_model())


def test_a_perfect_model_is_always_correct_and_has_no_modality_gap() -> None:
    outcome = perfect()
    assert outcome.score(condition="text").accuracy.value == 1.0
    assert outcome.score(condition="audio").accuracy.value == 1.0
    assert outcome.modality_gap().difference.value == 0.0
    assert outcome.given_recognised().accuracy.value == 1.0
    assert outcome.diagnosis().name == "recognises and reasons"
    reliance = outcome.audio_reliance().difference.value
    assert reliance is not None
    assert reliance > 0.2


def test_a_model_that_ignores_the_audio_is_at_chance_in_audio() -> None:
    outcome = run(known_model(recognise_nothing))
    for relation in ("hypernym", "identity"):
        assert outcome.score(condition="audio", relation=relation).accuracy.value == 0.5
    assert outcome.score(condition="text").accuracy.value == 1.0
    assert outcome.modality_gap().difference.value == pytest.approx(0.5)
    assert outcome.audio_reliance().difference.value == 0.0
    assert outcome.diagnosis().name == "ignores the audio, reasons in text"


def test_always_yes_is_at_chance_with_zero_sensitivity() -> None:
    outcome = run(always_yes())
    for condition in ("text", "audio"):
        score = outcome.score(condition=condition)
        assert score.accuracy.value == 0.5
        assert score.yes_rate.value == 1.0
        assert score.d_prime.value == pytest.approx(0.0)
        assert score.criterion.value is not None
        assert score.criterion.value < -1
    assert outcome.diagnosis().name == "always says yes"


def test_a_model_without_class_knowledge_recognises_but_does_not_reason() -> None:
    outcome = run(known_model(knows=know_names))
    assert outcome.score(condition="audio", relation="identity").accuracy.value == 1.0
    assert outcome.diagnosis().name == "recognises but does not reason"


def test_the_gap_of_a_model_that_confuses_sounds_is_all_perception() -> None:
    outcome = run(known_model(confuse))
    gap = outcome.modality_gap()
    assert outcome.score(condition="text").accuracy.value == 1.0
    assert gap.reasoning.value == 0.0
    assert gap.perception.value == pytest.approx(gap.difference.value)
    assert outcome.diagnosis().name == "reasons in text but does not recognise"


def test_the_parts_of_the_gap_add_up() -> None:
    outcome = run(known_model(recognise_half), conditions=("text", "audio"))
    gap = outcome.modality_gap()
    parts = [part.value or 0.0 for part in (gap.perception, gap.reasoning, gap.unknown)]
    assert sum(parts) == pytest.approx(gap.difference.value)
    assert parts[0] > 0
    assert parts[1] == pytest.approx(0.0)
    assert gap.mcnemar is not None
    assert gap.mcnemar.p_value is not None
    assert gap.mcnemar.p_value < 0.01
    assert sum(gap.contingency) == gap.difference.n
    # Classes are correct where the concept was recognised, and not over all clips.
    overall = outcome.score(condition="audio", relation="hypernym").accuracy.value
    assert overall is not None
    assert overall < 0.9
    assert outcome.given_recognised().accuracy.value == 1.0
    assert outcome.given_recognised().n_trials > 0


def test_the_blind_guesser_is_at_chance_on_balanced_questions() -> None:
    outcome = run(always_yes(), negatives=("random", "popular"), conditions=("text", "audio"))
    for score in outcome.by("condition", "relation", "negatives").values():
        assert score.blind_accuracy.value == pytest.approx(0.5)


def test_each_reading_is_scored_on_its_own() -> None:
    outcome = perfect()
    assert outcome.reading == "likelihood"
    assert outcome.score("free-text", condition="audio").accuracy.value == 1.0
    assert outcome.score("likelihood", condition="audio").accuracy.value == 1.0
    corrected = outcome.score("prior-corrected", condition="audio")
    # Where the prior is the same, the options tie: an invalid answer, which is counted.
    assert corrected.n_invalid > 0
    assert corrected.accuracy.value == 1.0
    assert corrected.accuracy.n_undefined == corrected.n_invalid
    assert corrected.strict_accuracy.value is not None
    assert corrected.strict_accuracy.value < 1
    assert outcome.score("prior-corrected", condition="text").n_trials == 0


def test_negated_questions_and_choices_have_their_own_correct_answers() -> None:
    outcome = run(
        known_model(),
        forms=("yes-no", "negated", "choice"),
        n_orders=4,
        conditions=("text", "audio"),
        concepts=CONCEPTS.subset(NAMES[:12]),
    )
    forms = outcome.by("form", condition="audio")
    assert {form: score.accuracy.value for (form,), score in forms.items()} == {
        "yes-no": 1.0,
        "negated": 1.0,
        "choice": 1.0,
    }
    positions = [t.question.correct for t in outcome.where(form="choice", condition="text")]
    assert np.bincount(positions).tolist() == [len(positions) // 4] * 4


def test_hypernym_chains_have_depth_and_contradictions() -> None:
    def no_birds(concept: ProbeConcept, target: str) -> bool:
        return target != "a bird" and know_all(concept, target)

    outcome = run(known_model(knows=no_birds), conditions=("audio",))
    chains = {chain.concept: chain for chain in outcome.hypernym_chains("audio")}
    crow = chains["crow"]
    assert crow.levels == ("a crow", "a bird", "an animal")
    assert (crow.depth, crow.contradictions) == (1, 1)
    assert chains["rain"].contradictions == 0


def test_an_outcome_survives_files_and_does_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    outcome = perfect()
    file = outcome.save(tmp_path / "new")
    again = ProbeOutcome.load(file)
    assert again == ProbeOutcome.load(tmp_path / "new") == outcome
    file.write_text(file.read_text("utf-8")[:-9], "utf-8")
    with pytest.raises(InvalidInputError, match=file.name):
        ProbeOutcome.load(file)
    assert again.score(condition="audio") == outcome.score(condition="audio")
    batches = [Scripted(lambda _: "Yes.", batch_size=n) for n in (1, 7)]
    few = {"concepts": CONCEPTS.subset(NAMES[:8]), "conditions": ("text", "audio")}
    first, second = (run(model, **few).trials for model in batches)
    assert first == second


def test_a_model_without_likelihoods_is_read_by_its_responses() -> None:
    class TextOnly:
        info = known_model().info

        def generate(self, prompts: Iterator[Prompt], decoding: object = None) -> object:
            return known_model().generate(prompts)

    outcome = run(TextOnly(), conditions=("text", "audio"))  # type: ignore[arg-type]
    assert outcome.reading == "free-text"
    assert outcome.score(condition="audio").accuracy.value == 1.0
    assert outcome.score("likelihood", condition="audio").n_trials == 0


def test_empty_responses_are_invalid_and_empty_captions_are_failures() -> None:
    silent = Scripted(lambda _: Response(""))
    outcome = run(silent, options=PromptingOptions(likelihoods=False))
    score = outcome.score(condition="audio")
    assert score.accuracy.value is None
    assert score.strict_accuracy.value == 0.0
    assert score.n_invalid == score.n_trials > 0
    assert outcome.diagnosis().name == "undecided"
    captions = outcome.score(condition="caption")
    assert captions.n_failed == captions.n_trials > 0


def test_unparsable_responses_are_invalid() -> None:
    outcome = run(Scripted("banana"), conditions=("text", "audio"))
    score = outcome.score(condition="text")
    assert score.accuracy.value is None
    assert score.n_invalid == score.n_trials > 0
    assert outcome.modality_gap().difference.value is None
    assert outcome.diagnosis().name == "undecided"


def test_where_all_likelihoods_tie_responses_are_read() -> None:
    outcome = run(Scripted("Yes."), conditions=("text", "audio"))  # equal likelihoods for all texts
    assert any(trial.log_likelihoods for trial in outcome.trials)
    assert outcome.reading == "free-text"
    assert outcome.diagnosis().name == "always says yes"


def test_a_sound_that_the_model_refuses_fails_its_own_trials_only() -> None:
    def refuse_loud(prompt: Prompt) -> str:
        if prompt.audio is not None and prompt.audio.samples.max() > 0.305:
            raise UnsupportedInputError("too loud")
        return "Yes."

    loud = Clip(id="loud", labels=("dog",), waveform=Waveform(np.full(800, 0.31, np.float32), 8000))
    clips = [loud if clip.labels == ("dog",) else clip for clip in CLIPS]
    options = PromptingOptions(likelihoods=False)
    probe = ConceptProbe(
        Scripted(refuse_loud), concepts=CONCEPTS, conditions=("audio",), options=options
    )
    outcome = probe("hypernym", clips)
    assert {trial.question.clip for trial in outcome.trials if trial.failure} == {"loud"}
    assert outcome.score().n_failed == sum(bool(trial.failure) for trial in outcome.trials) > 0


def test_clips_without_a_concept_and_concepts_without_clips_are_listed() -> None:
    unknown = Clip(id="unknown", labels=("a teapot",), waveform=CLIPS[0].waveform)
    several = Clip(id="several", labels=("crow", "rain"), waveform=CLIPS[0].waveform)
    probe = ConceptProbe(
        known_model(), concepts=CONCEPTS, bootstrap=FEW, conditions=("audio",), n_clips=1
    )
    outcome = probe("hypernym", [*CLIPS[:8], unknown, several])
    assert dict(outcome.unassigned) == {"unknown": "a teapot", "several": "crow, rain"}
    assert set(outcome.without_clips) == set(NAMES[8:])
    with pytest.raises(InvalidInputError, match="None of 1 clips belongs to a concept"):
        probe("hypernym", [unknown])


def test_one_set_of_negatives_may_be_empty_but_not_all_of_them() -> None:
    few = CONCEPTS.subset(["rooster", "violin", "rain"])
    probe = ConceptProbe(known_model(), concepts=few, negatives=("random", "adversarial"))
    outcome = probe("synonym")
    assert {t.question.pair.negatives for t in outcome.trials} == {"random"}
    assert {negatives for _, _, negatives in outcome.unmatched} == {"adversarial"}
    with pytest.raises(InvalidInputError, match="none for crow"):
        ConceptProbe(known_model(), concepts=CONCEPTS.subset(["crow"]))()


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'audio'"):
        ConceptProbe(known_model(), conditions=("audoi",))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="needs clips"):
        ConceptProbe(known_model(), conditions=("audio",))()
    with pytest.raises(InvalidInputError, match="recorded words"):
        ConceptProbe(known_model(), conditions=("spoken word",))("hypernym", CLIPS)
    with pytest.raises(InvalidInputError, match="Expected a relation"):
        ConceptProbe(known_model())("hyponym")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="Did you mean 'concept'"):
        perfect().by("cocnept")


def test_spoken_words_stand_for_the_concept() -> None:
    spoken = {clip.labels[0]: clip.waveform for clip in CLIPS if clip.labels and clip.waveform}
    probe = ConceptProbe(
        known_model(), concepts=CONCEPTS, conditions=("text", "spoken word"), bootstrap=FEW
    )
    outcome = probe("hypernym", spoken=spoken)
    assert outcome.score(condition="spoken word").accuracy.value == 1.0
    assert outcome.modality_gap(second="spoken word").difference.value == 0.0


def test_all_public_names_exist() -> None:
    assert [name for name in probing.__all__ if not hasattr(probing, name)] == []


def test_windowing_is_used_and_recorded() -> None:
    lengths = []

    def answer(prompt: Prompt) -> str:
        if prompt.audio is not None:
            lengths.append((prompt.audio.samples.size, prompt.audio.sample_rate))
        return "yes"

    rate = CLIPS[0].waveform.sample_rate if CLIPS[0].waveform else 0
    clips = [
        Clip(id=clip.id, labels=clip.labels, waveform=Waveform(np.full(3 * rate, 0.1), rate))
        for clip in CLIPS
    ]
    windowing = Windowing(length="crop", seconds=2.0, sample_rate=rate // 2)
    probe = ConceptProbe(
        Scripted(answer),
        concepts=CONCEPTS,
        conditions=("audio",),
        bootstrap=FEW,
        windowing=windowing,
    )
    outcome = probe("hypernym", clips)
    assert set(lengths) == {(rate, rate // 2)}
    options = outcome.provenance.options
    assert (options["length"], options["seconds"], options["channels"]) == ("crop", 2.0, "mean")
    assert options["sample_rate"] == rate // 2
    assert set(outcome.seconds_cut.values()) == {1.0}
    whole = ConceptProbe(
        Scripted(answer),
        concepts=CONCEPTS,
        conditions=("audio",),
        bootstrap=FEW,
        windowing=Windowing(length="whole"),
    )("hypernym", clips)
    assert not whole.seconds_cut
    with pytest.raises(InvalidInputError, match='got "windows"'):
        ConceptProbe(Scripted("yes"), windowing=Windowing())
