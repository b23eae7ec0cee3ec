"""A run that goes on asks again exactly what its changed sounds are part of."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.experiments.finetuning.tiny_study import model

from audioprobe import Waveform
from audioprobe.audio.training_clips import recording_of
from audioprobe.audio.transforms import wav_bytes
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.outputs import write_outputs
from audioprobe.experiments.classification.run import ClassificationRun
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.probing.run import ProbeRun
from audioprobe.io.config import parse_config, read_toml
from audioprobe.training_data import TRAINING_DATA, TrainingData
from audioprobe.types import Clip

NAMES = ("crow", "dog", "violin", "rain")
CLASSIFICATION = """
kind = "classification"
bootstrap = { n_resamples = 20 }
model = { name = "scripted:a crow" }
scorer = { name = "keyword" }
prompt_levels = [{ prompt = "caption" }, { prompt = "labels" }]

[[evaluation_sets]]
name = "field"
dataset = { name = "folder", options = { folder = "FOLDER" } }
split = "all"
"""
PROBE = """
kind = "probe"
bootstrap = { n_resamples = 20 }

[[models]]
name = "one"
model = { name = "scripted:Yes." }
conditions = ["text", "audio"]
prompting = { likelihoods = false }

[[evaluation_sets]]
name = "field"
folder = "FOLDER"
"""


def sing(path: Path, level: float, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n = round(8000 * seconds)
    wave = level * np.sin(np.arange(n) / (3 + level)) * np.linspace(1, level, n)
    path.write_bytes(wav_bytes(Waveform(wave.astype(np.float32), 8000))[0])


@pytest.fixture
def field(tmp_path: Path) -> Path:
    for n, name in enumerate(NAMES):
        sing(tmp_path / "field" / name / f"{name}.wav", 0.1 + n / 10)
    return tmp_path / "field"


class ResponseRecorder:
    """Runs a configuration and collects the messages."""

    def __init__(self, text: str, field: Path) -> None:
        self.text = text.replace("FOLDER", str(field))
        self.said: list[str] = []

    def __call__(self, folder: Path, text: str = "") -> int:
        """Returns: answers that the start has added."""
        journal, text = folder / "responses.jsonl", text or self.text
        before = len(journal.read_text().splitlines()) if journal.is_file() else 0
        (folder.parent / "config.toml").write_text(text)
        tables = read_toml(folder.parent / "config.toml")
        self.said.clear()
        if tables["kind"] == "probe":
            ProbeRun(parse_config(ProbeConfig, tables, "t"), text)(folder, notify=self.said.append)
        else:
            config = parse_config(ClassificationConfig, tables, "t")
            ClassificationRun(config, text)(folder, notify=self.said.append)
        return len(journal.read_text().splitlines()) - before


@pytest.mark.parametrize("text", [CLASSIFICATION, PROBE])
def test_only_prompts_with_a_changed_sound_are_asked_again(
    text: str, field: Path, tmp_path: Path
) -> None:
    run = ResponseRecorder(text, field)
    n_first = run(tmp_path / "run")
    assert (n_first > 0, run.said) == (True, [])
    assert run(tmp_path / "run") == 0
    assert run.said == [f"{n_first} prompts had a response in the folder, 0 were sent."]
    results = [read(tmp_path / "run")]
    sing(field / "crow" / "crow.wav", 0.9)
    n_again = run(tmp_path / "run")
    results.append(read(tmp_path / "run"))
    assert 0 < n_again < n_first
    assert len(run.said) == 2
    assert "field: the audio of 1 of 4 clips changed" in run.said[0]
    assert "crow.wav" in run.said[0]
    assert run.said[1].startswith(f"{n_first - n_again} prompts had a response")
    assert results[0]["data"] != results[1]["data"], "provenance hashes the sound that was read"
    # As a run of the sounds of now alone would ask.
    whole = ResponseRecorder(text, field)
    whole(tmp_path / "new")
    assert read(tmp_path / "new")["data"] == results[1]["data"]


def read(folder: Path) -> dict[str, Any]:
    first = sorted((folder / "results").glob("*.json"))[0]
    provenance: dict[str, Any] = json.loads(first.read_text())["provenance"]
    return provenance


@pytest.mark.parametrize("text", [CLASSIFICATION, PROBE])
def test_comments_order_and_defaults_do_not_change_the_configuration(
    text: str, field: Path, tmp_path: Path
) -> None:
    run = ResponseRecorder(text, field)
    run(tmp_path / "run")
    same = f"# my field\nseed = 0\n{run.text}\n\n# the end\n".replace("\n", "\r\n")
    assert run(tmp_path / "run", same) == 0
    with pytest.raises(InvalidInputError, match="another configuration"):
        run(tmp_path / "run", run.text.replace("= 20", "= 21"))


def test_a_vanished_and_an_added_clip_are_named(field: Path, tmp_path: Path) -> None:
    run = ResponseRecorder(CLASSIFICATION, field)
    run(tmp_path / "run")
    (field / "dog" / "dog.wav").rename(field / "dog" / "hound.wav")
    with pytest.raises(InvalidInputError, match=r"dog/dog\.wav is missing.*dog/hound\.wav is new"):
        run(tmp_path / "run")


@pytest.fixture
def trained(field: Path, tmp_path: Path) -> str:
    """A tiny model that was trained on two of the clips, as a configuration names it."""
    folder, base = model(tmp_path / "model")
    clips = [field / name / f"{name}.wav" for name in ("crow", "dog")]
    recordings = [recording_of(Clip(id=path.name, path=path)) for path in clips]
    TrainingData("tiny", tuple(recording for recording in recordings if recording)).to_csv(
        folder / TRAINING_DATA
    )
    return f'{{ name = "ltu:{folder}", options = {{ base = "{base}" }} }}'


def familiar(text: str, trained: str) -> str:
    config = text.replace('{ name = "scripted:a crow" }', trained)
    config = config.replace('{ name = "scripted:Yes." }', trained)
    assert config != text
    return f"{config}familiar = false\n"


@pytest.mark.parametrize("text", [CLASSIFICATION, PROBE])
def test_unfamiliar_sounds_that_a_model_was_trained_on_are_refused(
    text: str, field: Path, tmp_path: Path, trained: str
) -> None:
    run = ResponseRecorder(familiar(text, trained), field)
    with pytest.raises(InvalidInputError, match=r"2 of 4 clips were used to train tiny: .*crow"):
        run(tmp_path / "run")
    run(tmp_path / "run", f"{run.text}allow_training_clips = true\n")
    assert run.said == ["field: 2 of 4 clips were used to train tiny."]
    ids = read(tmp_path / "run")["training_clips"]["tiny"]
    assert [Path(name).stem for name in ids] == ["crow", "dog"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["starts"][0]["training clips"]["field"]["tiny"] == ids


def test_reports_say_what_a_model_was_trained_on(field: Path, tmp_path: Path, trained: str) -> None:
    text = familiar(CLASSIFICATION, trained).replace("FOLDER", str(field))
    text = text.replace("familiar = false", "familiar = true")
    tables = tomllib.loads(text)
    prepared = ClassificationRun(parse_config(ClassificationConfig, tables, "t"), text)
    cells = prepared(tmp_path / "run")
    write_outputs(prepared, cells, tmp_path / "run", "t")
    note = "2 of 4 clips were used to train tiny"
    for name in ("report.html", "summary.md"):
        assert note in (tmp_path / "run" / name).read_text(), name
    assert note in cells[0].result.summary()
