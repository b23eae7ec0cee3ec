"""Published data sets in their layouts, folders, relabelling and the ontology."""

from pathlib import Path

import pytest
from tests.datasets.layouts import audioset, esc50, fsd50k, sound, table, urbansound8k

from audioprobe.concepts.ontology import Ontology, OntologyNode
from audioprobe.datasets import ESC50, FSD50K, UrbanSound8K
from audioprobe.datasets.audioset import AudioSet
from audioprobe.datasets.in_memory import Folder, InMemoryDataset
from audioprobe.datasets.recordings import Recordings
from audioprobe.datasets.relabelled import RelabelledDataset, read_mapping
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.registry import load
from audioprobe.types import Clip


def summary(data: Dataset, split: str) -> list[tuple[str, tuple[str, ...] | None, str | None]]:
    return [(clip.id, clip.labels, clip.group) for clip in data.clips(split)]


def test_esc50(tmp_path: Path) -> None:
    data = ESC50(esc50(tmp_path))
    assert (data.splits, data.labels) == (("fold-1", "fold-2"), ("dog", "vacuum cleaner"))
    assert summary(data, "fold-2") == [("2-5-A-36.wav", ("vacuum cleaner",), "5")]
    assert ESC50(tmp_path, esc10=True).labels == ("dog",)


def test_urbansound8k(tmp_path: Path) -> None:
    data = UrbanSound8K(urbansound8k(tmp_path))
    assert data.splits == ("fold-5", "fold-10")
    assert summary(data, "fold-5") == [("100032-3-0-0.wav", ("dog bark",), "100032")]
    assert UrbanSound8K(tmp_path, foreground=True).splits == ("fold-5",)


def test_fsd50k(tmp_path: Path) -> None:
    data = FSD50K(fsd50k(tmp_path))
    assert summary(data, "train") == [
        ("64760", ("Electric guitar", "Guitar", "Music"), "user 64760")
    ]
    assert summary(data, "val")[0][1] == ("Accelerating, revving, vroom",)
    assert summary(data, "eval") == [("37199", ("Music",), None)]


def audioset_of(folder: Path, **options: object) -> AudioSet:
    return AudioSet(
        folder / "audio",
        segments=[folder / "eval_segments.csv"],
        classes=folder / "class_labels_indices.csv",
        **options,  # type: ignore[arg-type]
    )


def test_audioset_lists_missing_videos(tmp_path: Path) -> None:
    data = audioset_of(audioset(tmp_path))
    assert summary(data, "eval") == [
        ("--4gqARaEJE_0", ("Crow", "Rain"), "--4gqARaEJE"),
        ("-0BIyqJj9ZU_30", ("Rain",), "-0BIyqJj9ZU"),
    ]
    assert list(data.missing) == ["vanished111_20"]


