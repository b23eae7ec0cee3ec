"""LTU checkpoints: folders of several files, converted folders, and error messages."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.golden_ltu import tiny_base
from tests.processes import run_cli
from torch import Tensor

from audioprobe import load
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu import saving
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.published import PUBLISHED
from audioprobe.models.ltu.saving import convert_ltu, save_ltu
from audioprobe.types import Decoding, Prompt, Response, Waveform

BRIEF = Decoding(max_new_tokens=8)
SOUND = Waveform(np.random.default_rng(0).uniform(-0.3, 0.3, 32_000).astype(np.float32), 16_000)


def answers(model: LTU) -> list[Response]:
    return list(model.generate([Prompt("What is heard?", SOUND), Prompt("Why?")], BRIEF))


def in_bins(base: Path, folder: Path) -> None:
    """Write a base like the authors': pickled shards, one with an unusual name, two indices."""
    folder.mkdir()
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tiny_base().items():
        number = 3 if "audio" in name else 1 + ("layers.1" in name)
        halves.setdefault(f"pytorch_model-0000{number}-of-00002.bin", {})[name] = tensor
    for shard, tensors in halves.items():
        torch.save(tensors, folder / shard)
    for index, sound in (("pytorch_model.bin", False), ("pytorch_model_cavmae.bin", True)):
        named = {n: s for s, t in halves.items() for n in t if ("audio" in n) is sound}
        (folder / f"{index}.index.json").write_text(json.dumps({"weight_map": named}))


def test_pickled_shards_of_a_base_load_like_safetensors(
    checkpoint: Path, base: Path, tmp_path: Path
) -> None:
    in_bins(base, tmp_path / "vicuna_ltu")
    loaded = LTU.from_pretrained(checkpoint, base=tmp_path / "vicuna_ltu")
    assert answers(loaded) == answers(LTU.from_pretrained(checkpoint, base=base))


