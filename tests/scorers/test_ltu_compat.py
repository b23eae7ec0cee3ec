"""The compatible mode gives what LTU's scripts give, string by string and number by number."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.scorers.embedding import EmbeddingScorer
from audioprobe.scorers.ltu import RECIPES
from audioprobe.types import ComponentInfo, FloatArray

GOLDEN = json.loads((Path(__file__).parents[1] / "data/ltu_eval/eval.json").read_text())
CAPTIONS = [entry for entry in GOLDEN["parse"] if "pred" in entry]
REFERENCES = [entry for entry in GOLDEN["parse"] if "ref" in entry]
LABELS = [(name, *pair) for name, pairs in GOLDEN["label_text"].items() for pair in pairs]
VECTORS = GOLDEN["scores_inputs"]


class Lookup:
    """The golden vectors, by the text that the recipe must produce."""

    info = ComponentInfo("embedder", "lookup")

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self._vectors = vectors

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.array([self._vectors[text] for text in texts]).reshape(len(texts), -1)


@pytest.mark.parametrize("entry", CAPTIONS, ids=lambda e: f"{e['dataset']}: {e['pred']}")
def test_captions_are_cut_as_in_the_script(entry: dict[str, object]) -> None:
    text = RECIPES[str(entry["dataset"])].caption_text(str(entry["pred"]))
    assert [text] == entry["embedded_texts"]


@pytest.mark.parametrize("entry", REFERENCES, ids=lambda e: f"{e['dataset']}: {e['ref']}")
def test_references_are_parsed_as_in_the_script(entry: dict[str, object]) -> None:
    truth = RECIPES[str(entry["dataset"])].truth(str(entry["ref"]))
    expected = entry["truth"]
    assert list(truth) == (expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize(("name", "label", "text"), LABELS)
def test_labels_are_formatted_as_in_the_script(name: str, label: str, text: str) -> None:
    # The golden labels of VGGSound have their underscore replaced already.
    assert RECIPES[name].label_text(label) == text


@pytest.mark.parametrize(("compat", "mode"), [("ltu:vggsound", "max"), ("ltu:as", "accu")])
def test_compat_mode_reproduces_the_golden_scores(compat: str, mode: str) -> None:
    texts = {f"sound of {key}": vector for key, vector in VECTORS["cache"].items()}
    labels = {f"sound of {key}": vector for key, vector in VECTORS["labels"].items()}
    scorer = EmbeddingScorer(Lookup(texts | labels), compat=compat)
    (row,) = scorer.score(["Audio caption: a"], list(VECTORS["labels"]))
    (golden,) = [
        case["out"]
        for case in GOLDEN["scores"]
        if (case["script"], case["mode"], case["texts"]) == ("vggsound", mode, ["a"])
    ]
    np.testing.assert_allclose(row, golden, atol=1e-12)
    assert scorer.info.options == {"compat": compat}


def test_ltu_without_a_name_is_audioset_and_unknown_names_are_rejected() -> None:
    vectors = {"sound of e dog": [1.0, 0.0], "sound of dog": [1.0, 0.0]}
    scorer = EmbeddingScorer(Lookup(vectors), compat="ltu")
    assert scorer.score(["the dog"], ["Dog"]) == pytest.approx(1.0)
    with pytest.raises(InvalidInputError, match="ltu:esc"):
        EmbeddingScorer(Lookup({}), compat="ltu:gtzan")
    with pytest.raises(InvalidInputError, match="compat must be"):
        EmbeddingScorer(Lookup({}), compat="clap")


def test_quirks_are_not_defaults() -> None:
    vectors = {"sound of the dog": [1.0, 0.0], "sound of Dog": [-1.0, 0.0]}
    scorer = EmbeddingScorer(Lookup(vectors))
    assert scorer.score([" the dog "], ["Dog"]) == pytest.approx(-1.0)  # letters and sign are kept
