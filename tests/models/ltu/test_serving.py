"""The language model of an LTU in a folder for vLLM."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from tests.models.connectors.tiny_connectors import checkpoint_of
from transformers import AutoModelForCausalLM, AutoTokenizer

from audioprobe.cli import main
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.connectors.config import (
    ConnectorConfig,
    CrossAttentionConfig,
    KeysValuesConfig,
)
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.serving import CARD, export_for_vllm

IDS = torch.tensor([[1, 5, 9, 7, 30, 2]])


def test_exported_weights_have_lora_merged(checkpoint: Path, base: Path, tmp_path: Path) -> None:
    expected = load_ltu(checkpoint, base).net(IDS)
    served = export_for_vllm(load_ltu(checkpoint, base), tmp_path / "llama")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llama")
    assert torch.allclose(model(IDS).logits, expected, atol=1e-4)
    assert not any("lora" in name for name in model.state_dict())
    assert model.generation_config.eos_token_id == 2
    card = json.loads((tmp_path / "llama" / CARD).read_text("utf-8"))
    revision = load_ltu(checkpoint, base).revision
    assert card["served_name"] == served.served_name == f"ltu_tiny-{revision}-float32"


def test_chat_template_joins_texts_without_change(
    checkpoint: Path, base: Path, tmp_path: Path
) -> None:
    export_for_vllm(load_ltu(checkpoint, base), tmp_path / "llama")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "llama")
    parts = [{"type": "text", "text": text} for text in ("<s> {{ a }}\n", "\n b ")]
    message = {"role": "user", "content": parts}
    assert tokenizer.apply_chat_template([message], tokenize=False) == "<s> {{ a }}\n\n b "


def test_half_precision_is_rounded_after_merging(
    checkpoint: Path, base: Path, tmp_path: Path
) -> None:
    export_for_vllm(load_ltu(checkpoint, base), tmp_path / "full")
    export_for_vllm(load_ltu(checkpoint, base), tmp_path / "half", dtype="bfloat16")
    full = AutoModelForCausalLM.from_pretrained(tmp_path / "full").state_dict()
    half = AutoModelForCausalLM.from_pretrained(tmp_path / "half").state_dict()
    assert full.keys() == half.keys()
    for name, tensor in half.items():
        assert torch.equal(tensor, full[name].bfloat16())


def test_command_quotes_the_folder(checkpoint: Path, base: Path, tmp_path: Path) -> None:
    served = export_for_vllm(load_ltu(checkpoint, base), tmp_path / "a folder")
    words = shlex.split(served.command(Path("a folder; x")))
    assert words[:3] == ["vllm", "serve", "./a folder; x"]
    assert words[words.index("--served-model-name") + 1] == served.served_name
    assert "--enable-prompt-embeds" in words


def test_existing_folder_and_unknown_dtype_are_refused(
    checkpoint: Path, base: Path, tmp_path: Path
) -> None:
    loaded = load_ltu(checkpoint, base)
    with pytest.raises(InvalidInputError, match="already exists"):
        export_for_vllm(loaded, tmp_path)
    with pytest.raises(InvalidInputError, match="Expected dtype"):
        export_for_vllm(loaded, tmp_path / "x", dtype="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "connector",
    [CrossAttentionConfig(token_width=6, width=8, n_heads=2), KeysValuesConfig(width=12)],
)
def test_layers_that_read_audio_are_refused(
    base_as: Path, tmp_path: Path, connector: ConnectorConfig
) -> None:
    with pytest.raises(UnsupportedInputError, match=f"connector '{connector.kind}'"):
        export_for_vllm(checkpoint_of(base_as, connector), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_command_line_exports_a_model(
    checkpoint: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "served"
    arguments = ["export", str(checkpoint), "--for", "vllm", "--base", str(base), "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    output = capsys.readouterr()
    assert end.value.code == 0
    assert f"vllm serve {out} --served-model-name ltu_tiny-" in output.out
    assert "--model vllm-ltu:" in output.out
    assert output.err == ""
    assert (out / CARD).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "vllm", "--questions"), "--to vllm has no option --questions"),
        (("--to", "vllm", "--title", "x"), "--to vllm has no option --title"),
        (("--to", "inspect", "--dtype", "float16"), "--to inspect has no option --dtype"),
        (("--to", "vllm"), "no such model"),
    ],
)
def test_invalid_options_are_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["export", "minni", *arguments, "--out", str(tmp_path / "x")])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert words in error
    assert error.count("\n") == 1
