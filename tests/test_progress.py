"""Progress: rates that are true, on lines where there is no terminal."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import CaptionClassifier, KeywordScorer, Prompt, Scripted
from audioprobe.progress import ProgressEvent, ignore_progress
from audioprobe.progress_bars import StageProgress, duration, progress_bars, shown_progress
from tests.scripted import sound


def stage(*marks: tuple[float, int], total: int = 24) -> StageProgress:
    """A stage that began at 0 s, with so many items done at each time."""
    made = StageProgress(name="synthetic: caption", start=0.0)
    for now, done in marks:
        made.update(done, total, "", now)
    return made


def test_a_line_tells_counts_rate_and_time_left() -> None:
    steady = stage(*((n / 1.4, n) for n in range(1, 17)))
    assert steady.line(16 / 1.4) == "synthetic: caption 16/24, 1.4/s, 6 s left"
    failing = stage((10.0, 8))
    failing.update(24, 24, "2 failed", 20.0)
    assert failing.line(20.0) == "synthetic: caption 24/24, 1.6/s, 2 failed"


def test_responses_of_an_earlier_run_do_not_count_as_speed() -> None:
    resumed = stage((0.05, 1000), *((10.0 * n, 1000 + n) for n in range(1, 7)), total=2000)
    assert resumed.rate(60.0) == pytest.approx(0.1, rel=0.05)
    assert resumed.line(60.0) == "synthetic: caption 1006/2000, 6.0/min, 2 h 46 min left"


def test_a_batch_that_ends_at_once_has_the_rate_of_its_time() -> None:
    batch = stage(*((10.0 + n / 1000, n) for n in range(1, 17)))
    assert batch.rate(10.016) == pytest.approx(1.6, rel=0.01)


def test_what_stands_still_has_no_rate() -> None:
    assert stage((0.01, 8)).rate(10.0) is None
    assert stage((0.00005, 3), total=3).rate(0.00005) is None
    assert stage().line(5.0) == "synthetic: caption"


@given(steps=st.lists(st.floats(0.01, 50), min_size=2, max_size=60), after=st.floats(0, 100))
def test_a_rate_is_positive_or_none_and_never_above_all_at_once(
    steps: list[float], after: float
) -> None:
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    made = stage(*((now, n) for n, now in enumerate(times, 1)), total=len(steps))
    rate = made.rate(times[-1] + after)
    assert rate is None or 0 < rate <= len(steps)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "1 s"),
        (6.2, "6 s"),
        (89, "89 s"),
        (91, "2 min"),
        (3600, "60 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_durations_have_suitable_units(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_bytes_have_units_of_bytes() -> None:
    made = StageProgress(name="fetched", start=0.0, unit="bytes")
    made.update(120_000_000, 1_400_000_000, "", 60.0)
    assert made.line(60.0) == "fetched 120.0 MB/1.4 GB, 2.0 MB/s, 11 min left"


def test_without_a_terminal_there_are_lines_also_while_no_step_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bars(every_s=0.05) as show:
        time.sleep(0.2)
        show(ProgressEvent(stage="encoder", done=3, total=8))
        time.sleep(0.2)
    out, stderr = capsys.readouterr()
    lines = stderr.splitlines()
    assert out == ""
    assert lines[0].startswith("preparing")
    assert lines[-1].startswith("encoder 3/8")


def test_what_is_over_within_a_minute_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as show:
        show(ProgressEvent(stage="clips", done=1, total=2))
        show(ProgressEvent(stage="clips", done=2, total=2, n_failed=1))
    assert capsys.readouterr() == ("", "")


def test_progress_can_be_shown_hidden_or_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[ProgressEvent] = []
    event = ProgressEvent(stage="clips", done=1, total=2)
    with shown_progress(events.append) as show:
        show(event)
    assert events == [event]
    with shown_progress(progress=False) as show:
        show(event)
    assert show is ignore_progress
    with shown_progress(progress=True) as show:
        show(event)
    assert show is not ignore_progress
    assert capsys.readouterr().out == ""


def test_a_classifier_shows_its_progress_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audioprobe.progress_bars.LINE_EVERY_S", 0.01)

    def slow(prompt: Prompt) -> str:
        time.sleep(0.05)
        return "A crow."

    classifier = CaptionClassifier(Scripted(slow), KeywordScorer())
    clips = [sound(), sound()]
    classifier(clips, ["crow"], progress=False)
    assert capsys.readouterr().err == ""
    classifier(clips, ["crow"])
    assert "clips 1/2" in capsys.readouterr().err


def test_the_share_of_time_in_which_the_model_waits_is_shown_from_5_percent() -> None:
    slow = stage((10.0, 8))
    slow.waiting = 0.25
    assert slow.line(10.0).endswith(
        "8/24, 48.0/min, 20 s left, model waits for audio 25% of the time"
    )
    slow.waiting = 0.04
    assert slow.line(10.0).endswith("20 s left")


@pytest.mark.parametrize(("seconds", "shown"), [(11.0, True), (9.0, False)])
def test_long_stages_report_at_their_end_how_long_the_model_waited(
    seconds: float, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress_bars() as show:
        now += seconds
        show(ProgressEvent(stage="clips", done=2, total=2, waiting=0.5))
    assert ("clips: model waits for audio 50% of the time" in capsys.readouterr().err) == shown
