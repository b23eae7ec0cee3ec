"""A probe reports which part of its clips was not used, and which clips have no question."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.probing.known_models import CLIPS, CONCEPTS, RATE, known_model

from audioprobe import Clip, Prompt, Response, Scripted, Waveform
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome
from audioprobe.protocols import LanguageModel
from audioprobe.reports.html import DataGrid
from audioprobe.reports.probe_page import probe_page


def noise_clip(name: str, seconds: float, start: float = 0.0) -> Clip:
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    waveform = Waveform(samples, RATE)
    return Clip(id=f"{name}-long.wav", labels=(name,), start=start, waveform=waveform)


def run(clips: tuple[Clip, ...], model: LanguageModel | None = None) -> ProbeOutcome:
    probe = ConceptProbe(
        model or known_model(),
        concepts=CONCEPTS,
        conditions=("text", "audio"),
        n_clips=1,
        bootstrap=Bootstrap(20),
    )
    return probe("hypernym", clips)


def test_audio_after_ten_seconds_is_counted() -> None:
    clips = (noise_clip("crow", 10.32), noise_clip("owl", 25, start=2.0), *CLIPS[2:8])
    clips = (*clips, replace(noise_clip("violin", 30), duration=10.0))
    outcome = run(clips)
    assert outcome.seconds_cut == {"crow-long.wav": 0.32, "owl-long.wav": 13.0}
    assert ProbeOutcome.from_json(outcome.to_json()).seconds_cut == outcome.seconds_cut
    assert any("2 of 9 clips were not played to their end" in note for note in outcome.notes())
    assert run(CLIPS).notes() == []


def test_audio_that_the_model_leaves_out_is_counted() -> None:
    def answer(prompt: Prompt) -> Response:
        is_long = prompt.audio is not None and prompt.audio.duration == 10
        return Response("Yes.", details={"truncated audio (s)": 4.0} if is_long else {})

    outcome = run((noise_clip("crow", 12), *CLIPS[1:8]), Scripted(answer))
    assert outcome.seconds_cut == {"crow-long.wav": 6.0}


def test_clips_without_a_question_are_listed_with_the_reason() -> None:
    several = Clip(id="several.wav", labels=("crow", "violin"), waveform=CLIPS[0].waveform)
    second = noise_clip("crow", 0.5)
    outcome = run((*CLIPS, several, second))
    assert set(outcome.unused_clips) == {several.id, second.id}
    assert "crow, violin" in outcome.unused_clips[several.id]
    assert "enough other clips" in outcome.unused_clips[second.id]
    sections = {section.title: section for section in probe_page(outcome, Path()).sections}
    items = sections["Missing data"].items
    tables = {grid.name: grid.table for grid in items if isinstance(grid, DataGrid)}
    assert len(tables["Clips without a question"].rows) == 2


def test_the_digest_of_the_data_depends_on_the_samples() -> None:
    first, again, other = (
        run((*CLIPS[1:], Clip(id="crow.wav", labels=("crow",), waveform=waveform)))
        for waveform in (CLIPS[0].waveform, CLIPS[0].waveform, noise_clip("x", 1).waveform)
    )
    assert first.provenance.data == again.provenance.data != other.provenance.data
