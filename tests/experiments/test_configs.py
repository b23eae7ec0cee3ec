"""Configurations that ship: each is read, and runs on a folder of the layout that it names."""

import shutil
from pathlib import Path

import pytest
from tests.datasets.layouts import audioset, edansa

from audioprobe.datasets.edansa import edansa_labels
from audioprobe.datasets.relabelled import read_mapping
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.across_sets import familiarity_drops
from audioprobe.experiments.classification.build import DESCRIPTIONS
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.run import ClassificationRun
from audioprobe.experiments.components import MAPPINGS, SHIPPED_CONFIGS
from audioprobe.io.config import configs_in
from audioprobe.io.tables import read_rows

CLASSES = Path(__file__).parents[1] / "data" / "audioset" / "class_labels_indices.csv"
REPLACED = {
    "ltu:models/ltu-13b": "scripted:a bird and some wind",
    "ltu:mini": "scripted:a bird and some wind",
    "tag-captioner:birdnet": "scripted:a bird and some wind",
    'name = "embedding:openai:text-embedding-ada-002"': 'name = "keyword"',
    'name = "embedding"': 'name = "keyword"',
    "seed = 0\n": "seed = 0\nbootstrap = { n_resamples = 20 }\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data where the configurations look for them."""
    edansa(tmp_path / "data" / "EDANSA-2019", per_split=3)
    folder = tmp_path / "data" / "audioset"
    folder.mkdir()
    audioset(folder)
    shutil.copy(CLASSES, folder)
    (folder / "audio" / "eval").rename(folder / "eval")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


CLASSIFICATIONS = [
    n for n, p in configs_in(SHIPPED_CONFIGS).items() if "[[prompt_levels]]" in p.read_text()
]


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_it_runs_on_data_of_the_layout_that_it_names(name: str, home: Path) -> None:
    text = (SHIPPED_CONFIGS / f"{name}.toml").read_text()
    for old, new in REPLACED.items():
        text = text.replace(old, new)
    path = home / f"{name}.toml"
    path.write_text(text)
    config = read_classification(path)
    cells = ClassificationRun(config, text)(home / "run")
    assert len(cells) == len(config.evaluation_sets) * len(config.prompt_levels)
    assert all(cell.result.clip_ids for cell in cells)
    if name == "familiar-unfamiliar":
        assert len(familiarity_drops(cells, config.bootstrap)) == len(config.prompt_levels)


def test_every_label_of_edansa_is_described() -> None:
    names = [label.name for label in edansa_labels()]
    for table in ("edansa", "edansa-acoustic"):
        rows = read_rows(DESCRIPTIONS / f"{table}.csv", ("label", "description"))
        assert [row["label"] for row in rows] == names
    absent = read_rows(DESCRIPTIONS / "absent.csv", ("label", "description"))
    assert len({row["label"] for row in absent} - set(names)) >= len(names)


def test_descriptions_come_from_the_ontology_too(home: Path) -> None:
    folder = home / "data" / "audioset"
    text = (SHIPPED_CONFIGS / "audioset.toml").read_text()
    for old, new in REPLACED.items():
        text = text.replace(old, new)
    text += (
        '[[prompt_levels]]\nprompt = "descriptions"\ndescriptions = "data/audioset/ontology.json"\n'
    )
    (home / "mine.toml").write_text(text)
    assert (folder / "ontology.json").is_file()
    run = ClassificationRun(read_classification(home / "mine.toml"), text)
    assert "Crow: Crow" in run.questions[0][1][-1].text


def test_both_mappings_lead_to_the_same_names() -> None:
    edansa, audioset = (read_mapping(MAPPINGS / f"{n}-common.csv") for n in ("edansa", "audioset"))
    assert set(edansa.values()) == set(audioset.values())
    known = {row["display_name"] for row in read_rows(CLASSES)}
    assert set(audioset) <= known


def test_thresholds_from_unknown_sounds_are_refused(home: Path) -> None:
    text = (SHIPPED_CONFIGS / "edansa.toml").read_text().replace('from = "valid"', 'from = "vaild"')
    (home / "mine.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=r"thresholds_from.*Did you mean 'valid'"):
        read_classification(home / "mine.toml")
