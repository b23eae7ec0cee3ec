"""A probe tells listeners apart whose talents are known, and counts whatever is missing."""

import numpy as np
import pytest
from tests.probing.listeners import (
    ASKED,
    CLIPS,
    SUBJECTS,
    knows_names,
    listener,
    misheard,
    yes_sayer,
)

from audioprobe import Clip, Prompt, Response, Scripted, Waveform
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.trial import AnswerReading
from audioprobe.protocols import LanguageModel

CONDITIONS = ("text", "audio", "wrong clip", "silence", "no audio", "caption")
FEW = Bootstrap(200)


def outcome(model: LanguageModel, **options: object) -> ProbeOutcome:
    wanted = {"conditions": CONDITIONS, "concepts": SUBJECTS, "bootstrap": FEW} | options
    return ConceptProbe(model, **wanted)("hypernym", CLIPS)  # type: ignore[arg-type]


def test_a_perfect_listener_is_right_everywhere_and_has_no_gap() -> None:
    found = outcome(listener())
    assert found.score(condition="text").accuracy.value == 1.0
    assert found.score(condition="audio").accuracy.value == 1.0
    assert found.modality_gap().difference.value == 0.0
    assert found.given_recognised().accuracy.value == 1.0
    assert found.diagnosis().name == "recognises and reasons"
    reliance = found.audio_reliance().difference
    assert reliance.value is not None
    assert reliance.value > 0.2


def test_a_deaf_one_is_right_exactly_half_of_the_time_and_the_gap_is_the_rest() -> None:
    found = outcome(listener(ear=lambda _: ""))
    for relation in ("hypernym", "identity"):
        assert found.score(condition="audio", relation=relation).accuracy.value == 0.5
    text = found.score(condition="text").accuracy.value
    assert text == 1.0
    assert found.modality_gap().difference.value == pytest.approx(text - 0.5)
    assert found.audio_reliance().difference.value == 0.0
    assert found.diagnosis().name.startswith("ignores the audio")


def test_a_yes_sayer_is_right_half_of_the_time_and_tells_nothing_apart() -> None:
    found = outcome(yes_sayer())
    for condition in ("text", "audio"):
        score = found.score(condition=condition)
        assert score.accuracy.value == 0.5
        assert score.yes_rate.value == 1.0
        assert score.d_prime.value == pytest.approx(0.0)
        assert score.criterion.value is not None
        assert score.criterion.value < -1
    assert found.diagnosis().name == "always says yes"


def test_one_that_hears_but_cannot_reason() -> None:
    found = outcome(listener(mind=knows_names))
    assert found.score(condition="audio", relation="identity").accuracy.value == 1.0
    assert found.diagnosis().name == "recognises but does not reason"


def test_one_that_reasons_but_cannot_hear_loses_all_by_perception() -> None:
    found = outcome(listener(ear=misheard))
    gap = found.modality_gap()
    assert found.score(condition="text").accuracy.value == 1.0
    assert gap.reasoning.value == 0.0
    assert gap.perception.value == pytest.approx(gap.difference.value)
    assert found.diagnosis().name == "reasons in text but does not recognise"


def test_a_blind_guesser_reaches_exactly_one_half_on_balanced_questions() -> None:
    found = outcome(listener(), negatives=("random", "popular"))
    for score in found.by("condition", "relation", "negatives").values():
        assert score.blind_accuracy.value == pytest.approx(0.5)


def test_free_answers_likelihoods_and_calibrated_ones_are_read_apart() -> None:
    found = outcome(listener())
    assert found.reading == "likelihood"
    readings: tuple[AnswerReading, ...] = ("free-text", "likelihood")
    for reading in readings:
        assert found.score(reading, condition="audio").accuracy.value == 1.0
    calibrated = found.score("prior-corrected", condition="audio")
    # Where the prior says the same, nothing is left to choose by: a tie is unread, and counted.
    assert calibrated.n_invalid > 0
    assert calibrated.accuracy.value == 1.0
    assert calibrated.accuracy.n_undefined == calibrated.n_invalid
    assert calibrated.strict_accuracy.value is not None
    assert calibrated.strict_accuracy.value < 1
    assert found.score("prior-corrected", condition="text").n_trials == 0


