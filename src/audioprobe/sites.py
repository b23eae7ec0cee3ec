"""Names of the places in a model where activations can be read, and of the parts of a prompt.

A site is a place in the forward pass, such as "lm.resid.3" (the residual stream of the language
model after its layer 3). A span is a part of a prompt, such as "audio" or "question". A layout
states at which positions of a site a span is.

Sites, in the order of the forward pass; `{i}` counts from 0:

- "encoder.input", "encoder.block.{i}", "encoder.out", "encoder.pooled": the audio encoder
- "xattn.0": output of a cross-attention adapter of the audio tokens, before its gate
- "lm.xattn.{i}": output of a cross-attention adapter before layer i, before its gate; it has states
  at the positions of the language model, for prompts with audio
- "connector.out": audio tokens, as the language model reads them
- "lm.embed": input of the first layer of the language model
- "lm.attn.{i}", "lm.mlp.{i}": what attention and MLP of a layer add to the residual stream
- "lm.resid.{i}": output of a layer
- "lm.norm", "lm.logits": after the final norm; logits of the next token

Spans: "bos" (the first token), "audio", "audio[1.2s:2.0s]" (a time range of the audio), "question",
"concept" (a phrase in the question), "options" (the possible answers that the question lists),
"last" (the position that predicts the first token of the answer), "answer" (the continuation), and
"all" (all positions of the language model).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.types import Prompt

if TYPE_CHECKING:
    from torch import Tensor

SiteHook: TypeAlias = Callable[[int, "Tensor"], "Tensor | None"]
"""Function that receives the index of a prompt and its states, (n_positions, width), at a site.

It returns None, or states of the same shape that replace them in the rest of the forward pass."""

TEXT_SPANS = ("bos", "question", "concept", "options", "last", "answer", "all")
SPANS = (*TEXT_SPANS, "audio", "audio[1.2s:2.0s]")
"""All spans, with an example of a time range."""

_RANGE = re.compile(r"audio\[(\d+(?:\.\d+)?)s:(\d+(?:\.\d+)?)s\]")
_ROUNDING = 1e-6  # fraction of a time step

_ALIASES = (
    # Names in TransformerLens.
    (re.compile(r"hook_embed|blocks\.0\.hook_resid_pre"), "lm.embed"),
    (re.compile(r"blocks\.(\d+)\.hook_resid_post"), "lm.resid.{}"),
    (re.compile(r"blocks\.(\d+)\.hook_attn_out"), "lm.attn.{}"),
    (re.compile(r"blocks\.(\d+)\.hook_mlp_out"), "lm.mlp.{}"),
    (re.compile(r"unembed\.hook_in|ln_final"), "lm.norm"),
    (re.compile(r"unembed\.hook_out|unembed|logits"), "lm.logits"),
    # Names in nnterp.
    (re.compile(r"token_embeddings|layers_input\[0\]"), "lm.embed"),
    (re.compile(r"layers_output\[(\d+)\]"), "lm.resid.{}"),
    (re.compile(r"attentions_output\[(\d+)\]"), "lm.attn.{}"),
    (re.compile(r"mlps_output\[(\d+)\]"), "lm.mlp.{}"),
    # Names of modules in transformers.
    (re.compile(r"audio_tower\.layers\.(\d+)"), "encoder.block.{}"),
    (re.compile(r"multi_modal_projector"), "connector.out"),
)
_LAYER_INPUT = re.compile(r"blocks\.(\d+)\.hook_resid_pre|layers_input\[(\d+)\]")


@dataclass(frozen=True, slots=True, eq=False)
class InspectedPrompt:
    """A prompt whose activations are read.

    Attributes:
        prompt: the prompt; its examples must have no audio.
        continuation: text of an answer that follows the prompt; "" for none.
        concept: phrase in the question that is the span "concept"; "" for none.
        id: name of the prompt in tables; may be empty.
        options: texts of the possible answers, such as "Yes." and "No."; the first is correct.
            Those that the question lists are the span "options".
    """

    prompt: Prompt
    continuation: str = ""
    concept: str = ""
    id: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Positions of audio at a site.

    Attributes:
        n_steps: number of time steps that belong to the audio of the prompt.
        seconds: duration of a time step; inf if the positions have no place in time.
        first: position of the first time step.
        n_bands: number of frequency bands. The positions of a band follow each other.
    """

    n_steps: int
    seconds: float
    first: int = 0
    n_bands: int = 1

    def positions(self, start: float = 0.0, end: float = math.inf) -> tuple[int, ...]:
        """Return the positions of the time steps that overlap with a range in seconds."""
        if not self.n_steps:  # the audio is shorter than a time step
            return ()
        first = math.floor(start / self.seconds + _ROUNDING)
        last = self.n_steps
        if math.isfinite(end):
            last = min(last, math.ceil(end / self.seconds - _ROUNDING))
        bands = range(self.first, self.first + self.n_bands * self.n_steps, self.n_steps)
        return tuple(band + step for band in bands for step in range(first, last))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLayout:
    """Positions of the parts of a prompt at the sites of a model.

    Attributes:
        n_tokens: number of positions of the language model, including audio and continuation.
        text: positions of text spans in the language model; () if the prompt has no such part.
        axes: time axis of the audio, keyed by site. "lm" stands for all sites of the language
            model, and "encoder.block" for all blocks. Empty if the prompt has no audio.
        duration: duration of the audio in seconds; 0 if there is none.
    """

    n_tokens: int
    text: Mapping[str, tuple[int, ...]]
    axes: Mapping[str, TimeAxis]
    duration: float = 0.0

    def positions(self, site: str, span: str) -> tuple[int, ...]:
        """Return the positions of a span at a site, in order.

        The result is () if the span does not exist there: text has no positions in the audio
        encoder, and a prompt may have no audio, no concept, or audio that is too short.

        Raises:
            InvalidInputError: if the span is unknown.
        """
        limits = span_range(span)
        in_decoder = site.startswith("lm.")
        if span == "all" and in_decoder:
            return tuple(range(self.n_tokens))
        if limits is None:
            return self.text.get(span, ()) if in_decoder else ()
        block = "encoder.block" if site.startswith("encoder.block.") else site
        axis = self.axes.get("lm" if in_decoder else block)
        if axis is None:
            return ()
        if span == "audio":
            return axis.positions()
        start, end = limits
        return axis.positions(start, min(end, self.duration)) if start < self.duration else ()


