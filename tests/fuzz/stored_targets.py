"""Targets: files in the folders of runs and studies, and stored results."""

import gzip
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tomli_w
from hypothesis import strategies as st
from tests.exchange.probes import outcome
from tests.experiments.architectures.test_storage import result, written
from tests.experiments.finetuning.study_records import before
from tests.fuzz.config_targets import shipped
from tests.fuzz.mutations import (
    Inputs,
    damaged_bytes,
    damaged_json,
    damaged_json_lines,
    damaged_tensors,
    damaged_toml,
)
from tests.fuzz.target import Target, file_target
from tests.interpretability.test_curve_files import curve

from audioprobe import CachedModel, Prompt, Scripted
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.datasets import Recordings
from audioprobe.experiments.architectures import storage as architectures
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.finetuning import storage as finetuning
from audioprobe.experiments.interpretability import storage as interpretability
from audioprobe.experiments.interpretability.config import read_interpretability
from audioprobe.experiments.interpretability.trials import TrialRecord
from audioprobe.experiments.run_metadata import RESULTS, config_difference
from audioprobe.interpretability.curve_files import ARRAYS, CURVES, load_curves, save_curves
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.io.cache import ResponseLog, SQLiteCache
from audioprobe.io.data_table import DataTable
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import MANIFEST, open_run
from audioprobe.probing.results import ProbeOutcome
from audioprobe.results.classification import ClassificationResult
from audioprobe.tool_calls import CALLS_KEY, ToolCall, calls_of, calls_to_json
from audioprobe.types import Response

_CONFIG, _PINNED = "x = 1\n", {"model": {"name": "m"}, "prompts": ["a"], "seed": 1}
_DIGESTS = {"shipped": {"a.wav": "00", "b.wav": "11"}}
_PROMPTS = [Prompt("one"), Prompt("two"), Prompt("three")]


def _open(folder: Path) -> None:
    with open_run(folder, _CONFIG, _PINNED, {"time": "now"}, audio_digests=_DIGESTS) as run:
        run.response_log.write({b"new": b'{"text": "x"}'})


def _seed(name: str, write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder))
        return (Path(folder) / name).read_bytes()


def _run_target(file: str) -> Target:
    def inputs() -> Inputs:
        content = _seed(file, _open)
        if file.endswith(".jsonl"):
            return damaged_json_lines([[json.loads(line) for line in content.splitlines()]])
        return damaged_json([json.loads(content)])

    def read(content: bytes, folder: Path) -> None:
        shutil.rmtree(folder)
        _open(folder)
        (folder / file).write_bytes(content)
        _open(folder)

    return Target(f"run-{file}", inputs, read)


def _ask(cache_of: Callable[[Path], Any], path: Path) -> None:
    model = CachedModel(Scripted(lambda prompt: f"A {prompt.text}."), cache_of(path))
    texts = [response.text for response in model.generate(_PROMPTS)]
    assert len(texts) == len(_PROMPTS)


def _cache_inputs() -> Inputs:
    return damaged_bytes([_seed("c.sqlite", lambda folder: _ask(SQLiteCache, folder / "c.sqlite"))])


def _ask_with_cache(path: Path) -> None:
    try:
        _ask(SQLiteCache, path)
    finally:
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _log_inputs() -> Inputs:
    content = _seed("r.jsonl", lambda folder: _ask(ResponseLog, folder / "r.jsonl"))
    return damaged_json_lines([[json.loads(line) for line in content.splitlines()]])


@cache
def _classification() -> str:
    clips = Recordings().clips("all")[:3]
    model = Scripted(lambda _prompt: "A crow and rain.")
    return to_json(CaptionClassifier(model, "keyword")(clips, ["crow", "rain"]))


def _study_folder(folder: Path) -> None:
    (folder / "config.toml").write_text(tomli_w.dumps(shipped("finetuning-study")[0]))
    (folder / MANIFEST).write_text(
        json.dumps({"pinned": {finetuning.AUDIO_CONCEPTS: ["crow"]}, "starts": []})
    )
    path = finetuning.result_path(folder, finetuning.BEFORE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(before()))


