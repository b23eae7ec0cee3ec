"""Clips are assigned to concepts by their labels, or by the names of their files."""

from pathlib import Path

import pytest
from tests.datasets.layouts import edansa_table
from tests.probing.known_models import CONCEPTS

from audioprobe import Clip, Scripted
from audioprobe.datasets import EDANSA
from audioprobe.datasets.edansa import EDANSA_PHRASES, edansa_parents
from audioprobe.datasets.recordings import FOLDER
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.relations.sources import from_hierarchy


@pytest.mark.parametrize(
    ("labels", "concept"),
    [
        (("crow",), "crow"),
        (("crow", "bird", "animal"), "crow"),  # a data set that labels upwards
        (("a musical instrument", "violin"), "violin"),
        (("Violin", "fiddle"), "violin"),  # two names of one concept
        (("crow", "rain"), ""),
        (("crow", "owl", "bird"), ""),
        (("crow", "teapot"), ""),  # an unknown label
        (("bird", "animal"), ""),  # some bird
        ((), ""),
    ],
)
def test_a_clip_belongs_to_the_one_concept_that_explains_all_labels(
    labels: tuple[str, ...], concept: str
) -> None:
    assigned = clips_by_concept([Clip(id="1", path=Path("owl.wav"), labels=labels)], CONCEPTS)
    assert list(assigned.by_concept) == ([concept] if concept else [])
    assert list(assigned.unassigned.values()) == (
        [] if concept else [", ".join(labels) or "(nothing)"]
    )


@pytest.mark.parametrize(
    ("path", "concept"),
    [("crow.wav", "crow"), ("crow-12.wav", "crow"), ("owl/a.wav", "owl"), ("owl/crow.wav", "crow")],
)
def test_a_clip_without_annotation_is_assigned_by_its_file_or_folder(
    path: str, concept: str
) -> None:
    assert list(clips_by_concept([Clip(id="1", path=Path(path))], CONCEPTS).by_concept) == [concept]


def test_clips_of_edansa_are_assigned_to_their_most_specific_label(tmp_path: Path) -> None:
    """Ancestors are labelled too, and most clips contain wind."""
    clips = EDANSA(edansa_table(tmp_path).parent, shortest=0).listed("train")
    assigned = clips_by_concept(
        clips, from_hierarchy("edansa", Hierarchy(edansa_parents()), EDANSA_PHRASES)
    )
    grouse = assigned.by_concept["grouse-or-ptarmigan"]
    assert {clip.labels for clip in grouse} == {("animal sound", "bird", "grouse or ptarmigan")}
    assert len(grouse) > 20
    assert len(assigned.by_concept["wind"]) > 100
    assert any("wind" in names and "bird" in names for names in assigned.unassigned.values())


def test_a_folder_of_sounds_needs_no_labels() -> None:
    probe = ConceptProbe(Scripted("Yes."), concepts=CONCEPTS, conditions=("audio",))
    outcome = probe("hypernym", FOLDER)
    assert {clip.concept for clip in outcome.clips.values()} >= {"crow", "piano"}
    assert any("guitar-harmonics" in clip for clip in outcome.unassigned)
