"""Text prior, audio reliance, windows and conflicts of models that use the audio in a known way."""

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from tests.probing.known_models import (
    BY_PHRASE,
    CLIPS,
    CONCEPTS,
    NAMES,
    accepts,
    know_all,
    known_model,
    recognise,
    recognise_nothing,
)

from audioprobe import Clip, LogLikelihood, Prompt, Scripted, Waveform
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, Condition, Form, ProbeOutcome, PromptingOptions
from audioprobe.probing.concept_probe import FIRST_SECONDS
from audioprobe.probing.sounds import sounds_by_key
from audioprobe.protocols import LanguageModel

LIKELIHOODS = PromptingOptions(free_text=False)


def ramp(end: float) -> Waveform:
    return Waveform(np.linspace(-1, end, 800, dtype=np.float32), 8000)


RAMPS = tuple(
    Clip(id=f"{name}.wav", labels=(name,), waveform=ramp(1 + n)) for n, name in enumerate(NAMES)
)
"""Clips whose windows all differ, unlike those of a tone."""
CONFLICT = re.compile(r"This is a recording of (.*?)\. (.*)")

Accepts = Callable[[Prompt, str], bool]


def run(
    model: LanguageModel,
    *conditions: Condition,
    forms: tuple[Form, ...] = ("yes-no",),
    clips: tuple[Clip, ...] = CLIPS,
) -> ProbeOutcome:
    probe = ConceptProbe(
        model,
        concepts=CONCEPTS,
        conditions=conditions,
        forms=forms,
        options=LIKELIHOODS,
        n_clips=1,
        bootstrap=Bootstrap(100),
    )
    return probe("hypernym", clips)


def decided(accept: Accepts) -> Scripted:
    """Return a model whose likelihoods are those of the accepted answers."""
    return Scripted(
        "Yes.", likelihood=lambda p, option: LogLikelihood(-0.1 if accept(p, option) else -3.0, 1)
    )


@cache
def perfect() -> ProbeOutcome:
    return run(known_model(), "audio", "wrong clip", "no audio", "silence")


def test_a_model_that_needs_the_audio_has_no_text_prior() -> None:
    use = perfect().audio_use()
    assert (use.control, use.text_prior.value, use.n_unpaired) == ("no audio", 0.0, 0)
    assert use.share_without_audio.value == pytest.approx(0.5)
    assert use.share_above_chance.value == 0.0
    assert use.audio_reliance == perfect().audio_reliance().difference
    assert use.audio_reliance.value is not None
    assert use.audio_reliance.value > 0.2
    assert use.text_prior.unit == "concepts"
    assert use.text_prior.n_groups == len(NAMES)
    assert perfect().audio_use(control="silence").control == "silence"


def test_a_model_that_ignores_the_audio_keeps_all_of_its_score() -> None:
    def animals(prompt: Prompt, option: str) -> bool:
        return (option == "Yes.") == ("an animal" in prompt.text)

    outcome = run(decided(animals), "audio", "wrong clip", "no audio")
    use = outcome.audio_use()
    assert use.share_without_audio.value == 1.0
    assert use.audio_reliance.value == 0.0
    assert use.text_prior.value == 0.0  # pairs are balanced: the target reveals nothing
    assert use.share_above_chance.value is None


def test_a_model_that_knows_the_answers_without_audio_has_a_text_prior() -> None:
    """The answers leak: each question has the concept of its clip in its text."""
    audio = {(t.question.key, t.question.text): t.question.correct for t in perfect().trials}
    leaked = {text: correct for (_, text), correct in audio.items()}
    outcome = run(
        decided(lambda p, option: (option == "Yes.") == (leaked[p.text] == 0)), "audio", "no audio"
    )
    use = outcome.audio_use()
    accuracy = outcome.score(condition="audio").accuracy.value
    assert accuracy is not None
    assert use.text_prior.value == pytest.approx(accuracy - 0.5)
    assert use.audio_reliance.value is None  # there is no wrong clip


def test_missing_conditions_are_undefined() -> None:
    use = run(known_model(), "audio").audio_use()
    assert use.control is None
    assert (use.text_prior.value, use.audio_reliance.value) == (None, None)
    need = run(known_model(), "audio").whole_clip_need()
    assert (need.of_all.value, need.chance, need.n_windows) == (None, None, 0)
    conflict = run(known_model(), "audio").conflict_answers()
    assert (conflict.audio.value, conflict.n_failed) == (None, 0)


def test_an_item_needs_the_whole_clip_if_no_window_is_enough() -> None:
    outcome = run(known_model(), "audio", "window", "no audio")
    need = outcome.whole_clip_need()
    # Without a recognised window the answer is no, which is correct for the false pairs.
    assert need.n_windows == 4
    assert need.of_all.value == 0.5
    assert need.of_correct.value == 0.5
    assert need.of_dependent.value == 1.0
    assert need.chance == pytest.approx(0.5**5)
    windows = outcome.where(condition="window")
    assert len(windows) == 4 * len(outcome.where(condition="audio"))
    assert outcome.provenance.options["n_windows"] == 4