def _arm_folder(folder: Path) -> None:
    written(folder, result("linear", 0))
    table = DataTable({"place": ["a", "b"], "value": [0.5, None]})
    architectures.store_location(folder, "linear", {"Stages": table})


def _interpretability_folder(folder: Path) -> None:
    (folder / "config.toml").write_text(tomli_w.dumps(shipped("interpretability")[0]))
    (folder / MANIFEST).write_text(json.dumps({"pinned": {"model": {}}, "starts": []}))
    interpretability.store_trials(folder, TrialRecord((), {}))
    effect = curve(np.arange(6, dtype=np.float64).reshape(2, 3))
    parts: dict[str, SiteCurve | DataTable] = {"effect": effect, "table": DataTable({"a": [1.0]})}
    interpretability.store_measurement(folder, _MEASUREMENT, parts, {})


def _study_target(
    name: str, write: Callable[[Path], object], file: str, read: Callable[[Path], object]
) -> Target:
    def inputs() -> Inputs:
        content = _seed(file, write)
        if not file.endswith(".gz"):
            return damaged_json([json.loads(content)])
        trees = damaged_json([json.loads(gzip.decompress(content))]).map(gzip.compress)
        return st.one_of(trees, trees, damaged_bytes([content]))

    n_up = len(Path(file).parts) - 1
    return file_target(
        f"study-{name}-{Path(file).name.partition('.')[0]}",
        inputs,
        file,
        lambda path: read(path.parents[n_up]),
        write,
    )


def _save_curves(folder: Path) -> None:
    save_curves({"effect": curve(np.ones((2, 3)))}, folder, {"model": "mini"})


def _calls(content: bytes, _folder: Path) -> None:
    calls_of(Response("Yes.", details={CALLS_KEY: content.decode("utf-8", "replace")}))


def _call_inputs() -> Inputs:
    call = ToolCall(tool="tags", arguments={"a": 1}, result="x", seconds=0.5)
    return damaged_json([json.loads(calls_to_json([call]))])


def _older_config(content: bytes, _folder: Path) -> None:
    config_difference(content.decode("utf-8", "replace"), read_classification("recordings"))


_ARM = f"{RESULTS}/{architectures.result_name('linear', 0)}"
_MEASUREMENT = read_interpretability("interpretability").measurements[0]
_MEASURED = interpretability.measurement_folder(Path(), _MEASUREMENT).as_posix()

TARGETS = [
    _run_target("manifest.json"),
    _run_target("responses.jsonl"),
    file_target("cache-log", _log_inputs, "r.jsonl", lambda path: _ask(ResponseLog, path)),
    file_target("cache-sqlite", _cache_inputs, "c.sqlite", _ask_with_cache),
    Target("older-config", lambda: damaged_toml(shipped("recordings")), _older_config),
    Target("tool-calls", _call_inputs, _calls),
    file_target(
        "result-classification",
        lambda: damaged_json([json.loads(_classification())]),
        "result.json",
        ClassificationResult.load,
    ),
    file_target(
        "result-probe",
        lambda: damaged_json([json.loads(to_json(outcome()))]),
        "outcome.json",
        ProbeOutcome.load,
    ),
    _study_target("finetuning", _study_folder, MANIFEST, finetuning.read_record),
    _study_target("finetuning", _study_folder, "runs/before.json", finetuning.read_record),
    _study_target("architectures", _arm_folder, MANIFEST, architectures.read_record),
    _study_target("architectures", _arm_folder, _ARM, architectures.read_record),
    _study_target(
        "architectures",
        _arm_folder,
        f"{RESULTS}/locations-linear.json",
        architectures.read_record,
    ),
    _study_target(
        "interpretability", _interpretability_folder, MANIFEST, interpretability.read_record
    ),
    _study_target(
        "interpretability",
        _interpretability_folder,
        f"{_MEASURED}/{interpretability.TABLES}",
        interpretability.read_record,
    ),
    _study_target("curves", _save_curves, CURVES, load_curves),
    file_target(
        "curves-arrays",
        lambda: damaged_tensors(_seed(ARRAYS, _save_curves)),
        ARRAYS,
        lambda path: load_curves(path.parent),
        _save_curves,
    ),
]
