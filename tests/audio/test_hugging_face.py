"""Data sets of Hugging Face `datasets`, and their sounds, become clips."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import datasets
from audioprobe.audio.sources import clips_of
from audioprobe.datasets.in_memory import Folder
from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

SAMPLES = np.linspace(-0.5, 0.5, 800, dtype=np.float32)
RATE = 8000


@dataclass
class Samples:
    """As torchcodec gives them."""

    data: np.ndarray[Any, Any]
    sample_rate: int


class Decoder:
    """What `datasets` gives for a sound where torchcodec is installed."""

    def get_all_samples(self) -> Samples:
        return Samples(np.stack([SAMPLES, 3 * SAMPLES]) / 2, RATE)


def wav() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, SAMPLES, RATE, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def hf_dataset(rows: list[dict[str, Any]], **features: Any) -> Any:
    """A data set with the sounds of the column `audio` inside it."""
    sound = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    schema = datasets.Features({"audio": sound, **features})
    return datasets.Dataset.from_list(rows, features=schema).cast_column("audio", datasets.Audio())


def samples_of(clip: Clip) -> list[float]:
    assert clip.waveform is not None
    assert clip.waveform.sample_rate == RATE
    return list(clip.waveform.samples)


@pytest.mark.parametrize(
    "sound",
    [
        {"array": SAMPLES, "sampling_rate": RATE},
        {"array": SAMPLES.astype(np.float64).tolist(), "sampling_rate": float(RATE)},
        {"raw": SAMPLES, "sampling_rate": np.int64(RATE)},
        {"bytes": wav(), "path": None},
        {"audio": {"array": SAMPLES, "sampling_rate": RATE}, "label": 3},
        Decoder(),
        {"audio": Decoder()},
    ],
    ids=["array", "list", "raw", "bytes", "row", "decoder", "row of a decoder"],
)
def test_audio_values_are_accepted_alone_and_in_a_list(sound: Any) -> None:
    (alone,) = clips_of(sound)
    assert samples_of(alone) == pytest.approx(list(SAMPLES))
    assert [clip.id for clip in clips_of([sound, sound])] == ["sound-1", "sound-2"]


def test_path_becomes_the_clip_id() -> None:
    (clip,) = clips_of({"path": "x/a.wav"})
    assert (clip.id, clip.path) == ("x/a.wav", Path("x/a.wav"))
    (clip,) = clips_of({"path": "b.wav", "array": SAMPLES, "sampling_rate": RATE})
    assert clip.id == "b.wav"


@pytest.mark.parametrize(
    ("sounds", "expected"),
    [
        (None, "NoneType"),
        ([{"path": "a.wav"}, None], "position 2"),
        ({"array": SAMPLES}, "sampling_rate"),
        ({"array": SAMPLES, "sampling_rate": 0.5}, "sampling_rate"),
        ({"array": np.stack([SAMPLES, SAMPLES]), "sampling_rate": RATE}, "sound-1: .*channel"),
        ({"array": np.full(9, np.nan), "sampling_rate": RATE}, "finite"),
        ({"bytes": None, "path": None}, "sound-1"),
        ({"bytes": b"no sound", "path": "a.wav"}, "sound-1"),
        ({"audio": None}, "sound-1"),
        ({"samples": SAMPLES}, "dict"),
    ],
)
def test_values_without_audio_are_refused_with_their_position(sounds: Any, expected: str) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        clips_of(sounds)


@pytest.mark.parametrize("streamed", [False, True])
def test_data_set_becomes_clips_with_labels(streamed: bool) -> None:
    data = hf_dataset(
        [
            {"audio": {"bytes": wav(), "path": "a.wav"}, "label": 1, "other": 1},
            {"audio": {"bytes": wav(), "path": "b.wav"}, "label": -1, "other": 2},
        ],
        label=datasets.ClassLabel(names=["crow", "rain"]),
        other=datasets.Value("int64"),
    )
    clips = clips_of(data.to_iterable_dataset() if streamed else data)
    assert [(clip.id, clip.labels) for clip in clips] == [("a.wav", ("rain",)), ("b.wav", None)]
    assert samples_of(clips[0]) == list(SAMPLES)


def test_files_of_a_data_set_are_not_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.wav")
    data = datasets.Dataset.from_dict({"audio": [path], "labels": [["rain", "crow"]]})
    (clip,) = clips_of(data.cast_column("audio", datasets.Audio()))
    assert (clip.id, clip.path, clip.labels) == (path, Path(path), ("rain", "crow"))


def test_ids_come_from_the_column_or_the_row_number() -> None:
    rows = [{"audio": {"bytes": wav(), "path": path}} for path in ("a.wav", "a.wav", "b.wav", None)]
    assert [c.id for c in clips_of(hf_dataset(rows))] == ["row-1", "row-2", "b.wav", "row-4"]
    named = [{**row, "id": number} for number, row in enumerate(rows)]
    data = hf_dataset(named, id=datasets.Value("int64"))
    assert [clip.id for clip in clips_of(data)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("sound", [None, {"bytes": wav()[:99], "path": None}, {"bytes": b""}])
def test_row_without_audio_is_refused_by_number(sound: Any) -> None:
    data = hf_dataset([{"audio": {"bytes": wav(), "path": "a.wav"}}, {"audio": sound}])
    with pytest.raises(InvalidInputError, match=r"row-2"):
        clips_of(data)


def test_data_set_needs_one_audio_column_and_named_labels() -> None:
    with pytest.raises(InvalidInputError, match="cast_column"):
        clips_of(datasets.Dataset.from_dict({"audio": ["a.wav"]}))
    row = {"audio": {"bytes": wav(), "path": "a.wav"}, "label": 1}
    data = hf_dataset([row], label=datasets.Value("int64"))
    with pytest.raises(InvalidInputError, match="ClassLabel"):
        clips_of(data)
    with pytest.raises(InvalidInputError, match=r"dataset\['test'\]"):
        clips_of(datasets.DatasetDict({"test": data}))


def test_data_set_with_one_split_becomes_its_clips(tmp_path: Path) -> None:
    (tmp_path / "crow").mkdir()
    (tmp_path / "crow" / "a.wav").write_bytes(wav())
    first = Folder(tmp_path)
    assert [(clip.id, clip.labels) for clip in clips_of(first)] == [("crow/a.wav", ("crow",))]
    table = tmp_path / "clips.csv"
    table.write_text("path,split\ncrow/a.wav,train\ncrow/b.wav,test\n", "utf-8")
    with pytest.raises(InvalidInputError, match=r"dataset\.clips\('t"):
        clips_of(Manifest(table))