def test_one_recognised_window_is_enough() -> None:
    keys = {
        sound().digest(): key
        for key, sound in sounds_by_key(RAMPS, {}, FIRST_SECONDS, 0, 4).items()
    }

    def recognise_third(prompt: Prompt) -> str:
        key = keys[prompt.audio.digest()] if prompt.audio else ""
        is_enough = key.startswith("(window 3 of 4)") or key in {clip.id for clip in RAMPS}
        return key.split(") ")[-1].removesuffix(".wav") if is_enough else ""

    outcome = run(known_model(recognise_third), "audio", "window", clips=RAMPS)
    need = outcome.whole_clip_need()
    assert (need.of_all.value, need.of_correct.value) == (0.0, 0.0)
    assert need.of_dependent.value is None


def test_windows_cover_what_is_played_and_too_short_clips_fail() -> None:
    samples = np.linspace(0, 1, 403, dtype=np.float32)
    clip = Clip(id="long", labels=("crow",), waveform=Waveform(samples, 8))
    sounds = sounds_by_key([clip], {}, FIRST_SECONDS, 0, 3)
    parts = [sound().samples for key, sound in sounds.items() if key.startswith("(window")]
    assert [part.size for part in parts] == [26, 27, 27]  # of 10 s at 8 Hz
    np.testing.assert_array_equal(np.concatenate(parts), samples[:80])
    short = Clip(id="short", labels=("crow",), waveform=Waveform(samples[:2], 8))
    outcome = run(known_model(), "audio", "window", clips=(short, *CLIPS[1:]))
    failed = {t.question.clip for t in outcome.where(condition="window") if t.failure}
    assert failed == {"short"}
    need = outcome.whole_clip_need()
    assert need.of_all.n_undefined == len(outcome.where(condition="audio", concept="crow"))
    with pytest.raises(InvalidInputError, match="n_windows must be at least 2"):
        ConceptProbe(known_model(), n_windows=1)
    with pytest.raises(InvalidInputError, match="n_orders must be 1 to 4, got 5"):
        ConceptProbe(known_model(), n_orders=5)


def follower(follow_text: float) -> Scripted:
    """Return a model that follows the text, or the audio, or (0.5) neither."""

    def accept(prompt: Prompt, option: str) -> bool:
        match = CONFLICT.match(prompt.text)
        if match is None:
            return accepts(recognise, know_all, prompt, option)
        named = BY_PHRASE[match[1]].id
        rest = Prompt(match[2], prompt.audio)
        by_text = accepts(lambda _: named, know_all, rest, option)
        by_audio = accepts(recognise, know_all, rest, option)
        if follow_text == 0.5:
            return not by_text and not by_audio
        return by_text if follow_text else by_audio

    return decided(accept)


@pytest.mark.parametrize("form", ["yes-no", "negated", "choice"])
@pytest.mark.parametrize("follow_text", [0, 1])
def test_answers_follow_the_text_or_the_audio(follow_text: int, form: Form) -> None:
    outcome = run(follower(follow_text), "audio", "conflicting text", forms=(form,))
    trials = outcome.where(condition="conflicting text", form=form)
    assert len(trials) > 20
    for question in (trial.question for trial in trials):
        match = CONFLICT.match(question.text)
        assert match is not None
        named = BY_PHRASE[match[1]]
        assert named.id != question.pair.concept
        assert question.text_option not in (None, question.correct)
        assert question.audio == question.clip == f"{question.pair.concept}.wav"
    conflict = outcome.conflict_answers()
    assert (conflict.text.value, conflict.audio.value) == (follow_text, 1 - follow_text)
    assert conflict.neither.value == 0.0
    assert conflict.switched.value == follow_text
    assert (conflict.n_invalid, conflict.n_failed) == (0, 0)


def test_another_option_is_neither() -> None:
    conflict = run(follower(0.5), "conflicting text", forms=("choice",)).conflict_answers(
        "likelihood"
    )
    # Two options are left, which tie: an invalid answer is neither, and counted.
    assert (conflict.neither.value, conflict.text.value) == (1.0, 0.0)
    assert conflict.n_invalid == conflict.neither.n > 0
    assert conflict.switched.value is None  # not asked without the conflicting text


def test_windows_and_conflicts_are_asked_only_on_request() -> None:
    probe = ConceptProbe(known_model(recognise_nothing), concepts=CONCEPTS, options=LIKELIHOODS)
    conditions = probe("hypernym", CLIPS[:6]).conditions
    assert not {"window", "conflicting text"} & {*conditions}
    assert {"audio", "no audio"} <= {*conditions}
