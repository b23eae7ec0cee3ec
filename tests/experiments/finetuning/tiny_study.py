"""A study of fine-tuning of seconds: a tiny LTU, noises that are called by names of concepts."""

from pathlib import Path

import numpy as np
import tomli_w
from tests.tiny_ltu import write_base

from audioprobe import Waveform
from audioprobe.audio.wav import wav_bytes
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.models.ltu.adapters import save_adapter
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.checkpoint import init_ltu

CONCEPTS = ("crow", "owl", "duck", "dog", "bell", "guitar", "piano", "flute")
RATE = 16_000


def noises(folder: Path, n_each: int = 2, seed: int = 0) -> Path:
    """A table of so many noises for each concept, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = ["path,labels,split"]
    for number in range(n_each):
        for concept in CONCEPTS:
            samples = rng.normal(0, 0.1, RATE // 2).astype(np.float32)
            name = f"{concept}-{number}.wav"
            (folder / name).write_bytes(wav_bytes(Waveform(samples, RATE))[0])
            rows.append(f"{name},{concept},all")
    table = folder / "noises.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def model(folder: Path) -> tuple[Path, Path]:
    """A tiny LTU that knows nothing: its folder, and that of its base."""
    base = write_base(folder / "base", with_sound=False)
    sizes = {"audio": CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24)}
    files = init_ltu(base, sizes, seed=0)
    return save_adapter(files, folder / "tiny", name="tiny"), base


def config(folder: Path) -> dict[str, object]:
    """A study in a folder, as tables of TOML: six strategies and a transfer, one seed."""
    name, base = model(folder)
    table, other = noises(folder / "one"), noises(folder / "two", 1, seed=1)
    third = noises(folder / "three", 2, seed=2)

    def portion(path: Path, **more: object) -> dict[str, object]:
        return {"dataset": {"name": "manifest", "options": {"table": str(path)}}, **more}

    return {
        "kind": "finetuning",
        "seeds": [0],
        "clips": 2,
        "cutoff": 300,
        "design": "star",
        "plan": {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 0, "save_every": 1},
        "model": {"name": str(name), "base": str(base)},
        "scorer": {"name": "keyword"},
        "quiz": {"passages": 3, "tokens": 4},
        "bootstrap": {"n_resamples": 20},
        "taught": portion(table, half="first"),
        "inside": portion(table, half="second"),
        "outside": portion(other),
        "earlier": portion(third, half="first"),
        "rehearsed": portion(third, half="second"),
        "trained": [
            {"parts": "projector+lora", "learning_rate": 1e-3},
            {"parts": "all+llm", "learning_rate": 1e-4},
        ],
        "holding": [
            {},
            {"parts": [{"kind": "rehearsal", "texts": 1, "clips": 1}]},
        ],
        "alignment": [{}, {"parts": [{"kind": "contrastive"}]}],
        "transfer": {"trained": "projector+lora", "steps": 2, "pairs": 1},
    }


def study(folder: Path, **changed: object) -> tuple[StudyConfig, str]:
    """The same, read, with its text."""
    text = tomli_w.dumps({**config(folder), **changed})
    return parse_study(text, "tiny"), text
