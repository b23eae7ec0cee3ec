"""Two processes train one small LTU together, with the command that users call."""

from pathlib import Path

import pytest
from tests.finetuning.together import run_together
from tests.tiny_ltu import write_base

from audioprobe import LTU, Prompt
from audioprobe.small_ltu.building import MODEL

RECIPE = """
base = "{base}"

[encoder]
name = "yamnet"

[scenes]
n_train = 8
n_validation = 2
max_sources = 2
sources = ["crow", "siren", "bell"]
recordings = false

[[stages]]
name = "closed"
train = "projector+lora"
arguments = {{ steps = 3, learning_rate = 1e-3, warmup_steps = 1 }}
scenes = 2
questions_per_scene = 2
text_pairs = 1
max_tokens = 200
"""


@pytest.mark.slow  # starts two processes
def test_processes_train_one_model(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", with_sound=False)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.format(base=base), encoding="utf-8")
    out = tmp_path / "out"
    run_together("-m", "audioprobe", "train-ltu", str(recipe), "--out", str(out))
    model = LTU.from_pretrained(out / MODEL, base=base)
    (answer,) = model.generate([Prompt("What is heard?")])
    assert answer.finish in ("stop", "length")
    assert len((out / "closed" / "captions.jsonl").read_text().splitlines()) == 2
