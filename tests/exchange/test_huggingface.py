"""Exported data sets have the structure that `datasets` reads, and contain everything."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pyarrow import parquet
from tests.exchange.probes import outcome, probe
from tests.probing.known_models import CLIPS
from tests.scripted import sound

import datasets
from audioprobe import CaptionClassifier, Clip, Scripted
from audioprobe.audio.sources import clips_of
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.exchange import (
    AudioTable,
    DatasetCard,
    classification_table,
    question_table,
    trial_table,
)
from audioprobe.exchange.dataset_card import DESCRIPTIONS
from audioprobe.exchange.huggingface import write_huggingface
from audioprobe.exchange.tables import TYPES
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.types import Waveform


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [
        r for p in sorted(folder.glob("data/*.parquet")) for r in parquet.read_table(p).to_pylist()
    ]


def header(folder: Path) -> dict[str, Any]:
    _, text, _ = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    pairs = (line.split(": ", 1) for line in text.splitlines() if not line.startswith((" ", "-")))
    return {pair[0]: json.loads(pair[1]) for pair in pairs if len(pair) == 2}


def test_questions_have_their_audio_options_and_answers(tmp_path: Path) -> None:
    export = write_huggingface({"q": question_table(probe())}, tmp_path / "out", DatasetCard())
    rows = rows_of(tmp_path / "out")
    questions = probe().questions
    assert export.n_rows == len(rows) == len(questions)
    assert export.n_sounds == sum(bool(q.audio) for q in questions) > 50
    for row, question in zip(rows, questions, strict=True):
        assert row["question"] == question.text
        assert tuple(row["options"]) == question.options
        assert row["answer"] == question.options[row["correct"]]
        assert (row["concept"], row["relation"]) == (question.pair.concept, question.pair.relation)
        assert (row["condition"], row["sound"]) == (question.condition, question.audio or None)
        assert (row["audio"] is None) == (not question.audio)
        if question.audio:
            samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
            waveform = probe().sounds[question.audio]()
            assert np.array_equal(samples, waveform.samples)
            assert rate == waveform.sample_rate


def test_schema_is_that_of_datasets(tmp_path: Path) -> None:
    write_huggingface({"t": trial_table(outcome(), probe())}, tmp_path / "out", DatasetCard())
    (path,) = (tmp_path / "out" / "data").iterdir()
    schema = parquet.read_schema(path)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    described = datasets.Features.from_dict(features)
    assert described.arrow_schema.remove_metadata() == schema.remove_metadata()
    assert described["audio"] == datasets.Audio()


def test_trials_have_responses_readings_and_captions(tmp_path: Path) -> None:
    table = trial_table(outcome(), probe()).labelled(model="known", evaluation_set="tones")
    write_huggingface({"t": table}, tmp_path / "out", DatasetCard())
    for row, trial in zip(rows_of(tmp_path / "out"), outcome().trials, strict=True):
        assert (row["model"], row["evaluation_set"]) == ("known", "tones")
        assert row["response"] == trial.response
        assert row["choice"] == trial.choice("likelihood")
        assert row["log_likelihoods"] == list(trial.log_likelihoods)
        in_caption = trial.question.condition == "caption"
        expected = outcome().captions.get(trial.question.clip) if in_caption else None
        assert row["caption"] == expected


def test_sounds_that_cannot_be_read_are_counted_by_cause(tmp_path: Path) -> None:
    def fail() -> Waveform:
        raise AudioReadError("damaged")

    broken = replace(probe(), sounds={**probe().sounds, "crow.wav": fail})
    export = write_huggingface({"q": question_table(broken)}, tmp_path / "out", DatasetCard())
    rows = rows_of(tmp_path / "out")
    about_crow = [row for row in rows if row["sound"] == "crow.wav"]
    assert export.audio_failures == {"damaged": len(about_crow)}
    assert all(r["audio"] is None and r["audio_failure"] == "damaged" for r in about_crow)
    assert all(r["audio_failure"] is None for r in rows if r["sound"] != "crow.wav")
    assert f"{len(about_crow)} rows without audio: damaged" in card(tmp_path)


def card(folder: Path) -> str:
    return (folder / "out" / "README.md").read_text("utf-8")


def test_outcome_alone_lacks_only_sounds_without_a_file(tmp_path: Path) -> None:
    export = write_huggingface({"t": trial_table(outcome())}, tmp_path / "out", DatasetCard())
    n_clips = sum(bool(q.audio) and q.condition != "noise" for q in probe().questions)
    assert export.audio_failures == {"the audio was not stored with the result": n_clips}
    assert export.n_sounds == sum(q.condition == "noise" for q in probe().questions)


def test_classification_has_one_row_per_clip(tmp_path: Path) -> None:
    clips = [
        Clip(id="a", waveform=sound(0.1), labels=("crow",), group="north"),
        Clip(id="b", waveform=sound(0.2)),
        Clip(id="c", path=tmp_path / "gone.wav", labels=("rain",)),
    ]
    result = CaptionClassifier(Scripted("a crow"), KeywordScorer())(
        clips, ["crow", "rain"], progress=False
    )
    table = classification_table(result, clips)
    export = write_huggingface({"c": table}, tmp_path / "out", DatasetCard())
    a, b, c = rows_of(tmp_path / "out")
    assert (a["labels"], b["labels"], c["labels"]) == (["crow"], None, ["rain"])
    assert a["options"] == ["crow", "rain"]
    assert a["scores"] == list(result["a"].values())
    assert (a["captions"], a["group"], a["failure"]) == (["a crow"], "north", None)
    assert c["scores"] is None
    assert c["failure"].startswith("read: gone.wav: ")
    assert c["audio_failure"]
    assert (export.n_rows, export.n_sounds) == (3, 2)


def test_card_states_licence_size_and_origin_and_escapes_text(tmp_path: Path) -> None:
    title = 'Crows"\n---\n<b>'
    table = question_table(probe())
    write_huggingface(
        {"q": table}, tmp_path / "out", DatasetCard(title, "cc0-1.0", "About *this*.")
    )
    values = header(tmp_path / "out")
    assert values["license"] == "cc0-1.0"
    assert values["pretty_name"] == title
    assert values["size_categories"] == ["n<1K" if len(table) < 1000 else "1K<n<10K"]
    text = card(tmp_path)
    assert "<b>" not in text.split("---\n", 2)[2]
    assert "Questions of a concept probe of audioprobe" in text
    assert "About *this*." in text
    assert 'license: "unknown"' in _default_card(tmp_path)


def _default_card(folder: Path) -> str:
    write_huggingface({"q": question_table(probe())}, folder / "again", DatasetCard())
    return (folder / "again" / "README.md").read_text("utf-8")


def test_equal_tables_give_equal_files(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        write_huggingface({"q": question_table(probe())}, tmp_path / name, DatasetCard())
        (path,) = (tmp_path / name / "data").iterdir()
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    table = AudioTable(columns={"clip": ["a\udce9.wav"]}, keys=("",), sounds={}, names={})
    write_huggingface({"t": table}, tmp_path / "out", DatasetCard())
    assert rows_of(tmp_path / "out")[0]["clip"] == "a\\udce9.wav"


def test_every_column_is_described() -> None:
    assert DESCRIPTIONS.keys() == {"audio", "audio_failure", *TYPES}


def test_existing_folder_and_empty_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="already exists"):
        write_huggingface({"q": question_table(probe())}, tmp_path, DatasetCard())
    empty = AudioTable(columns={"clip": []}, keys=(), sounds={}, names={})
    with pytest.raises(InvalidInputError, match="rows"):
        write_huggingface({"t": empty}, tmp_path / "out", DatasetCard())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_datasets_loads_the_folder_and_the_same_samples(tmp_path: Path) -> None:
    tables = {"t": trial_table(outcome(), probe()), "q": question_table(probe())}
    write_huggingface(tables, tmp_path / "out", DatasetCard())
    rows = datasets.load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "c"))
    assert len(rows) == 2 * len(probe().questions)
    assert rows.features["audio"] == datasets.Audio()
    assert rows.features["options"] == datasets.List(datasets.Value("string"))
    about = [n for n, q in enumerate(probe().questions) if q.condition == "audio"]
    named = rows.select(about).select_columns(["audio"])
    by_id = {clip.id: clip.waveform for clip in CLIPS}
    for clip, n in zip(clips_of(named), about, strict=True):
        original = by_id[probe().questions[n].audio]
        assert clip.waveform is not None
        assert original is not None
        assert clip.waveform.digest() == original.digest()
