"""A language model whose layers only rotate the residual stream, so that all states are known.

Text is a sequence of words of a small vocabulary, separated by spaces. The samples of the audio are
the states of audio tokens: each token is `WIDTH` samples, which are one second. All rows of the
unembedding have norm 1, so a state that equals a row is read as the word of this row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook, TimeAxis, hooks_by_site
from audioprobe.types import ComponentInfo, Decoding, Prompt, Response, Waveform

WIDTH = 8
VOCABULARY = (
    *("crow", "hen", "dog", "cat", "rain", "wind", "car", "bell"),
    *("the", "hooded", "carrion", "sound"),
)


def audio(states: npt.ArrayLike) -> Waveform:
    """Return audio whose tokens have these states, shape (n_tokens, WIDTH)."""
    return Waveform(np.asarray(states, dtype=np.float32).reshape(-1), WIDTH)


class RotationModel:
    """A model whose layer i multiplies states with the rotation `rotations[i]`.

    Args:
        n_layers: number of layers.
        seed: seed of rotations and unembedding.
        rotates: False makes all rotations the identity.
    """

    def __init__(self, n_layers: int = 3, seed: int = 0, *, rotates: bool = True) -> None:
        generator = torch.Generator().manual_seed(seed)
        random = torch.randn(n_layers, WIDTH, WIDTH, generator=generator)
        identity = torch.eye(WIDTH).expand(n_layers, -1, -1)
        self.rotations = torch.linalg.qr(random).Q if rotates else identity
        rows = torch.randn(len(VOCABULARY), WIDTH, generator=generator)
        self.unembedding = rows / rows.norm(dim=-1, keepdim=True)
        self.embedding = torch.randn(len(VOCABULARY), WIDTH, generator=generator)
        self.info = ComponentInfo("language_model", "rotation", str(seed), {"rotates": rotates})

    @property
    def sites(self) -> tuple[str, ...]:
        layers = (f"lm.resid.{n}" for n in range(len(self.rotations)))
        return ("lm.embed", *layers, "lm.norm", "lm.logits")

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        waveform = prompt.prompt.audio
        n_audio = 0 if waveform is None else len(waveform.samples) // WIDTH
        words = prompt.prompt.text.split()
        question = tuple(range(n_audio, n_audio + len(words)))
        phrase = set(prompt.concept.split())
        return PromptLayout(
            n_tokens=n_audio + len(words),
            text={
                "question": question,
                "concept": tuple(n for n, w in zip(question, words, strict=True) if w in phrase),
                "last": question[-1:],
            },
            axes={"lm": TimeAxis(n_audio, 1.0)} if n_audio else {},
            duration=float(n_audio),
        )

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        by_site = hooks_by_site(hooks, self.sites)
        for number, prompt in enumerate(prompts):
            states = self._hooked(by_site, "lm.embed", number, self._embedded(prompt.prompt))
            for layer, rotation in enumerate(self.rotations):
                rotated = states @ rotation.T
                states = self._hooked(by_site, f"lm.resid.{layer}", number, rotated)
            states = self._hooked(by_site, "lm.norm", number, _root_mean_square(states))
            self._hooked(by_site, "lm.logits", number, states @ self.unembedding.T)

    def _hooked(
        self, hooks: Mapping[str, SiteHook], site: str, number: int, states: Tensor
    ) -> Tensor:
        replaced = hooks[site](number, states) if site in hooks else None
        return states if replaced is None else replaced

    def _embedded(self, prompt: Prompt) -> Tensor:
        text = self.embedding[self.continuation_ids(prompt.text)]
        if prompt.audio is None:
            return text
        return torch.cat([torch.from_numpy(prompt.audio.samples.copy()).view(-1, WIDTH), text])

    def vocabulary_logits(self, states: Tensor, *, normalized: bool = False) -> Tensor:
        logits: Tensor = (states if normalized else _root_mean_square(states)) @ self.unembedding.T
        return logits

    def continuation_ids(self, text: str) -> list[int]:
        unknown = set(text.split()) - set(VOCABULARY)
        if unknown or not text:
            raise InvalidInputError(f"Expected words of the vocabulary, got {text!r}.")
        return [VOCABULARY.index(word) for word in text.split()]

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        return [VOCABULARY[number] for number in ids]

    def randomized(self, seed: int) -> "RotationModel":
        return RotationModel(len(self.rotations), 1000 + seed)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        for prompt in prompts:
            final = self._embedded(prompt)[-1:]
            for rotation in self.rotations:
                final = final @ rotation.T
            yield Response(VOCABULARY[int(self.vocabulary_logits(final).argmax())])


def _root_mean_square(states: Tensor) -> Tensor:
    """Return states divided by their root mean square."""
    return states / states.square().mean(dim=-1, keepdim=True).sqrt()
