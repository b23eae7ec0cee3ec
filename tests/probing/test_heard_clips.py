"""A probe says what of its clips was not heard, and which it did not ask about."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.probing.listeners import CLIPS, RATE, SUBJECTS, listener

from audioprobe import Clip, Prompt, Response, Scripted, Waveform
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.results import ProbeOutcome
from audioprobe.protocols import LanguageModel
from audioprobe.reports.html import DataGrid
from audioprobe.reports.probe_page import probe_page


def lasting(name: str, seconds: float, start: float = 0.0) -> Clip:
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return Clip(
        id=f"{name}-long.wav", labels=(name,), start=start, waveform=Waveform(samples, RATE)
    )


def asked(clips: tuple[Clip, ...], model: LanguageModel | None = None) -> ProbeOutcome:
    probe = ConceptProbe(
        model or listener(),
        concepts=SUBJECTS,
        conditions=("text", "audio"),
        n_clips=1,
        bootstrap=Bootstrap(20),
    )
    return probe("hypernym", clips)


def test_sound_beyond_ten_seconds_is_counted() -> None:
    clips = (lasting("crow", 10.32), lasting("owl", 25, start=2.0), *CLIPS[2:8])
    clips = (*clips, replace(lasting("violin", 30), duration=10.0))
    outcome = asked(clips)
    assert outcome.seconds_cut == {"crow-long.wav": 0.32, "owl-long.wav": 13.0}
    assert ProbeOutcome.from_json(outcome.to_json()).seconds_cut == outcome.seconds_cut
    assert any("2 of 9 clips were not played to their end" in note for note in outcome.notes())
    assert asked(CLIPS).notes() == []


def test_what_a_model_leaves_out_is_counted_too() -> None:
    def answer(prompt: Prompt) -> Response:
        left_out = (
            {"truncated audio (s)": 4.0} if prompt.audio and prompt.audio.duration == 10 else {}
        )
        return Response("Yes.", details=left_out)

    outcome = asked((lasting("crow", 12), *CLIPS[1:8]), Scripted(answer))
    assert outcome.seconds_cut == {"crow-long.wav": 6.0}


def test_clips_that_are_not_asked_about_are_listed_with_the_reason() -> None:
    both = Clip(id="both.wav", labels=("crow", "violin"), waveform=CLIPS[0].waveform)
    second = lasting("crow", 0.5)
    outcome = asked((*CLIPS, both, second))
    assert set(outcome.unused_clips) == {both.id, second.id}
    assert "crow, violin" in outcome.unused_clips[both.id]
    assert "enough other clips" in outcome.unused_clips[second.id]
    (missing,) = [s for s in probe_page(outcome, Path()).sections if s.title == "What is missing"]
    tables = {grid.name: grid.table for grid in missing.items if isinstance(grid, DataGrid)}
    assert len(tables["Clips that were not asked about"].rows) == 2


def test_the_data_of_an_outcome_are_its_sounds() -> None:
    first, again, other = (
        asked((*CLIPS[1:], Clip(id="crow.wav", labels=("crow",), waveform=wave)))
        for wave in (CLIPS[0].waveform, CLIPS[0].waveform, lasting("x", 1).waveform)
    )
    assert first.provenance.data == again.provenance.data != other.provenance.data
