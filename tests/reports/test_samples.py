"""Samples of a page: limits, texts that are stored once, and text that wants to be markup."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audioprobe.reports import samples as module
from audioprobe.reports.audio_clips import ClipMedia
from audioprobe.reports.html import Page, Section, to_html
from audioprobe.reports.samples import Answer, Sample, SampleBrowser, sample_browser, scored_answer
from audioprobe.types import Clip

EVIL = "</script><script>alert(1)</script>\n\x1b[31m<!--"


def sample(name: str, answers: Mapping[str, Answer]) -> Sample:
    return Sample(
        name=name, clip=name, evaluation_set="s", labels=("crow",), expected="crow", answers=answers
    )


def browser(names: Sequence[str], n: int, **options: Any) -> SampleBrowser:
    answer = Answer(prompt="What?", response="A crow.", chosen="crow", correctness="right")
    made = [sample(str(k), dict.fromkeys(names, answer)) for k in range(n)]
    return sample_browser(made, names, compared="prompt", complete_data="scores.parquet", **options)


def test_texts_that_occur_often_are_stored_once() -> None:
    data: Any = browser(["a", "b"], 50).data
    assert sorted(data["texts"]) == ["A crow.", "What?", "crow"]
    prompt, response, chosen, correctness, facts = data["samples"][7]["answers"][1]
    assert [data["texts"][n] for n in (prompt, response, chosen)] == ["What?", "A crow.", "crow"]
    assert (correctness, facts) == ("right", [])


@pytest.mark.parametrize(
    ("scores", "correct", "correctness"),
    [
        ([0.9, 0.1, 0.2], ("crow",), "right"),
        ([0.9, 0.1, 0.2], ("rain", "bell"), "wrong"),
        ([0.9, 0.9, 0.2], ("rain",), "undecided"),
        ([0.9, 0.9, 0.2], ("rain", "crow"), "right"),
        ([0.9, 0.9, 0.2], ("bell",), "wrong"),
        ([0.9, 0.1, 0.2], (), "not labelled"),
        ([0.9, 0.1, 0.2], ("owl",), "not labelled"),
    ],
)
def test_answer_is_right_if_the_best_label_is_correct(
    scores: list[float], correct: tuple[str, ...], correctness: str
) -> None:
    answer = scored_answer(np.array(scores, dtype=np.float32), ("crow", "rain", "bell"), correct)
    assert answer.correctness == correctness
    assert answer.chosen.startswith("crow 0.900")


def test_left_out_samples_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 20)
    limited = browser(["a", "b"], 100)
    data: Any = limited.data
    assert [each["name"] for each in data["samples"]] == [str(n) for n in range(0, 100, 10)]
    assert limited.n_left_out == 90
    assert "10 of 100 samples" in limited.notes[0]
    assert "90 are in scores.parquet" in limited.notes[0]
    assert browser(["a", "b"], 10).notes == ()


def test_clips_without_a_player_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURES", 3)
    clips = {("s", str(n)): Clip(id=str(n), path=Path("x.wav"), labels=()) for n in range(12)}
    limited = browser(["a"], 12, clips=clips, media=lambda clip: ClipMedia(sound=clip.id))
    data: Any = limited.data
    assert [each["sound"] for each in data["media"]] == ["0", "4", "8"]
    assert [n for n, each in enumerate(data["samples"]) if each["media"] is not None] == [0, 4, 8]
    assert "3 of 12 clips have a spectrogram" in limited.notes[0]


def test_text_cannot_end_the_script_element_with_the_data() -> None:
    answer = Answer(prompt=EVIL, response=EVIL, chosen=EVIL, correctness="wrong")
    browsed = sample_browser([sample(EVIL, {EVIL: answer})], [EVIL], compared="x", complete_data="")
    html = to_html(Page(title=EVIL, sections=[Section("Samples", [browsed])]))
    (content,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    data = json.loads(content)
    shown = EVIL.replace("\x1b", "\\x1b")  # control characters are escaped, lines are kept
    assert data["texts"] == [shown]
    assert data["samples"][0]["name"] == shown
    assert html.count("<script") == 2
    assert "<script>alert" not in html
