"""Folders with tasks for inspect_ai contain all questions and sounds, or count what is left out."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.exchange.probes import probe

from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.exchange import read_inspect_questions, write_inspect
from audioprobe.types import Waveform

OTHERS = [q for q in probe().questions if q.condition != "caption"]
N_CAPTIONS = len(probe().questions) - len(OTHERS)
CAPTION = "the question contains a caption by the model"


def test_folder_has_questions_sounds_and_a_task(tmp_path: Path) -> None:
    written = write_inspect(probe().questions, probe().sounds, tmp_path / "task", seed=3)
    assert written.questions == tuple(OTHERS)
    assert written.left_out == {CAPTION: N_CAPTIONS}
    assert read_inspect_questions(tmp_path / "task") == written
    assert (written.seed, set(written.sounds)) == (3, {q.audio for q in OTHERS if q.audio})
    for key, name in written.sounds.items():
        samples, rate = soundfile.read(tmp_path / "task/sounds" / name, dtype="float32")
        waveform = probe().sounds[key]()
        assert np.abs(samples - waveform.samples).max() <= 0.5 / 32768
        assert rate == waveform.sample_rate
    ast.parse((tmp_path / "task/task.py").read_text("utf-8"))


def test_questions_without_a_readable_sound_are_counted(tmp_path: Path) -> None:
    def fail() -> Waveform:
        raise AudioReadError("damaged")

    written = write_inspect(
        probe().questions, {**probe().sounds, "crow.wav": fail}, tmp_path / "task"
    )
    n_crow = sum(question.audio == "crow.wav" for question in OTHERS)
    assert written.left_out == {CAPTION: N_CAPTIONS, "damaged": n_crow}
    assert len(written.questions) == len(OTHERS) - n_crow


def test_paths_of_this_machine_are_not_written(tmp_path: Path) -> None:
    question = next(q for q in OTHERS if q.audio == "crow.wav")
    path = "/home/me/recordings/crow.wav"
    sounds = {path: probe().sounds["crow.wav"]}
    written = write_inspect([replace(question, clip=path, audio=path)], sounds, tmp_path / "task")
    assert written.questions == (question,)
    assert "/home/me" not in (tmp_path / "task/questions.json").read_text("utf-8")


def test_clipped_samples_are_counted(tmp_path: Path) -> None:
    question = next(q for q in OTHERS if q.audio == "crow.wav")
    loud = Waveform(np.array([2.0, 0.5, -3.0], np.float32), 8000)
    written = write_inspect([question], {"crow.wav": lambda: loud}, tmp_path / "task")
    assert written.clipped == {"crow.wav": 2}


def test_incomplete_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="audioprobe export"):
        read_inspect_questions(tmp_path)
    written = write_inspect(probe().questions, probe().sounds, tmp_path / "task")
    (tmp_path / "task/sounds" / written.sounds["crow.wav"]).unlink()
    with pytest.raises(InvalidInputError, match=r"1 of .* sounds are missing"):
        read_inspect_questions(tmp_path / "task")
    (tmp_path / "task/questions.json").write_text("{}", "utf-8")
    with pytest.raises(InvalidInputError, match=r"questions\.json"):
        read_inspect_questions(tmp_path / "task")


def test_nothing_to_ask_is_an_error_and_leaves_no_folder(tmp_path: Path) -> None:
    captions = [q for q in probe().questions if q.condition == "caption"]
    with pytest.raises(InvalidInputError, match="none"):
        write_inspect(captions, probe().sounds, tmp_path / "task")
    assert not (tmp_path / "task").exists()