def test_missing_shard_of_an_index_raises(checkpoint: Path, base: Path, tmp_path: Path) -> None:
    in_bins(base, tmp_path / "vicuna_ltu")
    (tmp_path / "vicuna_ltu" / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(WeightsError, match=r"names pytorch_model-00002-of-00002\.bin.*is missing"):
        LTU.from_pretrained(checkpoint, base=tmp_path / "vicuna_ltu")


def test_info_has_hashes_of_checkpoint_and_base(checkpoint: Path, base: Path) -> None:
    info = LTU.from_pretrained(checkpoint, base=base).info
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert info.revision == digest[:16]
    assert info.options["sha256"] == digest
    assert info.options["base"] == base.name
    assert len(str(info.options["base_revision"])) == 16


@pytest.fixture(scope="module")
def converted(checkpoint: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_ltu(checkpoint, tmp_path_factory.mktemp("made") / "ltu", base=base)


def test_converted_folder_gives_the_responses_of_the_published_checkpoint(
    converted: Path, checkpoint: Path, base: Path
) -> None:
    published = LTU.from_pretrained(checkpoint, base=base)
    again = LTU.from_pretrained(converted)
    assert answers(again) == answers(published)
    for name in ("checkpoint", "sha256", "base", "base_revision"):
        assert again.info.options[name] == published.info.options[name]
    by_name = load("language_model", f"ltu:{converted}")
    assert by_name.info == again.info
    (response,) = by_name.generate([Prompt("Why?")], BRIEF)
    assert response == answers(published)[1]


def test_save_ltu_keeps_trained_weights_of_the_language_model(
    checkpoint: Path, base: Path, tmp_path: Path
) -> None:
    """The folder contains the trained weights of the LLaMA, which `save_adapter` would omit."""
    files = load_ltu(checkpoint, base)
    net = files.net
    with torch.no_grad():
        net.llama.model.layers[0].mlp.up_proj.weight.add_(0.5)
        net.prefix.projection.bias.add_(0.5)
    again = load_ltu(save_ltu(files, tmp_path / "mine", name="mine"), None)
    assert again.origin.checkpoint == "mine"
    assert again.origin.base == base.name
    expected = net.state_dict()
    assert again.net.state_dict().keys() == expected.keys()
    for name, tensor in again.net.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_conversion_keeps_number_formats_and_writes_shards(
    checkpoint: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "half"
    half.mkdir()
    for file in base.iterdir():
        (half / file.name).write_bytes(file.read_bytes())
    save_file({n: t.half() for n, t in tiny_base().items()}, half / "model.safetensors")
    monkeypatch.setattr(saving, "SHARD_SIZE", "500KB")
    folder = convert_ltu(checkpoint, tmp_path / "ltu", base=half)
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    tensors = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    assert tensors["llama.model.embed_tokens.weight"].dtype == torch.float16
    assert tensors["prefix.projection.weight"].dtype == torch.float32
    expected = answers(LTU.from_pretrained(checkpoint, base=half))
    assert answers(LTU.from_pretrained(folder)) == expected
    shards[0].unlink()
    with pytest.raises(WeightsError, match="is missing"):
        LTU.from_pretrained(folder)


def test_converted_ltuas_includes_the_whisper_encoder_only(
    checkpoint_as: Path, base_as: Path, whisper: Path, tmp_path: Path
) -> None:
    folder = convert_ltu(checkpoint_as, tmp_path / "ltuas", base=base_as, whisper=whisper)
    names = load_file(folder / "whisper" / "model.safetensors")
    assert names
    assert all(name.startswith("encoder.") for name in names), "the decoder is left out"
    published = LTU.from_pretrained(checkpoint_as, base=base_as, whisper=whisper)
    assert answers(LTU.from_pretrained(folder)) == answers(published)


@pytest.mark.slow
def test_convert_command_prints_the_folder(checkpoint: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "ltu tiny"
    process = run_cli("convert", str(checkpoint), "--base", str(base), "--out", str(out))
    assert process.returncode == 0, process.stderr
    assert f"wrote {out}" in process.stdout
    card = json.loads((out / "ltu.json").read_text())
    assert card["origin"]["checkpoint"] == "ltu_tiny.bin"
    with pytest.raises(InvalidInputError, match="already exists"):
        convert_ltu(checkpoint, out, base=base)


def test_failed_conversion_leaves_no_folder(
    checkpoint: Path, checkpoint_as: Path, base: Path, base_as: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ltu"
    with pytest.raises(WeightsError):
        convert_ltu(checkpoint_as, out, base=base_as, whisper=base)
    assert not out.exists()
    partial = tmp_path / "ltu.partial"
    assert not partial.exists()
    partial.mkdir()
    (partial / "torn.safetensors").write_text("left by a kill")
    assert convert_ltu(checkpoint, out, base=base).is_dir()
    assert not partial.exists()
    assert not (out / "torn.safetensors").exists()


def test_incomplete_converted_folder_raises(converted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ltu"
    copy.mkdir()
    with pytest.raises(WeightsError, match=r"ltu\.json is missing, so this is not a converted LTU"):
        LTU.from_pretrained(copy)
    card = json.loads((converted / "ltu.json").read_text())
    (copy / "ltu.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"expected weights .*found none"):
        LTU.from_pretrained(copy)
    (copy / "model.safetensors").write_bytes((converted / "model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="no tokenizer"):
        LTU.from_pretrained(copy)
    (copy / "ltu.json").write_text(json.dumps(card | {"format": 99}))
    with pytest.raises(WeightsError, match=r"format 99.*reads format 1"):
        LTU.from_pretrained(copy)
    (copy / "ltu.json").write_text("{")
    with pytest.raises(WeightsError, match="not readable"):
        LTU.from_pretrained(copy)


def test_trained_file_without_base_raises(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"needs base=.*lmsys/vicuna-7b-v1\.1"):
        LTU.from_pretrained(checkpoint)


@pytest.mark.parametrize("ltu", PUBLISHED, ids=lambda ltu: ltu.name)
def test_published_name_raises_with_download_instructions(ltu: object, base: Path) -> None:
    assert isinstance(ltu, type(PUBLISHED[0]))
    for spelling in (ltu.name, ltu.name.lower(), ltu.name.replace("-", " ")):
        for given in (None, base):
            with pytest.raises(WeightsError) as caught:
                LTU.from_pretrained(spelling, base=given)
            for word in (ltu.checkpoint, ltu.base, "GiB", "github.com/YuanGongND/ltu"):
                assert word in str(caught.value)


def test_unknown_quantization_raises(checkpoint: Path, base: Path) -> None:
    with pytest.raises(InvalidInputError, match="8bit or 4bit, got 'int3'"):
        LTU.from_pretrained(checkpoint, base=base, quantization="int3")  # type: ignore[arg-type]
