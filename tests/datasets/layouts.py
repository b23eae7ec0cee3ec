"""Data sets of a few clips in their published layouts."""

import csv
import json
import lzma
import random
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

TABLE = Path(__file__).parents[1] / "data" / "edansa" / "labels.csv.xz"


def sound(path: Path, seconds: float = 0.1, sample_rate: int = 8000) -> Path:
    """Write a WAV file of noise that depends on its path, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(sample_rate)
        stream.writeframes(random.Random(str(path)).randbytes(2 * int(seconds * sample_rate)))
    return path


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def edansa_table(folder: Path) -> Path:
    """Unpack the published table."""
    path = folder / "labels.csv"
    path.write_bytes(lzma.decompress(TABLE.read_bytes()))
    return path


def edansa(folder: Path, per_split: int = 2) -> Path:
    """Write the first rows of each split, with their audio files."""
    with lzma.open(TABLE, "rt", encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    by_split: dict[str, list[list[str]]] = {}
    for row in rows:
        if len(by_split.setdefault(row[1], [])) < per_split:
            by_split[row[1]].append(row)
    few = [row for items in by_split.values() for row in items]
    table(folder / "labels.csv", header, few)
    for row in few:
        sound(folder / "data" / row[8])
    return folder


def esc50(folder: Path) -> Path:
    header = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
    rows = [
        ("1-100032-A-0.wav", 1, 0, "dog", "True", 100032, "A"),
        ("2-5-A-36.wav", 2, 36, "vacuum_cleaner", "False", 5, "A"),
    ]
    table(folder / "meta" / "esc50.csv", header, rows)
    for row in rows:
        sound(folder / "audio" / str(row[0]))
    return folder


def urbansound8k(folder: Path) -> Path:
    header = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    rows = [
        ("100032-3-0-0.wav", 100032, 0.0, 0.3, 1, 5, 3, "dog_bark"),
        ("7-0-0-1.wav", 7, 0.0, 0.4, 2, 10, 0, "air_conditioner"),
    ]
    table(folder / "metadata" / "UrbanSound8K.csv", header, rows)
    for row in rows:
        sound(folder / "audio" / f"fold{row[5]}" / str(row[0]))
    return folder


def fsd50k(folder: Path) -> Path:
    truth = folder / "FSD50K.ground_truth"
    dev = [
        ("64760", "Electric_guitar,Guitar,Music", "/m/02sgy,/m/0342h,/m/04rlf", "train"),
        ("16399", "Accelerating_and_revving_and_vroom", "/m/07q2z82", "val"),
    ]
    table(truth / "dev.csv", ("fname", "labels", "mids", "split"), dev)
    table(truth / "eval.csv", ("fname", "labels", "mids"), [("37199", "Music", "/m/04rlf")])
    for row in dev:
        sound(folder / "FSD50K.dev_audio" / f"{row[0]}.wav")
    sound(folder / "FSD50K.eval_audio" / "37199.wav")
    uploaders = folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json"
    uploaders.parent.mkdir()
    uploaders.write_text(json.dumps({row[0]: {"uploader": f"user {row[0]}"} for row in dev}))
    return folder


CLASSES = (
    (0, "/m/0jbk", "Animal"),
    (1, "/m/015p6", "Bird"),
    (2, "/m/04s8yn", "Crow"),
    (3, "/m/06mb1", "Rain"),
)
NODES: tuple[tuple[str, str, list[str]], ...] = (
    ("/m/0jbk", "Animal", ["/t/wild"]),
    ("/t/wild", "Wild animals", ["/m/015p6"]),  # no class of its own
    ("/m/015p6", "Bird", ["/m/04s8yn"]),
    ("/m/04s8yn", "Crow", []),
    ("/m/06mb1", "Rain", []),
)
SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=3, num_segs=3, num_unique_labels=2, num_positive_labels=3
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/04s8yn,/m/06mb1"
-0BIyqJj9ZU, 30.000, 40.000, "/m/06mb1"
vanished111, 20.000, 30.000, "/m/015p6"
"""


def audioset(folder: Path) -> Path:
    table(folder / "class_labels_indices.csv", ("index", "mid", "display_name"), CLASSES)
    (folder / "eval_segments.csv").write_text(SEGMENTS)
    nodes = [
        {"id": i, "name": n, "description": n, "child_ids": c, "restrictions": []}
        for i, n, c in NODES
    ]
    (folder / "ontology.json").write_text(json.dumps(nodes))
    sound(folder / "audio" / "eval" / "--4gqARaEJE.wav")
    sound(folder / "audio" / "eval" / "Y-0BIyqJj9ZU_30000_40000.wav")
    return folder
