"""An LTU that is fine-tuned in seconds, with its training data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from audioprobe import Concepts, Synthetic
from audioprobe.finetuning.captioned_clips import CaptionedClips, captioned_clips
from audioprobe.finetuning.data import MatchedPair, TrainingSampler
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.text_corpora import encode_passages
from audioprobe.io.config import parse_config
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_frontend import SpectrogramFrontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.probing.trial import ConceptPair
from tests.golden_ltu import character_tokenizer

AUDIO = CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24)
MAX_TOKENS = 300  # the tokens are single characters
NEW, EARLIER = ("crow", "siren", "cricket"), ("bell", "rain")
PASSAGES = ("The sea was calm.", "He went home early.", "It is late.", "Bread is baked from flour.")
VALIDATION = ("She opened the window.", "A letter came.")
ARGUMENTS = {"steps": 4, "learning_rate": 1e-3, "warmup_steps": 1, "save_every": 1}
PROMPTS = LTUPrompts(character_tokenizer())
ALIGNMENTS = ("contrastive", "embedding", "hidden-states", "cross-attention", "paired")


def tiny_checkpoint(base: Path, *, dropout: float = 0.05) -> LTUCheckpoint:
    """An LTU on a tiny LLaMA; its LoRA adapters already change the output."""
    checkpoint = init_ltu(base, {"audio": AUDIO, "lora_rank": 2, "lora_dropout": dropout}, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in checkpoint.net.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return checkpoint


def tiny_model(base: Path, *, dropout: float = 0.05) -> TrainableLTU:
    """The network of `tiny_checkpoint` for training."""
    return TrainableLTU(tiny_checkpoint(base, dropout=dropout).net)


def tiny_clips(folder: Path, sources: Sequence[str], n_clips: int) -> CaptionedClips:
    """Scenes of two seconds with one source each."""
    clips = Synthetic(n_clips=n_clips, max_sources=1, palette=sources, seconds=2.0).clips("train")
    return captioned_clips("tiny", clips, folder, SpectrogramFrontend())


def tiny_data(folder: Path, **changes: Any) -> TrainingSampler:
    """Five new clips, three earlier ones, four passages, and question pairs."""
    options: dict[str, Any] = {
        "tokenizer": PROMPTS,
        "clips": tiny_clips(folder / "new", NEW, 5),
        "rehearsal_clips": tiny_clips(folder / "earlier", EARLIER, 3),
        "rehearsal_texts": tuple(encode_passages(PASSAGES, PROMPTS)),
        "question_pairs": PAIRS,
        "max_tokens": MAX_TOKENS,
    }
    return TrainingSampler(**options | changes)


def validation_texts() -> list[Any]:
    """Held-out passages for early stopping."""
    return encode_passages(VALIDATION, PROMPTS)


def strategy(train: str = "projector+lora", *components: Any, **changes: Any) -> Strategy:
    """A strategy, parsed from tables as a TOML file would have them.

    Args:
        train: trainable modules.
        *components: tables of regularizers and alignments.
        **changes: of the training arguments, and `clips` (per step).
    """
    alignment = [table for table in components if table["kind"] in ALIGNMENTS]
    data: dict[str, Any] = {"train": train, "clips_per_step": changes.pop("clips", 2)}
    data |= {"arguments": ARGUMENTS | changes, "alignment": alignment}
    data["regularizers"] = [table for table in components if table not in alignment]
    return parse_config(Strategy, data, "x")


def _pairs() -> tuple[MatchedPair, ...]:
    concepts = Concepts.shipped()

    def pair(name: str, target: str, phrase: str, match: int, *, holds: bool) -> ConceptPair:
        return ConceptPair(
            concept=name,
            phrase=concepts[name].phrase,
            relation="hypernym",
            target=target,
            target_phrase=phrase,
            holds=holds,
            level=1,
            basic=False,
            negatives="random",
            match=match,
        )

    return tuple(
        (pair(true, target, phrase, n, holds=True), pair(false, target, phrase, n, holds=False))
        for n, (true, false, target, phrase) in enumerate(
            (
                ("crow", "cricket", "bird", "a bird"),
                ("cricket", "siren", "insect", "an insect"),
                ("bell", "crow", "bell", "a bell"),
            )
        )
    )


PAIRS = _pairs()
