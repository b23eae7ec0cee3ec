"""Windows are read in the background: same results, bounded memory, failures of single clips."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.audio.windowing import AudioWindow, Windowing, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError, RemoteError
from audioprobe.inference import Infer
from audioprobe.progress import ProgressEvent
from audioprobe.types import Clip, Waveform
from audioprobe.window_inference import WindowModel, run_inference

RATE = 1000


def clip(number: int, seconds: float = 1.0) -> Clip:
    noise = np.random.default_rng(number).uniform(-1, 1, round(seconds * RATE))
    return Clip(id=str(number), waveform=Waveform(noise.astype(np.float32), RATE))


def level(waveform: Waveform) -> float:
    return float(np.abs(waveform.samples).mean())


def model(infer: Infer[Waveform, float]) -> WindowModel[Waveform, float, float]:
    def output(_: str, __: AudioWindow, answer: float) -> float:
        return answer

    return WindowModel(
        name="model",
        item="sound",
        stage="score",
        infer=infer,
        make_input=lambda waveform: waveform,
        make_output=output,
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 5.0), max_size=12), st.floats(0.2, 2.0))
def test_outputs_are_those_of_the_windows_in_order(lengths: list[float], seconds: float) -> None:
    windowing = Windowing(seconds=seconds)
    clips = [clip(n, length) for n, length in enumerate(lengths)]
    result = run_inference(model(lambda waves: map(level, waves)), clips, windowing)
    expected = {c.id: [level(w.waveform) for w in read_windows(c, windowing)] for c in clips}
    assert result.outputs == expected
    assert list(result.outputs) == [c.id for c in clips]
    assert not result.failures
    assert 0 <= result.waiting <= 1


@pytest.mark.parametrize("batch_size", [1, 5])
def test_damaged_files_fail_alone_and_keep_their_place(tmp_path: Path, batch_size: int) -> None:
    clips = [clip(0), Clip(id="missing", path=tmp_path / "missing.wav"), clip(1)]
    samples = clips[0].waveform.samples if clips[0].waveform else np.zeros(1)
    soundfile.write(tmp_path / "damaged.wav", samples, RATE, subtype="FLOAT")
    content = (tmp_path / "damaged.wav").read_bytes()
    (tmp_path / "damaged.wav").write_bytes(content[: len(content) // 2])
    clips += [Clip(id="damaged", path=tmp_path / "damaged.wav"), clip(2)]

    def infer(waves: Iterable[Waveform]) -> Iterator[float]:
        stream = iter(waves)
        while batch := [wave for _, wave in zip(range(batch_size), stream, strict=False)]:
            if any(np.array_equal(w.samples, refused) for w in batch):
                raise InvalidInputError("refused")
            yield from map(level, batch)

    refused = clips[2].waveform.samples if clips[2].waveform else np.zeros(1)
    result = run_inference(model(infer), clips, Windowing())
    assert list(result.outputs) == ["0", "2"]
    assert {name: failure.stage for name, failure in result.failures.items()} == {
        "missing": "read",
        "1": "score",
        "damaged": "read",
    }
    assert list(result.digests) == [c.id for c in clips]


def test_a_bounded_number_of_windows_is_read_ahead() -> None:
    opened: list[int] = []

    def clips() -> Iterator[Clip]:
        for number in range(60):
            opened.append(number)
            yield clip(number)

    def infer(waves: Iterable[Waveform]) -> Iterator[float]:
        for n_answered, wave in enumerate(waves):
            time.sleep(0.002)
            # A clip needs two places: its window and its digest.
            assert len(opened) <= n_answered + 20
            yield level(wave)

    assert len(run_inference(model(infer), clips(), Windowing()).outputs) == 60


def test_whole_recordings_are_read_ahead_one_at_a_time() -> None:
    opened: list[int] = []

    def clips() -> Iterator[Clip]:
        for number in range(20):
            opened.append(number)
            yield clip(number)

    def infer(waves: Iterable[Waveform]) -> Iterator[float]:
        for n_answered, wave in enumerate(waves):
            time.sleep(0.002)
            assert len(opened) <= n_answered + 3
            yield level(wave)

    run_inference(model(infer), clips(), Windowing(length="whole"))


def test_no_clip_is_read_after_a_final_error(tmp_path: Path) -> None:
    clips = [clip(n) for n in range(30)]
    clips += [Clip(id=f"missing {n}", path=tmp_path / f"{n}.wav") for n in range(10)]

    def rejects(waves: Iterable[Waveform]) -> Iterator[float]:
        for _ in waves:
            raise RemoteError("rejected", status=401, final=True)
        yield 0.0

    result = run_inference(model(rejects), clips, Windowing())
    assert not result.outputs
    assert list(result.failures) == [c.id for c in clips]
    assert {failure.stage for failure in result.failures.values()} == {"score"}
    assert set(result.digests.values()) == {"failed"}


def test_errors_of_the_source_of_clips_end_the_run() -> None:
    def clips() -> Iterator[Clip]:
        yield clip(0)
        raise AudioReadError("the table is damaged")

    with pytest.raises(AudioReadError, match="the table is damaged"):
        run_inference(model(lambda waves: map(level, waves)), clips(), Windowing())


def test_progress_has_the_share_of_time_in_which_the_model_waits() -> None:
    events: list[ProgressEvent] = []

    def clips(delay: float) -> Iterator[Clip]:
        for number in range(5):
            time.sleep(delay)
            yield clip(number)

    def infer(waves: Iterable[Waveform]) -> Iterator[float]:
        for wave in waves:
            time.sleep(0.02)
            yield level(wave)

    slow_files = run_inference(model(infer), clips(0.1), Windowing(), events.append)
    slow_model = run_inference(model(infer), clips(0.001), Windowing())
    assert slow_files.waiting > slow_model.waiting
    assert slow_files.waiting > 0.5
    assert all(event.waiting is not None and 0 <= event.waiting <= 1 for event in events)