def test_the_gap_splits_into_parts_that_add_up() -> None:
    def half_deaf(prompt: Prompt) -> str:
        from tests.probing.listeners import heard

        name = heard(prompt)
        return name if name and ASKED.index(name) % 2 else ""

    gap = outcome(listener(ear=half_deaf)).modality_gap()
    parts = [gap.perception.value, gap.reasoning.value, gap.unknown.value]
    assert gap.difference.value is not None
    assert sum(p or 0.0 for p in parts) == pytest.approx(gap.difference.value)
    assert gap.perception.value
    assert gap.perception.value > 0
    assert gap.reasoning.value == pytest.approx(0.0)
    assert gap.mcnemar is not None
    assert gap.mcnemar.p_value is not None
    assert gap.mcnemar.p_value < 0.01
    assert sum(gap.contingency) == gap.difference.n


def test_negated_questions_and_choices_have_their_own_right_answers() -> None:
    found = outcome(listener(), forms=("yes-no", "negated", "choice"), n_orders=4)
    forms = found.by("form", condition="audio")
    assert {key[0] for key in forms} == {"yes-no", "negated", "choice"}
    for (form,), score in forms.items():
        assert score.accuracy.value == 1.0, form
    places = [t.question.correct for t in found.where(form="choice", condition="text")]
    assert np.bincount(places).tolist() == [len(places) // 4] * 4


def test_the_ladder_has_depth_and_contradictions() -> None:
    def no_birds(subject: object, target: str) -> bool:
        from tests.probing.listeners import knows

        return target != "a bird" and knows(subject, target)  # type: ignore[arg-type]

    climbs = {
        climb.concept: climb for climb in outcome(listener(mind=no_birds)).hypernym_chains("audio")
    }
    crow = climbs["crow"]
    assert crow.levels == ("a crow", "a bird", "an animal")
    assert (crow.depth, crow.contradictions) == (1, 1)
    assert climbs["rain"].contradictions == 0


def test_results_survive_the_disk_and_do_not_depend_on_the_batch() -> None:
    found = outcome(listener())
    again = ProbeOutcome.from_json(found.to_json())
    assert again == found
    assert again.score(condition="audio") == found.score(condition="audio")
    model = Scripted(lambda _: "Yes.", batch_size=7)
    other = Scripted(lambda _: "Yes.", batch_size=1)
    assert outcome(model).trials == outcome(other).trials


def test_a_model_without_likelihoods_is_read_by_its_words() -> None:
    class Words:
        info = listener().info

        def generate(self, prompts: object, decoding: object = None) -> object:
            return listener().generate(prompts)  # type: ignore[arg-type]

    found = outcome(Words())  # type: ignore[arg-type]
    assert found.reading == "free-text"
    assert found.score(condition="audio").accuracy.value == 1.0
    assert found.score("likelihood", condition="audio").n_trials == 0


def test_a_model_that_says_nothing_is_unread_not_wrong() -> None:
    found = outcome(Scripted(lambda _: Response("")), options=PromptingOptions(likelihoods=False))
    score = found.score(condition="audio")
    assert score.accuracy.value is None
    assert score.strict_accuracy.value == 0.0
    assert score.n_invalid == score.n_trials > 0
    assert found.diagnosis().name == "undecided"
    captions = found.score(condition="caption")
    assert captions.n_failed == captions.n_trials > 0


def test_a_model_with_one_word_for_everything_is_unread_too() -> None:
    found = outcome(Scripted("banana"))
    score = found.score(condition="text")
    assert score.accuracy.value is None
    assert score.n_invalid == score.n_trials > 0
    assert found.modality_gap().difference.value is None
    assert found.diagnosis().name == "undecided"


def test_what_one_sound_does_fails_alone() -> None:
    def picky(prompt: Prompt) -> str:
        if prompt.audio is not None and prompt.audio.samples.max() > 0.299:
            raise UnsupportedInputError("too loud")
        return "Yes."

    loud = Clip(id="loud", labels=("dog",), waveform=Waveform(np.full(800, 0.31, np.float32), 8000))
    clips = [loud if clip.labels == ("dog",) else clip for clip in CLIPS]
    quiet = [
        Clip(id=c.id, labels=c.labels, waveform=Waveform(c.waveform.samples * 0.5, 8000))
        if c is not loud and c.waveform is not None
        else c
        for c in clips
    ]
    probe = ConceptProbe(
        Scripted(picky),
        concepts=SUBJECTS,
        conditions=("audio",),
        options=PromptingOptions(likelihoods=False),
    )
    found = probe("hypernym", quiet)
    failed = {t.question.clip for t in found.trials if t.failure}
    assert failed == {"loud"}
    assert found.score().n_failed == sum(bool(t.failure) for t in found.trials) > 0


def test_clips_and_concepts_that_do_not_meet_are_listed() -> None:
    strange = Clip(id="what", labels=("a teapot",), waveform=CLIPS[0].waveform)
    mixed = Clip(id="both", labels=("crow", "rain"), waveform=CLIPS[0].waveform)
    probe = ConceptProbe(listener(), concepts=SUBJECTS, bootstrap=FEW, conditions=("audio",))
    found = probe("hypernym", [*CLIPS[:8], strange, mixed])
    assert dict(found.unassigned) == {"what": "a teapot", "both": "crow, rain"}
    assert set(found.without_clips) == set(ASKED[8:])
    with pytest.raises(InvalidInputError, match="None of 1 clips belongs to a concept"):
        probe("hypernym", [strange])


def test_a_set_of_pairs_may_be_empty_but_not_all_of_them() -> None:
    few = SUBJECTS.subset(["rooster", "violin", "rain"])
    probe = ConceptProbe(listener(), concepts=few, negatives=("random", "adversarial"))
    found = probe("synonym")
    assert {t.question.pair.negatives for t in found.trials} == {"random"}
    assert {"adversarial"} == {how for _, _, how in found.unmatched}
    with pytest.raises(InvalidInputError, match="none of 1 concepts has a hypernym with a false"):
        ConceptProbe(listener(), concepts=SUBJECTS.subset(["crow"]))()


def test_where_all_likelihoods_tie_words_are_read() -> None:
    found = outcome(Scripted("Yes."))  # a script rates all words alike
    assert any(trial.log_likelihoods for trial in found.trials)
    assert found.reading == "free-text"
    assert found.diagnosis().name == "always says yes"


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'audio'"):
        ConceptProbe(listener(), conditions=("audoi",))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="needs clips"):
        ConceptProbe(listener(), conditions=("audio",))()
    with pytest.raises(InvalidInputError, match="recorded words"):
        ConceptProbe(listener(), conditions=("spoken word",))("hypernym", CLIPS)
    with pytest.raises(InvalidInputError, match="Expected a relation"):
        ConceptProbe(listener())("hyponym")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="Expected a dimension"):
        outcome(yes_sayer()).by("cocnept")


def test_words_that_are_spoken_stand_for_the_concept() -> None:
    spoken = {clip.labels[0]: clip.waveform for clip in CLIPS if clip.labels and clip.waveform}
    probe = ConceptProbe(listener(), concepts=SUBJECTS, conditions=("text", "spoken word"))
    found = probe("hypernym", spoken=spoken)
    assert found.score(condition="spoken word").accuracy.value == 1.0
    assert found.modality_gap(second="spoken word").difference.value == 0.0
