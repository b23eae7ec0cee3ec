"""The shipped tables of recordings: complete, consistent and shown in the documentation."""

import re
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
from tests.datasets.debian_packages import lay_out_sonic_pi

from audioprobe import Concepts, DebianSounds
from audioprobe.audio.files import READABLE_SUFFIXES
from audioprobe.datasets.debian import tables
from audioprobe.datasets.debian.download import INDEXES
from audioprobe.datasets.debian.renderings import rendered_from
from audioprobe.errors import InvalidInputError

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "debian-sounds.md"
FREE = ("GPL", "CC-BY", "CC0", "BSD", "MIT", "Free-Art", "ISC", "Artistic")


def split_of(sound: tables.DebianRecording) -> str:
    return tables.packages()[sound.package].split


def test_packages_are_complete_and_free() -> None:
    packages = tables.packages().values()
    assert len(packages) == 29
    for package in packages:
        assert package.version, package.name
        assert package.reason, package.name
        assert package.size > 100_000, package.name
        assert all(name.startswith(FREE) for name in package.licence.split(", ")), package.licence
        assert package.split in tables.SPLITS
        assert package.source in INDEXES
        assert package.credits, package.name
        assert not {"..", "/"} & {part for file in package.credits for part in file.split("/")}
        assert not package.folder.startswith("/")
        assert not package.folder.endswith("/")
    assert sum(package.size for package in packages) < 1_900_000_000
    assert {package.split for package in packages} == set(tables.SPLITS)


def test_recordings_are_complete() -> None:
    assert {sound.package for sound in tables.recordings()} == set(tables.packages())
    for sound in tables.recordings():
        path = PurePosixPath(sound.file)
        assert path.suffix.lower() in READABLE_SUFFIXES, sound.id
        assert not {"..", "/"} & set(path.parts), sound.id
        assert sound.start >= 0, sound.id
        assert sound.seconds >= 0.1, sound.id
        assert re.fullmatch("[0-9a-f]{16}", sound.sha256), sound.id
        assert sound.note or not sound.doubtful, f"{sound.id}: says what the doubt is"
        assert 1 <= len(set(sound.concepts)) == len(sound.concepts), sound.id


def test_recordings_are_unique() -> None:
    ids = Counter(sound.id for sound in tables.recordings())
    hashes = Counter(s.sha256 for s in tables.recordings() if not rendered_from(s.file))
    assert max(ids.values()) == max(hashes.values()) == 1


def test_renderings_of_one_file_have_its_hash() -> None:
    hashes = {(s.package, rendered_from(s.file), s.sha256) for s in tables.recordings()}
    sources = [(package, source) for package, source, _ in hashes if source]
    assert len(sources) == len(set(sources)) > 60


def test_concepts_use_the_ids_of_shipped_ones() -> None:
    concepts = Concepts.shipped()
    used = {concept for sound in tables.recordings() for concept in sound.concepts}
    for concept in used:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", concept), concept
    hypernyms = {hypernym.id for hypernym in concepts.hypernyms}
    known = {name.casefold() for concept in concepts for name in concept.names}
    for concept in used - {c.id for c in concepts}:
        # A second id for a shipped concept would divide its recordings.
        assert concept not in hypernyms, concept
        assert tables.concept_name(concept) not in known, concept
    assert sum(concept in concepts for concept in used) >= 90


def test_labels_are_names_of_concepts() -> None:
    assert tables.concept_name("snare-drum") == "snare drum"
    assert tables.concept_name("computer-keyboard") == Concepts.shipped()["computer-keyboard"].name
    assert tables.concept_name("sea-lion") == "sea lion"


def test_concepts_are_shared_with_training() -> None:
    certain = [sound for sound in tables.recordings() if not sound.doubtful]
    counts = {
        split: Counter(c for s in certain if split_of(s) == split for c in s.concepts)
        for split in tables.SPLITS
    }
    shared = [c for c in counts["test"] if counts["train"][c]]
    several = [c for c in shared if counts["test"][c] >= 2]
    assert len(several) >= 20
    text = " ".join(PAGE.read_text("utf-8").split())
    assert f"{len(shared)} have recordings both in training and in test, {len(several)} of" in text


def test_packages_are_selected_in_the_order_of_the_table() -> None:
    assert [p.name for p in tables.select_packages(["scratch", "xboard"])] == ["xboard", "scratch"]
    assert len(tables.select_packages(None)) == len(tables.packages())
    with pytest.raises(InvalidInputError, match=r"Expected packages among .*xboard.*, got xbord"):
        tables.select_packages(["xbord"])
    with pytest.raises(InvalidInputError, match="got none"):
        tables.select_packages([])


def test_default_folder_is_in_the_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert tables.default_folder().as_posix() == "/somewhere/audioprobe/debian-sounds"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert tables.default_folder().as_posix().endswith("/.cache/audioprobe/debian-sounds")


def test_hashes_match_the_shipped_recordings(tmp_path: Path) -> None:
    lay_out_sonic_pi(tmp_path)
    sounds = DebianSounds(tmp_path, packages=["sonic-pi-samples"], doubtful=True)
    assert len(sounds.clips("test")) >= 14
    assert set(sounds.missing.values()) == {"the package has no such file"}
    labels = {clip.id.rpartition("/")[2]: clip.labels for clip in sounds.clips("test")}
    assert labels["misc_crow.flac"] == ("crow",)
    assert labels["drum_snare_hard.flac"] == ("snare drum",)


def test_page_shows_the_current_tables() -> None:
    page = PAGE.read_text("utf-8")
    certain = [sound for sound in tables.recordings() if not sound.doubtful]
    assert tables.packages_table(tables.select_packages(None)).to_markdown() in page
    assert tables.concepts_table(certain).to_markdown() in page
    n_doubtful = len(tables.recordings()) - len(certain)
    assert f"{len(tables.recordings())} recordings" in page
    assert f"{n_doubtful} of them are in doubt" in page


def test_table_counts_recordings_per_concept() -> None:
    counted = tables.concepts_table(tables.recordings())
    total = sum(int(n) for row in counted.rows for n in row[1:4])
    assert total == sum(len(sound.concepts) for sound in tables.recordings())
    by_name = {row[0]: row[1:] for row in counted.rows}
    dogs = [s for s in tables.recordings() if "dog" in s.concepts]
    assert by_name["dog"][2] == str(sum(split_of(s) == "test" for s in dogs))
    assert by_name["dog"][3] == str(len({s.package for s in dogs}))
    assert by_name["dog"][4] == f"{sum(s.seconds for s in dogs):.1f}"
