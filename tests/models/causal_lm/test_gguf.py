"""A GGUF model is converted once and exactly, and then loaded like other models."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from tests.golden_ltu import tiny_base
from tests.tiny_gguf import write_gguf

from audioprobe import LTU, TransformersLM
from audioprobe.errors import WeightsError
from audioprobe.models.causal_lm.loading import plain_folder, read_folder
from audioprobe.types import Decoding, Prompt
from audioprobe.weights import Weights

BRIEF = Decoding(max_new_tokens=8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    folder = tmp_path / "packed"
    folder.mkdir()
    write_gguf(folder / "tiny.gguf")
    return folder


def test_weights_are_dequantised_exactly_and_once(packed: Path) -> None:
    plain = plain_folder(Weights(packed, "path"))
    actual = read_folder(plain)
    base = {
        name: t for name, t in tiny_base().items() if "audio" not in name and "inv_" not in name
    }
    assert actual.keys() == base.keys()
    assert all(torch.equal(tensor, base[name]) for name, tensor in actual.items())
    written = (plain / "model.safetensors").stat().st_mtime_ns
    assert plain_folder(Weights(packed, "path")) == plain
    assert (plain / "model.safetensors").stat().st_mtime_ns == written
    assert plain_folder(Weights(plain, "path")) == plain, "what is plain stays"


def test_simultaneous_conversions_give_complete_weights(packed: Path) -> None:
    def read(_: int) -> set[str]:
        return set(read_folder(plain_folder(Weights(packed, "path"))))

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(read, range(4)))
    assert names[0]
    assert all(other == names[0] for other in names)


def test_gguf_works_as_text_model_and_as_base_of_an_ltu(packed: Path, checkpoint: Path) -> None:
    model = TransformersLM(packed)
    (alone,) = model.generate([Prompt("Hi")], BRIEF)
    (again,) = TransformersLM(plain_folder(Weights(packed, "path"))).generate([Prompt("Hi")], BRIEF)
    assert alone == again
    assert model.info.revision == Weights(packed, "path").revision()
    ltu = LTU.from_pretrained(checkpoint, base=packed)
    assert ltu.info.options["base"] == "packed"
    assert list(ltu.generate([Prompt("Hi")], BRIEF))


def test_damaged_or_several_gguf_files_raise(packed: Path) -> None:
    (packed / "other.gguf").write_bytes((packed / "tiny.gguf").read_bytes())
    with pytest.raises(WeightsError, match="expected one GGUF file, found 2"):
        plain_folder(Weights(packed, "path"))
    (packed / "other.gguf").unlink()
    whole = (packed / "tiny.gguf").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not a model"):
        (packed / "tiny.gguf").write_bytes(damaged)
        with pytest.raises(WeightsError, match="not readable as a GGUF model"):
            TransformersLM(packed)
