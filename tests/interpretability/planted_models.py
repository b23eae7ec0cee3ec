"""Small models in which the place where a concept is lost is planted.

The states have one coordinate for each piece of information, so that a defect is one line:

- the label, as the encoder codes it, as text codes it, and as the last position collects it
- the answer (logit of "Yes" minus logit of "No")
- whether a position is audio, and whether it has content (audio, or the name of the concept)
- noise of the concept and of the clip

Layer 0 does nothing. In layer 1 each position attends to the content before it, and collects the
label in the code of text, and noise. Layer 2 writes the answer. Layer 3 does nothing, except for
the defect "overruled": there the audio makes the answer "No".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.errors import UnsupportedInputError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook, TimeAxis, hooks_by_site
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    Prompt,
    Response,
    Waveform,
)

Defect: TypeAlias = Literal["none", "encoder", "connector", "unread", "codes", "overruled"]

WIDTH, N_LAYERS, N_STEPS = 16, 4, 5
AUDIO_CODE, TEXT_CODE, COLLECTED, ANSWER, IS_AUDIO, HAS_CONTENT, OVERRULING = range(7)
NOISE = slice(7, WIDTH)
SITES = (
    "encoder.input",
    "encoder.out",
    "connector.out",
    "lm.embed",
    *(f"lm.{part}.{n}" for n in range(N_LAYERS) for part in ("attn", "mlp", "resid")),
    "lm.norm",
    "lm.logits",
)
VOCABULARY = ("No", "Yes")
N_CONCEPTS = 24
GAIN, PRIOR = 3.0, -0.3

Sites: TypeAlias = Callable[[str, Tensor], Tensor]
"""Function that calls the hook of a site and returns its states."""


class PlantedModel:
    """A language model with a defect; it implements `protocols.Inspectable`.

    Args:
        defect: the defect.
        faulty: numbers of the concepts that it concerns; None means all.
        seed: seed of the mixing of the coordinates in the waveform that the encoder undoes; None
            undoes the one of `audio_prompt`.
    """

    def __init__(
        self,
        defect: Defect = "none",
        faulty: frozenset[int] | None = None,
        seed: int | None = None,
    ) -> None:
        self.defect, self.faulty = defect, faulty
        self._mixing = torch.from_numpy(MIXING if seed is None else mixing(seed)).float()

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("language_model", f"planted-{self.defect}")

    @property
    def sites(self) -> tuple[str, ...]:
        return SITES

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        n_audio = N_STEPS if prompt.prompt.audio is not None else 0
        last = 2 + (n_audio or 1)
        n_tokens = last + 1 + (len(self.continuation_ids(prompt.continuation)))
        text = {"bos": (0,), "question": (last - 1,), "last": (last,)}
        if not n_audio:
            text["concept"] = (1,)
        encoder = dict.fromkeys(SITES[:3], TimeAxis(N_STEPS, 1.0))
        axes = encoder | {"lm": TimeAxis(N_STEPS, 1.0, first=1)}
        return PromptLayout(
            n_tokens=n_tokens, text=text, axes=axes if n_audio else {}, duration=float(n_audio)
        )

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        if options.attention or options.gradients:
            raise UnsupportedInputError("Planted models have neither attention nor gradients.")
        options.check(N_LAYERS, [self.layout(prompt).n_tokens for prompt in prompts])
        known = hooks_by_site(hooks, SITES)
        for number, prompt in enumerate(prompts):
            self._run(prompt, number, known, options)

    def vocabulary_logits(self, states: Tensor, *, normalized: bool = False) -> Tensor:
        answer = states[..., ANSWER].float() + PRIOR
        return torch.stack([-answer / 2, answer / 2], dim=-1)

    def continuation_ids(self, text: str) -> list[int]:
        return [VOCABULARY.index(word) for word in text.split()]

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        return [VOCABULARY[n] for n in ids]

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        for prompt in prompts:
            logits: list[Tensor] = []
            hook = {"lm.logits": lambda _, states, into=logits: into.append(states[-1])}
            self.run_with_hooks([InspectedPrompt(prompt)], hook)
            yield Response(VOCABULARY[int(logits[0].argmax())])

    def randomized(self, seed: int) -> "PlantedModel":
        return PlantedModel(self.defect, self.faulty, seed)

    def _run(
        self,
        prompt: InspectedPrompt,
        number: int,
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions,
    ) -> None:
        def at(site: str, states: Tensor) -> Tensor:
            changed = hooks[site](number, states) if site in hooks else None
            return states if changed is None else changed

        concept = int(prompt.prompt.text.rpartition(" ")[2])
        is_faulty = self.faulty is None or concept in self.faulty
        defect: Defect = self.defect if is_faulty else "none"
        if options.start is None:
            states, first = at("lm.embed", self._embedded(prompt, concept, defect, at)), 0
        else:
            states, first = options.start.states[number], options.start.layer + 1
        for layer in range(first, N_LAYERS):
            edges = torch.ones(len(states), len(states), dtype=torch.bool).tril()
            if layer in options.blocked:
                edges &= ~options.blocked[layer][number]
            states = states + at(f"lm.attn.{layer}", _attended(layer, states, edges, defect))
            states = states + at(f"lm.mlp.{layer}", _written(layer, states))
            states = at(f"lm.resid.{layer}", states)
        states = at("lm.norm", states)
        at("lm.logits", self.vocabulary_logits(states, normalized=True))

    def _embedded(self, prompt: InspectedPrompt, concept: int, defect: Defect, at: Sites) -> Tensor:
        """Return the input of the language model."""
        layout, audio = self.layout(prompt), prompt.prompt.audio
        states = torch.zeros(layout.n_tokens, WIDTH)
        if audio is None:
            states[1] = torch.from_numpy(CONCEPT_NOISE[concept]).float()
            states[1, TEXT_CODE], states[1, HAS_CONTENT] = sign_of(concept), 1.0
            return states
        tokens = at("encoder.input", torch.tensor(audio.samples).reshape(N_STEPS, WIDTH))
        tokens = tokens @ self._mixing
        if defect == "encoder":
            tokens[:, AUDIO_CODE] = 0
        tokens = at("encoder.out", tokens).clone()
        if defect != "codes":
            tokens[:, TEXT_CODE] = tokens[:, AUDIO_CODE] if defect != "connector" else 0
            tokens[:, AUDIO_CODE] = 0
        tokens[:, [IS_AUDIO, HAS_CONTENT]] = 1.0
        states[1 : 1 + N_STEPS] = at("connector.out", tokens)
        return states


def _attended(layer: int, states: Tensor, edges: Tensor, defect: Defect) -> Tensor:
    """Return what the attention of a layer adds; `edges` are those that it may use."""
    added = torch.zeros_like(states)
    if layer not in (1, 3):
        return added
    scores = (8 * states[:, HAS_CONTENT]).expand(edges.shape)
    weights = scores.masked_fill(~edges, -torch.inf).softmax(dim=-1)
    if layer == 1:
        is_read = 1 - states[:, IS_AUDIO] if defect == "unread" else torch.ones(len(states))
        added[:, COLLECTED] = weights @ (is_read * states[:, TEXT_CODE])
        added[:, NOISE] = weights @ states[:, NOISE]
    elif defect == "overruled":
        added[:, OVERRULING] = weights @ states[:, IS_AUDIO]
    return added


def _written(layer: int, states: Tensor) -> Tensor:
    """Return what the MLP of a layer adds."""
    added = torch.zeros_like(states)
    if layer == 2:
        added[:, ANSWER] = GAIN * states[:, COLLECTED]
    elif layer == 3:
        added[:, ANSWER] = -states[:, OVERRULING] * (states[:, ANSWER] + 1)
    return added


def sign_of(concept: int) -> int:
    """Return 1 for a concept that is a bird, otherwise -1."""
    return 1 if concept % 2 else -1


def mixing(seed: int) -> npt.NDArray[np.float64]:
    """Return an orthogonal matrix."""
    normal = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH))
    return np.asarray(np.linalg.qr(normal)[0], dtype=np.float64)


MIXING = mixing(0)


def _noise() -> npt.NDArray[np.float64]:
    """Return the noise of each concept, which has the same mean for birds and others."""
    noise = np.zeros((N_CONCEPTS, WIDTH))
    noise[:, NOISE] = np.random.default_rng(1).normal(size=(N_CONCEPTS, WIDTH - NOISE.start))
    for first in (0, 1):
        noise[first::2] -= noise[first::2].mean(axis=0)
    return noise


CONCEPT_NOISE = _noise()


@dataclass(frozen=True)
class Planted:
    """Prompts about concepts; one of audio for each clip, and one of text about its concept."""

    n_clips: int = 2

    @property
    def concepts(self) -> list[int]:
        return [n for n in range(N_CONCEPTS) for _ in range(self.n_clips)]

    @property
    def labels(self) -> list[str]:
        return ["bird" if sign_of(n) > 0 else "other" for n in self.concepts]

    @property
    def audio(self) -> list[InspectedPrompt]:
        clips = [clip for _ in range(N_CONCEPTS) for clip in range(self.n_clips)]
        return [audio_prompt(*pair) for pair in zip(self.concepts, clips, strict=True)]

    @property
    def text(self) -> list[InspectedPrompt]:
        return [text_prompt(n) for n in self.concepts]


def text_prompt(concept: int) -> InspectedPrompt:
    return InspectedPrompt(Prompt(f"Is it a bird? {concept}"), options=_options(concept))


def audio_prompt(concept: int, clip: int) -> InspectedPrompt:
    rng = np.random.default_rng([2, concept, clip])
    steps = CONCEPT_NOISE[concept].copy()
    steps[AUDIO_CODE] = sign_of(concept)
    coordinates = steps + 0.3 * rng.normal(size=(N_STEPS, WIDTH)) * _IS_NOISY
    samples = (coordinates @ MIXING.T).astype(np.float32).ravel()
    return InspectedPrompt(
        Prompt(f"Is it a bird? {concept}", Waveform(samples, WIDTH)),
        id=f"{concept}|{clip}",
        options=_options(concept),
    )


def _options(concept: int) -> tuple[str, ...]:
    return ("Yes", "No") if sign_of(concept) > 0 else ("No", "Yes")


_IS_NOISY = np.array([n in (AUDIO_CODE, *range(NOISE.start, WIDTH)) for n in range(WIDTH)])