NAMES = (
    "{v}.wav", "Y{v}.wav", "{v}_30.wav", "{v}_30_40.flac", "{v}_30.000.wav", "{v}_30.0_40.0.wav",
    "Y{v}_30.000_40.000.wav", "{v}_000030.wav", "{v}_30-40.wav", "{v}-30.wav", "{v}.30.wav",
    "{v}_30000.wav", "Y{v}_30000_40000.wav", "{v}.caf", "deep/er/{v}.WAV",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_audioset_finds_files_by_the_times_in_their_names(tmp_path: Path, name: str) -> None:
    data = segment_of(tmp_path, "-A_4yJmxFdM", name)
    assert not data.missing
    assert [clip.id for clip in data.clips("eval")] == ["-A_4yJmxFdM_30"]


@pytest.mark.parametrize(
    "name", ["{v}_31.wav", "{v}_30_41.wav", "{v}_3.wav", "_{v}.wav", "{v}x.wav", "{v}_30_40_5.wav"]
)
def test_audioset_ignores_files_of_other_segments(tmp_path: Path, name: str) -> None:
    assert list(segment_of(tmp_path, "-A_4yJmxFdM", name).missing) == ["-A_4yJmxFdM_30"]


def segment_of(folder: Path, video: str, name: str) -> AudioSet:
    """AudioSet with one segment, from 30 to 40 s, and one file."""
    audioset(folder)
    (folder / "eval_segments.csv").write_text(f'{video}, 30.000, 40.000, "/m/06mb1"\n')
    sound(folder / "audio" / name.format(v=video))
    return audioset_of(folder)


def test_audioset_distinguishes_segments_of_one_video(tmp_path: Path) -> None:
    folder = audioset(tmp_path)
    starts = (0.5, 3601.001, 3601.002, 20)
    rows = [f'abcdefghi_0, {start:.3f}, {start + 9:.3f}, "/m/06mb1"\n' for start in starts]
    (folder / "eval_segments.csv").write_text("".join(rows))
    for name in ("abcdefghi_0.wav", "abcdefghi_0_3601.001.wav", "abcdefghi_0_500_9500.wav"):
        sound(folder / "audio" / name)
    data = audioset_of(folder)
    paths = {clip.id: clip.path.name for clip in data.clips("eval") if clip.path}
    assert paths == {
        "abcdefghi_0_0.5": "abcdefghi_0_500_9500.wav",
        "abcdefghi_0_3601.001": "abcdefghi_0_3601.001.wav",
    }, "a file without a start is ambiguous"
    assert list(data.missing) == ["abcdefghi_0_3601.002", "abcdefghi_0_20"]


def test_audioset_prefers_readable_files(tmp_path: Path) -> None:
    folder = audioset(tmp_path)
    (folder / "audio" / "eval" / "--4gqARaEJE.m4a").write_bytes(bytes(9))
    (folder / "audio" / "eval" / "vanished111.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    data = audioset_of(folder)
    assert [clip.path.suffix for clip in data.clips("eval") if clip.path] == [".wav", ".wav"]
    assert "ffmpeg" in data.missing["vanished111_20"]


def test_labels_are_propagated_on_request(tmp_path: Path) -> None:
    folder = audioset(tmp_path)
    data = audioset_of(folder, ontology=folder / "ontology.json", propagate=True)
    assert data.clips("eval")[0].labels == ("Animal", "Bird", "Crow", "Rain")
    with pytest.raises(InvalidInputError, match=r"ontology\.json"):
        audioset_of(folder, propagate=True)


def test_segments_saved_by_a_spreadsheet_are_refused(tmp_path: Path) -> None:
    folder = audioset(tmp_path)
    spilled = '--4gqARaEJE, 0.000, 10.000, """/m/04s8yn", "/m/06mb1"""\n'
    (folder / "eval_segments.csv").write_text(spilled)
    with pytest.raises(InvalidInputError, match=r"line 1: .*spreadsheet"):
        audioset_of(folder)


def test_segment_of_unknown_class_is_refused(tmp_path: Path) -> None:
    folder = audioset(tmp_path)
    (folder / "eval_segments.csv").write_text('--4gqARaEJE, 0.000, 10.000, "/m/none"\n')
    with pytest.raises(InvalidInputError, match="'/m/none', which is not a class"):
        audioset_of(folder)


def test_ontology_with_a_cycle_or_missing_child_is_refused() -> None:
    first, second = OntologyNode("a", "A", "", ("b",)), OntologyNode("b", "B", "", ("a",))
    with pytest.raises(InvalidInputError, match="own ancestor"):
        Ontology([first, second])
    with pytest.raises(InvalidInputError, match="'b' of A is missing"):
        Ontology([first])


def test_ontology_ancestors(tmp_path: Path) -> None:
    ontology = Ontology.from_json(audioset(tmp_path) / "ontology.json")
    assert ontology.ancestors("/m/04s8yn") == ("/m/015p6", "/t/wild", "/m/0jbk")
    assert (len(ontology), ontology["/m/06mb1"].name) == (5, "Rain")
    with pytest.raises(InvalidInputError, match="cannot be read as AudioSet's ontology"):
        Ontology.from_json(tmp_path / "class_labels_indices.csv")


def test_folder_per_label(tmp_path: Path) -> None:
    for name in ("crow/one.wav", "crow/deep/two.WAV", "rain/three.wav", ".hidden/four.wav"):
        sound(tmp_path / name)
    (tmp_path / "crow" / "notes.txt").write_text("?")
    data = Folder(tmp_path)
    assert data.labels == ("crow", "rain")
    assert [clip.id for clip in data.clips("all")] == [
        "crow/deep/two.WAV", "crow/one.wav", "rain/three.wav",
    ]  # fmt: skip


def test_folders_of_splits(tmp_path: Path) -> None:
    sound(tmp_path / "test" / "crow" / "one.wav")
    data = load("dataset", f"folder:{tmp_path}", splits=True)
    assert summary(data, "test") == [("test/crow/one.wav", ("crow",), None)]
    with pytest.raises(InvalidInputError, match="one of the splits test, got 'train'"):
        data.clips("train")


def test_folder_without_audio_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="LABEL/FILE"):
        Folder(tmp_path)
    with pytest.raises(InvalidInputError, match="expected a folder with"):
        Folder(tmp_path / "nowhere")


@pytest.mark.parametrize("build", [ESC50, UrbanSound8K, FSD50K])
def test_missing_table_is_named(build: type[InMemoryDataset], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\.csv: no such file"):
        build(tmp_path)  # type: ignore[call-arg, arg-type]


def test_duplicate_ids_and_unknown_labels_are_refused() -> None:
    clip = Clip(id="one", path=Path("one.wav"), labels=("crow",))
    with pytest.raises(InvalidInputError, match="'one'"):
        InMemoryDataset("mine", {"a": [clip], "b": [clip]}, ["crow"])
    with pytest.raises(InvalidInputError, match="unknown, such as 'crow'"):
        InMemoryDataset("mine", {"a": [clip]}, ["rain"])


def test_labels_are_renamed_merged_and_dropped(tmp_path: Path) -> None:
    path = table(tmp_path / "names.csv", ("label", "name"), [("crow", "bird"), ("drum", "music")])
    data = RelabelledDataset(Recordings(), read_mapping(path))
    assert data.labels == ("bird", "music")
    labels = {clip.id: clip.labels for clip in data.clips("all")}
    assert labels["crow.flac"] == ("bird",)
    assert () in labels.values()
    assert data.info.parts["dataset"] == Recordings().info
    with pytest.raises(InvalidInputError, match="Did you mean 'crow'"):
        RelabelledDataset(Recordings(), {"crows": "bird"})


def test_relabelling_compares_labels_in_unicode_nfc(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    clip = Clip(id="a", path=tmp_path / "a.wav", labels=("Bl\u00e4sshuhn",))
    listed = InMemoryDataset("mine", {"all": [clip]}, ["Bl\u00e4sshuhn"])
    data = RelabelledDataset(listed, {"Bla\u0308sshuhn": "a\u0308"})
    assert data.labels == ("\u00e4",)
    assert data.clips("all")[0].labels == ("\u00e4",)
