"""Weights are found in the stated order, and what is wrong with them is said."""

from pathlib import Path

import pytest

from audioprobe.errors import WeightsError
from audioprobe.weights import CARRIERS, find, refuse_differences, resolve

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def test_a_folder_comes_first(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)).origin == "path"


def test_a_carrying_package_serves_without_a_hub() -> None:
    for name in CARRIERS:
        assert resolve(name).origin == "package"
        assert any(resolve(name).folder.iterdir())


def test_the_cache_comes_before_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = "0" * 40
    model = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(revision)
    (model / "snapshots" / revision).mkdir(parents=True)
    snapshot = model / "snapshots" / revision
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    broken_off = find(MINILM)
    assert broken_off is not None
    assert broken_off.origin == "package"
    (snapshot / "model.safetensors").touch()
    found = find(MINILM)
    assert found is not None
    assert found.origin == "cache"


def test_nothing_is_found_for_an_unknown_name_and_the_error_says_where_was_looked() -> None:
    assert find("nobody/no-such-model") is None
    with pytest.raises(WeightsError, match="neither a folder nor a model's name"):
        find("models/")
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE.*pass a local folder"):
        resolve("nobody/no-such-model")


def test_a_path_that_is_not_there_is_not_asked_of_the_hub() -> None:
    for name in ("./models/mine", "/models/mine", "~/models/mine"):
        with pytest.raises(WeightsError, match="no such folder"):
            resolve(name)


def test_the_revision_is_a_hash_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    (tmp_path / "README.md").write_text("not weights")
    first = resolve(str(tmp_path)).revision()
    (tmp_path / "README.md").write_text("changed")
    assert resolve(str(tmp_path)).revision() == first
    (tmp_path / "config.json").write_text('{"pooling": "cls"}')
    second = resolve(str(tmp_path)).revision()
    assert second != first
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert resolve(str(tmp_path)).revision() != first


def test_parameters_that_differ_are_named() -> None:
    refuse_differences("model", missing=[], unexpected=[], mismatched=[])
    with pytest.raises(WeightsError, match=r"1 missing \(a\).*4 unexpected \(b, c, d, \.\.\.\)"):
        refuse_differences("model", missing=["a"], unexpected="bcde", mismatched=[])