def span_range(span: str) -> tuple[float, float] | None:
    """Return the range in seconds of a span of audio, or None for a span of text.

    Raises:
        InvalidInputError: if the span is unknown, or its range is empty.
    """
    if span in TEXT_SPANS:
        return None
    if span == "audio":
        return 0.0, math.inf
    match = _RANGE.fullmatch(span)
    if match is None:
        raise InvalidInputError(
            f"Expected a span ({', '.join(SPANS)}), got {span!r}.{did_you_mean(span, SPANS)}"
        )
    start, end = float(match[1]), float(match[2])
    if start >= end:
        raise InvalidInputError(f"Expected a span that ends after its start, got {span!r}.")
    return start, end


def canonical_site(name: str) -> str:
    """Return the site for a name in TransformerLens or nnterp; other names are unchanged."""
    if match := _LAYER_INPUT.fullmatch(name):
        layer = int(match[1] or match[2])
        return f"lm.resid.{layer - 1}" if layer else "lm.embed"
    for pattern, site in _ALIASES:
        if match := pattern.fullmatch(name):
            return site.format(*match.groups())
    return name


def find_sites(patterns: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the sites that match any of the patterns, in the order of the forward pass.

    Args:
        patterns: names of sites; "*" stands for any text, as in "lm.resid.*". Names in
            TransformerLens and nnterp are accepted, such as "blocks.3.hook_resid_post".
        known: the sites of a model.

    Raises:
        InvalidInputError: if a pattern matches no site; the message suggests a similar name.
    """
    if isinstance(patterns, str):
        patterns = (patterns,)
    selected: set[str] = set()
    for pattern in patterns:
        name = canonical_site(pattern)
        matches = {site for site in known if fnmatchcase(site, name)}
        if not matches:
            raise InvalidInputError(
                f"Expected a site of this model ({_summary(known)}), got {pattern!r}."
                f"{did_you_mean(name, known)}"
            )
        selected |= matches
    return tuple(site for site in known if site in selected)


def hooks_by_site(hooks: Mapping[str, SiteHook], known: Sequence[str]) -> dict[str, SiteHook]:
    """Return hooks keyed by the sites that their names or patterns select; see `find_sites`.

    Raises:
        InvalidInputError: if a name matches no site, or two names select the same site.
    """
    by_site: dict[str, SiteHook] = {}
    for name, hook in hooks.items():
        for site in find_sites([name], known):
            if site in by_site:
                raise InvalidInputError(
                    f"Expected one hook per site, got a second one for {site} ({name!r}). Call "
                    "both functions in one hook."
                )
            by_site[site] = hook
    return by_site


def _summary(sites: Sequence[str]) -> str:
    """Return the names of sites with one name for all layers, such as "lm.resid.0 to 29"."""
    last: dict[str, int] = {}
    for site in sites:
        stem, _, number = site.rpartition(".")
        if number.isdigit():
            last[stem] = max(last.get(stem, 0), int(number))
        else:
            last[site] = -1
    return ", ".join(
        f"{stem}.0 to {n}" if n > 0 else stem + ".0" * (n == 0) for stem, n in last.items()
    )
