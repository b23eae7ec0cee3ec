"""Activations of an LTU at named sites; see `audioprobe.sites`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.models.activation_hooks import (
    SitePoint,
    active_hooks,
    decoder_points,
    logits_of,
)
from audioprobe.models.causal_lm.generation import check_context, run_single
from audioprobe.models.causal_lm.text_spans import refuse_example_audio, text_spans
from audioprobe.models.connectors.building import steps_per_token
from audioprobe.models.connectors.config import CrossAttentionConfig, KeysValuesConfig
from audioprobe.models.decoder_control import controlled
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.models.ltu.audio_input import AudioInput
from audioprobe.models.ltu.audio_prefix import TIME_POOLING, n_pooled
from audioprobe.models.ltu.feature_encoder import FeatureConfig, PatchEncoder
from audioprobe.models.ltu.generation import TokenPrompt, length_of
from audioprobe.models.ltu.network import LTUConfig, LTUNetwork
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook, TimeAxis, hooks_by_site
from audioprobe.types import Prompt

_FRAME_S = 0.01  # seconds per frame of LTU's spectrogram
_TLTR_STEP_S = 0.4  # seconds per time step of LTU-AS


class LTUInspector:
    """Access to the activations of an LTU; implements the methods of the protocol `Inspectable`.

    Args:
        net: the network.
        prompts: prompt format and tokenizer.
        audio: converter from audio to audio tokens.
        encode: converts a prompt to tokens.
    """

    def __init__(
        self,
        net: LTUNetwork,
        prompts: LTUPrompts,
        audio: AudioInput,
        encode: Callable[[Prompt], TokenPrompt],
    ) -> None:
        self._net, self._prompts, self._audio, self._encode = net, prompts, audio, encode

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in the order of the forward pass."""
        return (*_prefix_points(self._net), *self._decoder_points())

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        """Return the positions of the parts of a prompt."""
        tokens, new_ids = self._tokens(prompt)
        n_audio = self._net.n_positions(tokens.audio_tokens)
        ids = [0] * n_audio + tokens.input_ids.tolist() + new_ids
        spans = text_spans(
            self._prompts.tokenizer,
            ids,
            prompt,
            audio=range(n_audio),
            n_continuation=len(new_ids),
        )
        waveform = prompt.prompt.audio
        n_tokens = 0 if tokens.audio_tokens is None else len(tokens.audio_tokens)
        return PromptLayout(
            n_tokens=len(ids),
            text=spans,
            axes={} if waveform is None else _time_axes(self._net.config, n_tokens),
            duration=0.0 if waveform is None else waveform.duration,
        )

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions,
    ) -> None:
        """Run a forward pass over a batch of prompts; see `Inspectable.run_with_hooks`.

        The audio of each prompt is encoded alone. Shorter prompts are padded on the right, so that
        no token attends to padding.
        """
        decoder = self._decoder_points()
        hooks = hooks_by_site(hooks, (*_prefix_points(self._net), *decoder))
        encoded = [self._tokens(prompt) for prompt in prompts]
        if options.start is not None:
            rows = list(options.start.states)
            audio = [tokens.audio_tokens for tokens, _ in encoded]
            lengths = [length_of(self._net, tokens) + len(ids) for tokens, ids in encoded]
        else:
            rows, audio = self._embedded(prompts, encoded, hooks)
            lengths = [len(row) for row in rows]
        if options.attention and isinstance(self._net.config.connector, KeysValuesConfig):
            raise UnsupportedInputError(
                "Attention cannot be read in a model whose layers have keys and values of audio "
                "tokens, which have no positions in the prompt. Use another connector."
            )
        options.check(len(self._net.llama.model.layers), lengths)
        if options.attention or any(site in decoder for site in hooks):
            with self._net.reading(audio):
                self._run_decoder(rows, audio, hooks, options)

    @torch.no_grad()
    def _embedded(
        self,
        prompts: Sequence[InspectedPrompt],
        encoded: Sequence[tuple[TokenPrompt, list[int]]],
        hooks: Mapping[str, SiteHook],
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Return the input of the language model for each prompt, and its audio tokens.

        The shapes are (n_tokens, hidden) and (n_audio_tokens, width of an audio token).
        """
        points = _prefix_points(self._net)
        has_prefix_hooks = any(site in points for site in hooks)
        rows, tokens_of_prompts = [], []
        for n, (prompt, (tokens, new_ids)) in enumerate(zip(prompts, encoded, strict=True)):
            waveform, audio = prompt.prompt.audio, tokens.audio_tokens
            if waveform is not None and has_prefix_hooks:

                def split(states: Tensor, number: int = n) -> dict[int, Tensor]:
                    return {number: states.flatten(2)[0]}

                with active_hooks(points, hooks, split):
                    audio = run_single(partial(self._audio.compute_tokens, waveform))
            ids = torch.cat([tokens.input_ids, tokens.input_ids.new_tensor(new_ids)])
            rows.append(self._net.embed(ids[None], None if audio is None else audio[None])[0])
            tokens_of_prompts.append(audio)
        return rows, tokens_of_prompts

    def vocabulary_logits(self, states: Tensor, *, normalized: bool) -> Tensor:
        """Return logits of the vocabulary for states; see `protocols.Inspectable`."""
        llama = self._net.llama
        return logits_of(states, llama.model.norm, llama.lm_head, normalized=normalized)

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer that follows a prompt."""
        ids = self._prompts.continuation_ids(text)
        if not ids:
            raise InvalidInputError("An answer needs at least one token, got an empty text.")
        return ids

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token."""
        return [self._prompts.tokenizer.decode([number]) for number in ids]

    def _run_decoder(
        self,
        rows: Sequence[Tensor],
        audio: Sequence[Tensor | None],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions,
    ) -> None:
        """Run the language model on the embeddings of each prompt, shape (n_tokens, hidden)."""

        def split(states: Tensor) -> dict[int, Tensor]:
            return {n: states[n, : len(row)] for n, row in enumerate(rows)}

        def split_with_audio(states: Tensor) -> dict[int, Tensor]:
            return {n: row for n, row in split(states).items() if audio[n] is not None}

        padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        n_logits = 0 if "lm.logits" in hooks else 1  # 0: at all positions
        lengths = [len(row) for row in rows]
        with (
            controlled(self._net.llama.model, options, range(len(rows)), lengths),
            active_hooks(self._adapter_points(), hooks, split_with_audio),
            active_hooks(self._llama_points(), hooks, split),
        ):
            settings = {"use_cache": False, "logits_to_keep": n_logits}
            run_single(partial(self._net.llama, inputs_embeds=padded, **settings))

    def _tokens(self, prompt: InspectedPrompt) -> tuple[TokenPrompt, list[int]]:
        """Return a prompt as tokens, and the token ids of its continuation."""
        refuse_example_audio(prompt.prompt)
        tokens = self._encode(prompt.prompt)
        new_ids = self._prompts.continuation_ids(prompt.continuation) if prompt.continuation else []
        check_context(self._net.llama, length_of(self._net, tokens), len(new_ids))
        return tokens, new_ids

    def _decoder_points(self) -> dict[str, SitePoint]:
        """Return the sites of the LLaMA, those of an adapter before those of its layer."""
        points = self._adapter_points() | self._llama_points()
        layers = len(self._net.llama.model.layers)
        in_layers = [
            f"lm.{kind}.{n}" for n in range(layers) for kind in ("xattn", "attn", "mlp", "resid")
        ]
        order = ["lm.embed", *in_layers, "lm.norm", "lm.logits"]
        return {site: points[site] for site in order if site in points}

    def _llama_points(self) -> dict[str, SitePoint]:
        """Return the sites of the LLaMA itself."""
        llama = self._net.llama
        return decoder_points(llama.model.layers, llama.model.norm, llama.lm_head)

    def _adapter_points(self) -> dict[str, SitePoint]:
        """Return the sites of adapters before layers, which have states only for audio."""
        adapters = getattr(self._net.prefix.projection, "adapters", {})
        return {f"lm.xattn.{n}": SitePoint(adapter.out) for n, adapter in adapters.items()}


def _prefix_points(net: LTUNetwork) -> dict[str, SitePoint]:
    """Return the sites of the audio prefix.

    LTU-AS has neither "encoder.input" nor blocks, because its input has a time step per layer of
    Whisper. The features of a frozen encoder are "encoder.out".
    """
    encoder = net.prefix.encoder
    points: dict[str, SitePoint] = {}
    if isinstance(encoder, CavMaeEncoder | PatchEncoder):
        points["encoder.input"] = SitePoint(encoder, at_input=True)
    if isinstance(encoder, CavMaeEncoder):
        blocks = enumerate(encoder.blocks)
        points |= {f"encoder.block.{n}": SitePoint(block) for n, block in blocks}
    points["encoder.out"] = SitePoint(encoder)
    if isinstance(encoder, CavMaeEncoder):
        points["encoder.pooled"] = SitePoint(net.prefix.pooling)
    if net.prefix.gate is not None:
        points["xattn.0"] = SitePoint(net.prefix.gate.out)
    return points | {"connector.out": SitePoint(net.prefix)}


def _time_axes(config: LTUConfig, n_tokens: int) -> dict[str, TimeAxis]:
    """Return the time axis of each site for audio of `n_tokens` audio tokens."""
    audio = config.audio
    if isinstance(audio, CavMaeConfig):
        step = audio.patch * _FRAME_S
        patches = TimeAxis(audio.n_steps, step, n_bands=audio.n_bands)
        axes = {"encoder.input": TimeAxis(audio.n_frames, _FRAME_S)}
        axes |= {"encoder.block": patches, "encoder.out": patches}
        seconds, pooled = TIME_POOLING * step, ["encoder.pooled"]
    else:
        seconds, axes, pooled = _TLTR_STEP_S, {}, ["encoder.input", "encoder.out"]
        if isinstance(audio, FeatureConfig):
            hop = audio.options.get("hop")
            seconds = hop if isinstance(hop, int | float) else audio.seconds / audio.n_steps
    axes |= dict.fromkeys(pooled, TimeAxis(n_pooled(audio), seconds))
    tokens = TimeAxis(n_tokens, seconds * steps_per_token(config.connector))
    is_input = not isinstance(config.connector, CrossAttentionConfig | KeysValuesConfig)
    return axes | dict.fromkeys(("xattn.0", "connector.out", *(["lm"] * is_input)), tokens)
