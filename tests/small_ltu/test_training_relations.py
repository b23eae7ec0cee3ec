"""Relations in the training of the shipped small LTU."""

import json
from collections import Counter
from pathlib import Path

import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.shipped import MINI
from audioprobe.small_ltu.training_relations import training_relations


def test_numbers_of_relations_are_those_of_the_stored_evaluation() -> None:
    counts = Counter(pair.role for pair in training_relations("mini"))
    measures = json.loads((MINI / "evaluation" / "text.json").read_text())["measures"]
    n_asked = {measure["name"]: measure["estimate"]["n"] for measure in measures}
    n_trained = 2 * (counts["audio_and_text"] + counts["text_only"])
    assert n_trained == n_asked["yes/no, hypernyms trained, after training"]
    assert 2 * counts["held_out"] == n_asked["yes/no, hypernyms held out, after training"]


def test_a_model_without_known_recordings_is_refused(tmp_path: Path) -> None:
    for name in ("recipe.json", "ltu.json"):
        (tmp_path / name).write_text((MINI / name).read_text())
    with pytest.raises(InvalidInputError, match=r"training_data\.csv"):
        training_relations(tmp_path)
    with pytest.raises(InvalidInputError, match="completed training"):
        training_relations(tmp_path / "nothing")
