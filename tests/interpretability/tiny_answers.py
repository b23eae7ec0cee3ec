"""Tiny random models, and questions with two possible answers for them."""

from functools import cache

import numpy as np
from tests.golden_ltu import character_tokenizer, new_net
from tests.tiny_chat_models import saved

from audioprobe.interpretability.answer_effects import AnswerEffects
from audioprobe.models.chat.model import TransformersLM
from audioprobe.models.ltu.model import LTU
from audioprobe.sites import InspectedPrompt
from audioprobe.types import ComponentInfo, Prompt, Waveform

OPTIONS = ("Yes", "No")


def new_ltu() -> LTU:
    """Return a tiny LTU, which a test may change."""
    return LTU(new_net(), character_tokenizer(), ComponentInfo("language_model", "tiny"))


@cache
def model(kind: str) -> LTU | TransformersLM:
    """Return a model that all tests share; tests must not change it."""
    return new_ltu() if kind == "ltu" else TransformersLM(saved(kind))


def noise(seconds: float, seed: int = 0) -> Waveform:
    values = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * 16_000))
    return Waveform(values.astype(np.float32), 16_000)


def question(
    seed: int | None, text: str = "Is it a crow?", options: tuple[str, ...] = OPTIONS
) -> InspectedPrompt:
    """Return a question about noise with a seed, or without audio."""
    sound = None if seed is None else noise(3.0, seed)
    return InspectedPrompt(Prompt(text, sound), options=options, id=f"{seed}: {text}")


def values_of(effects: AnswerEffects) -> np.ndarray:
    """Return all values and controls, shape (n_items, n_curves, n_places)."""
    curves = (effects.logit_difference, effects.probability)
    return np.stack([a for c in curves for a in (c.values, *c.controls.values())], axis=1)
