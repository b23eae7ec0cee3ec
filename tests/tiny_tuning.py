"""An LTU that is tuned in seconds, and what it can learn from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from audioprobe import Concepts, Synthetic
from audioprobe.finetuning.captioned_clips import CaptionedClips, captioned_clips
from audioprobe.finetuning.data import TrainingData
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.text_corpora import examples_of
from audioprobe.io.config import parse_config
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.small_ltu.qa_sampler import Pair
from audioprobe.small_ltu.relations import Relation
from audioprobe.training.sequences import TrainingExample
from tests.golden_ltu import character_tokenizer

AUDIO = CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24)
CUTOFF = 300  # single characters are many tokens
TAUGHT, EARLIER = ("crow", "siren", "cricket"), ("bell", "rain")
PASSAGES = ("The sea was calm.", "He went home early.", "It is late.", "Bread is baked from flour.")
WATCHED = ("She opened the window.", "A letter came.")
PLAN = {"steps": 4, "learning_rate": 1e-3, "warmup_steps": 1, "save_every": 1}


def tiny_files(base: Path, *, dropout: float = 0.05) -> LTUCheckpoint:
    """An LTU on a tiny LLaMA; its adapters do something already."""
    files = init_ltu(base, {"audio": AUDIO, "lora_rank": 2, "lora_dropout": dropout}, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in files.net.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return files


def tiny_sounds(folder: Path, sources: Sequence[str], n_clips: int) -> CaptionedClips:
    """Scenes of one source each, of two seconds."""
    made = Synthetic(n_clips=n_clips, most=1, palette=sources, seconds=2.0).clips("train")
    return captioned_clips("tiny", made, folder)


def tiny_lessons(folder: Path, **changes: Any) -> TrainingData:
    """Five new sounds, three earlier ones, four passages, and pairs about what is heard."""
    taught = tiny_sounds(folder / "taught", TAUGHT, 5)
    earlier = tiny_sounds(folder / "earlier", EARLIER, 3)
    tokenizer = character_tokenizer()
    given = {
        "earlier": earlier,
        "texts": tuple(examples_of(PASSAGES, tokenizer)),
        "pairs": PAIRS,
        "cutoff": CUTOFF,
    }
    return TrainingData(tokenizer, taught, **{**given, **changes})


def watched() -> list[TrainingExample]:
    """Passages held apart."""
    return examples_of(WATCHED, character_tokenizer())


def strategy(train: str = "projector+lora", *parts: Any, **changes: Any) -> Strategy:
    """A strategy as a file would have it.

    Args:
        train: trainable modules.
        *parts: tables of ways to hold and to tie; those of the latter have names in `TIES`.
        **changes: of the plan, and `clips`.
    """
    ties = [part for part in parts if part["kind"] in TIES]
    data: dict[str, Any] = {"train": train, "clips_per_step": changes.pop("clips", 2)}
    data |= {"arguments": PLAN | changes, "alignment": ties}
    data["regularizers"] = [part for part in parts if part not in ties]
    return parse_config(Strategy, data, "x")


TIES = ("contrastive", "embedding", "hidden-states", "cross-attention", "paired")


def _pairs() -> tuple[Pair, ...]:
    concepts = Concepts.shipped()

    def asked(name: str, target: str, phrase: str, *, holds: bool) -> Relation:
        return Relation(concepts[name], "hypernym", target, phrase, holds, "taught")

    return tuple(
        (asked(right, target, phrase, holds=True), asked(wrong, target, phrase, holds=False))
        for right, wrong, target, phrase in (
            ("crow", "cricket", "bird", "a bird"),
            ("cricket", "siren", "insect", "an insect"),
            ("bell", "crow", "bell", "a bell"),
        )
    )


PAIRS = _pairs()
