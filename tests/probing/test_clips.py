"""Which clip is of which concept: by labels, by the lowest of several, or by names of files."""

from pathlib import Path

import pytest
from tests.datasets.layouts import edansa_table
from tests.probing.listeners import SUBJECTS

from audioprobe import Clip, Scripted
from audioprobe.concepts.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.datasets import EDANSA
from audioprobe.datasets.recordings import FOLDER
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.relations.tables import from_hierarchy


@pytest.mark.parametrize(
    ("labels", "concept"),
    [
        (("crow",), "crow"),
        (("crow", "bird", "animal"), "crow"),  # a data set that labels upwards
        (("a musical instrument", "violin"), "violin"),
        (("Violin", "fiddle"), "violin"),  # two names of one thing
        (("crow", "rain"), ""),
        (("crow", "owl", "bird"), ""),
        (("crow", "teapot"), ""),  # nobody knows what else is heard
        (("bird", "animal"), ""),  # some bird
        ((), ""),
    ],
)
def test_a_clip_is_of_the_one_concept_that_its_other_labels_lie_above(
    labels: tuple[str, ...], concept: str
) -> None:
    found = clips_by_concept([Clip(id="1", path=Path("owl.wav"), labels=labels)], SUBJECTS)
    assert list(found.by_concept) == ([concept] if concept else [])
    assert list(found.unassigned.values()) == (
        [] if concept else [", ".join(labels) or "(nothing)"]
    )


@pytest.mark.parametrize(
    ("path", "concept"),
    [("crow.wav", "crow"), ("crow-12.wav", "crow"), ("owl/a.wav", "owl"), ("owl/crow.wav", "crow")],
)
def test_a_clip_that_nobody_annotated_goes_by_its_file_or_folder(path: str, concept: str) -> None:
    assert list(clips_by_concept([Clip(id="1", path=Path(path))], SUBJECTS).by_concept) == [concept]


def test_clips_of_edansa_count_for_their_own_labels(tmp_path: Path) -> None:
    """Its labels are closed upwards, and wind is heard nearly everywhere."""
    clips = EDANSA(edansa_table(tmp_path).parent, shortest=0).listed("train")
    found = clips_by_concept(
        clips, from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES)
    )
    grouse = found.by_concept["grouse-or-ptarmigan"]
    assert {clip.labels for clip in grouse} == {("animal sound", "bird", "grouse or ptarmigan")}
    assert len(grouse) > 20
    assert len(found.by_concept["wind"]) > 100
    assert any("wind" in names and "bird" in names for names in found.unassigned.values())


def test_a_folder_of_sounds_is_asked_about_as_it_is() -> None:
    probe = ConceptProbe(Scripted("Yes."), concepts=SUBJECTS, conditions=("audio",))
    found = probe("hypernym", FOLDER)
    assert {place.concept for place in found.clips.values()} >= {"crow", "piano"}
    assert any("guitar-harmonics" in clip for clip in found.unassigned)
