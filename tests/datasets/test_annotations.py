"""Tables of Raven, Audacity and BirdNET-Analyzer, as these programs write them."""

from pathlib import Path

import pytest
from tests.datasets.layouts import sound

from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
ROWS = (
    "1\tSpectrogram 1\t1\t3.000000000\t6.000000000\t1000.0\t4000.0\tcrow\n"
    "1\tWaveform 1\t1\t3.000000000\t6.000000000\t1000.0\t4000.0\tcrow\n"
    "2\tSpectrogram 1\t1\t3.000000000\t6.000000000\t100.0\t900.0\train\n"
    "3\tSpectrogram 1\t1\t5.000000000\t8.000000000\t100.0\t900.0\tfrog; toad\n"
)
EXPECTED = {
    "rec.wav#3": (("crow", "rain"), 3.0, 3.0, "rec.wav"),
    "rec.wav#5": (("frog", "toad"), 5.0, 3.0, "rec.wav"),
}


def clips(data: Manifest) -> dict[str, tuple[object, ...]]:
    listed = data.listed("all")
    return {clip.id: (clip.labels, clip.start, clip.duration, clip.group) for clip in listed}


def written(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name",
    ["rec.Table.1.selections.txt", "rec.selections.txt", "rec.txt", "rec.wav.selections.txt",
     "rec.BirdNET.selection.table.txt", "rec.Table.12.selections.tsv"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["Species", "Annotation", "Common Name", "label"])
def test_raven_recording_with_the_same_name(tmp_path: Path, name: str, column: str) -> None:
    sound(tmp_path / "rec.wav", 9)
    data = Manifest(written(tmp_path / name, f"{RAVEN}\t{column}\n{ROWS}"))
    assert clips(data) == EXPECTED
    assert (len(data.clips("all")), data.missing) == (2, {})


@pytest.mark.parametrize(
    "path", ["rec.wav", "C:\\Users\\me\\sounds\\rec.wav", "/home/me/sounds/rec.wav", "sub/rec.wav"]
)
@pytest.mark.parametrize("column", ["Begin Path", "Begin File"])
def test_raven_columns_name_the_recording(tmp_path: Path, path: str, column: str) -> None:
    sound(tmp_path / "rec.wav", 9)
    rows = "".join(f"{row}\t{path}\n" for row in ROWS.splitlines())
    data = Manifest(written(tmp_path / "t.txt", f"{RAVEN}\tSpecies\t{column}\n{rows}"))
    assert clips(data) == EXPECTED
    assert not data.missing


def test_raven_times_are_relative_to_each_file(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        sound(tmp_path / name, 9)
    header = f"{RAVEN}\tBegin File\tEnd File\tFile Offset (s)\tSpecies"
    rows = (
        "1\tSpectrogram 1\t1\t3.0\t6.0\t0\t1\ta.wav\ta.wav\t3.0\tcrow\n"
        "2\tSpectrogram 1\t1\t12.0\t14.5\t0\t1\tb.wav\tb.wav\t2.0\train\n"
        "3\tSpectrogram 1\t1\t8.0\t11.0\t0\t1\ta.wav\tb.wav\t8.0\tfrog\n"
    )
    data = Manifest(written(tmp_path / "t.selections.txt", f"{header}\n{rows}"))
    assert clips(data) == {
        "a.wav#3": (("crow",), 3.0, 3.0, "a.wav"),
        "b.wav#2": (("rain",), 2.0, 2.5, "b.wav"),
    }
    ((where, cause),) = data.left_out.items()
    assert where.endswith("row 4")
    assert "another file" in cause


def test_raven_table_without_known_label_column_is_refused(tmp_path: Path) -> None:
    sound(tmp_path / "rec.wav", 9)
    path = written(tmp_path / "rec.selections.txt", f"{RAVEN}\tWho\n{ROWS}")
    with pytest.raises(InvalidInputError, match=r'columns=\{"labels": "Who"\}'):
        Manifest(path)
    assert clips(Manifest(path, columns={"labels": "Who"})) == EXPECTED
    assert {labels for labels, *_ in clips(Manifest(path, columns={"labels": ""})).values()} == {
        None
    }
    with pytest.raises(InvalidInputError, match="'Whom', chosen for 'labels'"):
        Manifest(path, columns={"labels": "Whom"})


def test_raven_columns_can_be_passed(tmp_path: Path) -> None:
    rows = "".join(f"{row}\trec.wav\n" for row in ROWS.splitlines())
    columns = {
        "path": "Begin Path", "start": "Begin Time (s)", "end": "End Time (s)", "labels": "Species",
    }  # fmt: skip
    path = written(tmp_path / "t.tsv", f"{RAVEN}\tSpecies\tBegin Path\n{rows}")
    assert clips(Manifest(path, columns=columns)) == EXPECTED


@pytest.mark.parametrize("number", ["{:.6f}", "{}"])
@pytest.mark.parametrize("comma", [".", ","])
def test_audacity_label_tracks(tmp_path: Path, number: str, comma: str) -> None:
    sound(tmp_path / "rec.wav", 9)
    spans = ((3, 6, "crow"), (3, 6, "rain"), (5, 8, "frog; toad"), (7, 7, "here"))
    lines = "".join(
        f"{number.format(a)}\t{number.format(b)}\t{c}\n".replace(".", comma) for a, b, c in spans
    )
    data = Manifest(written(tmp_path / "rec.txt", lines + "\\\t1000.0\t2000.0\n"))
    assert clips(data) == EXPECTED
    assert [cause.endswith("has zero length") for cause in data.left_out.values()] == [True]


def test_audacity_labels_with_commas_or_without_text(tmp_path: Path) -> None:
    lines = "0.5\t1.0\ta, b, c, d\n1.0\t2.0\t\n2.0\t3.0\n"
    content = clips(Manifest(written(tmp_path / "rec.txt", lines)))
    assert [labels for labels, *_ in content.values()] == [("a, b, c, d",), (), ()]
    with pytest.raises(InvalidInputError, match=r"rec\.txt, row 2: .*label track"):
        Manifest(written(tmp_path / "rec.txt", "0.5\t1.0\tcrow\nsoon\t2\train\n"))


BIRDNET = {
    "rec.BirdNET.results.csv": (
        "Start (s),End (s),Scientific name,Common name,Confidence\n"
        "3.0,6.0,Corvus corax,crow,0.9\n3.0,6.0,Pluvia,rain,0.5\n"
        "5.0,8.0,Rana,frog,0.3\n5.0,8.0,Bufo,toad,0.2\n"
    ),
    "rec.BirdNET.results.txt": (
        "3.0\t6.0\tCorvus corax, crow\t0.9000\n3.0\t6.0\tPluvia, rain\t0.5000\n"
        "5.0\t8.0\tRana, frog\t0.3000\n5.0\t8.0\tBufo, toad\t0.2000\n"
    ),
    "rec.BirdNET.results.r.csv": (
        "filepath,start,end,scientific_name,common_name,confidence,lat,lon,week\n"
        "/home/me/rec.wav,3.0,6.0,Corvus corax,crow,0.9,-1,-1,-1\n"
        "/home/me/rec.wav,3.0,6.0,Pluvia,rain,0.5,-1,-1,-1\n"
        "/home/me/rec.wav,5.0,8.0,Rana,frog,0.3,-1,-1,-1\n"
        "/home/me/rec.wav,5.0,8.0,Bufo,toad,0.3,-1,-1,-1\n"
    ),
    "rec.BirdNET.results.kaleidoscope.csv": (
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,scientific_name,common_name,confidence\n"
        "/home,me,rec.wav,3.0,3.0,Corvus corax,crow,0.9\n/home,me,rec.wav,3.0,3.0,x,rain,0.9\n"
        "/home,me,rec.wav,5.0,3.0,Rana,frog,0.9\n/home,me,rec.wav,5.0,3.0,x,toad,0.9\n"
    ),
    "BirdNET_CombinedTable.csv": (
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "3.0,6.0,Corvus corax,crow,0.9,C:\\me\\rec.wav\n3.0,6.0,x,rain,0.5,C:\\me\\rec.wav\n"
        "5.0,8.0,Rana,frog,0.3,C:\\me\\rec.wav\n5.0,8.0,Bufo,toad,0.2,C:\\me\\rec.wav\n"
    ),
}


@pytest.mark.parametrize("name", BIRDNET)
def test_birdnet_results(tmp_path: Path, name: str) -> None:
    sound(tmp_path / "rec.wav", 9)
    data = Manifest(written(tmp_path / name, BIRDNET[name]))
    assert clips(data) == EXPECTED
    assert not data.missing


def test_birdnet_nocall_gives_a_clip_without_labels(tmp_path: Path) -> None:
    row = "1\tSpectrogram 1\t1\t0\t3\t0\t15000\tnocall\tnocall\t1.0\trec.wav\t0\n"
    header = f"{RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
    data = Manifest(
        written(tmp_path / "rec.BirdNET.selection.table.txt", header + row), labels=["crow"]
    )
    assert clips(data) == {"rec.wav": ((), 0.0, 3.0, "rec.wav")}


def test_folder_of_tables_is_one_data_set(tmp_path: Path) -> None:
    sound(tmp_path / "rec.wav", 9)
    sound(tmp_path / "day 2" / "other.wav", 9)
    for name in ("rec.BirdNET.results.csv", "BirdNET_CombinedTable.csv"):
        written(tmp_path / name, BIRDNET[name])
    written(tmp_path / "day 2" / "other.txt", "1\t2\tcrow\n")
    written(tmp_path / "day 2" / ".other.txt", "?")
    written(tmp_path / "BirdNET_analysis_params.csv", "Overlap\n0\n")
    written(tmp_path / "README.txt", "Not a table.")
    data = Manifest(tmp_path)
    other = {"day 2/other.wav#1": (("crow",), 1.0, 1.0, "day 2/other.wav")}
    assert clips(data) == EXPECTED | other
    assert len(data.clips("all")) == 3
    written(tmp_path / "day 2" / "other.txt", "A transcript of it.\n")
    with pytest.raises(InvalidInputError, match=r"other\.txt: expected a table of Raven"):
        Manifest(tmp_path)


def test_recordings_in_another_folder_or_missing(tmp_path: Path) -> None:
    sound(tmp_path / "sounds" / "rec.flac", 9)
    path = written(tmp_path / "tables" / "rec.txt", "1\t2\tcrow\n")
    assert list(clips(Manifest(path, tmp_path / "sounds"))) == ["rec.flac#1"]
    assert list(Manifest(path).missing) == ["rec.wav#1"]
    sound(tmp_path / "sounds" / "rec.wav", 9)
    with pytest.raises(
        InvalidInputError,
        match=r"one recording with the name of this table, got rec\.flac, rec\.wav",
    ):
        Manifest(path, tmp_path / "sounds")


def test_two_names_for_one_recording_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"1\tv\t1\t{n}\t9\t0\t1\tcrow\t/day{n}/rec.wav\n" for n in (1, 2))
    path = written(tmp_path / "t.txt", f"{RAVEN}\tSpecies\tBegin Path\n{rows}")
    with pytest.raises(InvalidInputError, match=r"'/day2/rec.wav' and '/day1/rec.wav' both refer"):
        Manifest(path)


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    sound(tmp_path / "rec.wav")
    with pytest.raises(InvalidInputError, match="expected tables of Raven, Audacity or BirdNET"):
        Manifest(tmp_path)
