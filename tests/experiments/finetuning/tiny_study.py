"""A fine-tuning study that takes seconds: a tiny LTU, and noise clips labelled with concepts."""

from pathlib import Path

import numpy as np
import tomli_w
from tests.tiny_ltu import write_base

from audioprobe import Waveform
from audioprobe.audio.transforms import wav_bytes
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import AudioConfig
from audioprobe.models.ltu.checkpoint import init_ltu
from audioprobe.models.ltu.saving import save_adapter

CONCEPTS = ("crow", "owl", "duck", "dog", "bell", "guitar", "piano", "flute")
RATE = 16_000
SMALL = CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24)


def noises(folder: Path, n_each: int = 2, seed: int = 0) -> Path:
    """Write a table of `n_each` noise clips per concept, all of them different."""
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


def model(folder: Path, audio: AudioConfig = SMALL) -> tuple[Path, Path]:
    """Write a tiny LTU with random weights; return its folder and that of its base."""
    base = write_base(folder / "base", with_sound=False)
    checkpoint = init_ltu(base, {"audio": audio}, seed=0)
    return save_adapter(checkpoint, folder / "tiny", name="tiny"), base


def config(folder: Path) -> dict[str, object]:
    """Return a study of four strategies and four arms with one seed, as tables of TOML."""
    name, base = model(folder)
    train, other = noises(folder / "one"), noises(folder / "two", 1, seed=1)
    pretraining = noises(folder / "three", 2, seed=2)

    def subset(path: Path, **options: object) -> dict[str, object]:
        return {"dataset": {"name": "manifest", "options": {"table": str(path)}}, **options}

    return {
        "kind": "finetuning",
        "seeds": [0],
        "clips_per_step": 2,
        "max_tokens": 300,
        "design": "star",
        "training_arguments": {
            "steps": 2,
            "learning_rate": 1e-3,
            "warmup_steps": 0,
            "save_every": 1,
        },
        "model": {"name": str(name), "base": str(base)},
        "scorer": {"name": "keyword"},
        "evaluation": {"n_passages": 3, "max_new_tokens": 4},
        "bootstrap": {"n_resamples": 20},
        "train": subset(train, half="first"),
        "in_domain": subset(train, half="second"),
        "out_of_domain": subset(other),
        "pretraining_domain": subset(pretraining, half="first"),
        "rehearsal": subset(pretraining, half="second"),
        "trainable": [
            {"modules": "projector+lora", "learning_rate": 1e-3},
            {"modules": "all+llm", "learning_rate": 1e-4},
        ],
        "regularization": [
            {},
            {"components": [{"kind": "rehearsal", "texts": 1, "clips": 1}]},
        ],
        "alignment": [{}, {"components": [{"kind": "contrastive"}]}],
        "transfer": {"trainable": "projector+lora", "steps": 2, "pairs": 1},
    }


def study(folder: Path, **changes: object) -> tuple[StudyConfig, str]:
    """Return the study with changed tables, and its text."""
    text = tomli_w.dumps({**config(folder), **changes})
    return parse_study(text, "tiny"), text
