"""Activations of chat models of transformers at named sites; see `audioprobe.sites`."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import UnsupportedInputError
from audioprobe.forward_options import ForwardOptions
from audioprobe.models.activation_hooks import RowSplitter, active_hooks, logits_of
from audioprobe.models.causal_lm.generation import check_context, run_single
from audioprobe.models.causal_lm.prompt_cache import PER_TOKEN, is_per_token
from audioprobe.models.causal_lm.text_spans import refuse_example_audio, text_spans
from audioprobe.models.chat.inputs import PromptEncoder
from audioprobe.models.chat.loading import clear_encoder_cache
from audioprobe.models.chat.module_paths import AudioModules, paths_of, site_points
from audioprobe.models.decoder_control import controlled
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook, TimeAxis, hooks_by_site

_FRAME_S = 0.01  # seconds per frame of the features of all models in `FAMILIES`


@dataclass(frozen=True, slots=True, eq=False)
class _TokenizedPrompt:
    """Inputs of the model for a prompt and its continuation of `n_new` tokens."""

    inputs: dict[str, Tensor]
    n_new: int

    @property
    def n_tokens(self) -> int:
        return self.inputs["input_ids"].shape[1]


class ChatInspector:
    """Access to the activations of a chat model; implements methods of `Inspectable`.

    Args:
        net: the model.
        encoder: converter from prompts to inputs.
        on_device: returns the inputs that the model accepts, on its device.
    """

    def __init__(
        self,
        net: Any,  # noqa: ANN401 - models have no common type
        encoder: PromptEncoder,
        on_device: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
    ) -> None:
        self._net, self._encoder, self._on_device = net, encoder, on_device

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in the order of the forward pass."""
        return tuple(site_points(self._net))

    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        """Return the positions of the parts of a prompt."""
        modules = paths_of(self._net).audio
        tokenized = self._tokenize(prompt)
        ids = tokenized.inputs["input_ids"][0].tolist()
        waveform = prompt.prompt.audio
        audio: tuple[int, ...] = ()
        axes: dict[str, TimeAxis] = {}
        if waveform is not None and modules is not None:
            token = self._encoder.audio_token_id
            audio = tuple(n for n, number in enumerate(ids) if number == token)
            if audio != tuple(range(audio[0], audio[0] + len(audio))):
                raise UnsupportedInputError(
                    "Expected the audio tokens of a prompt without a gap, got several parts. Use "
                    "shorter audio."
                )
            axes = _time_axes(modules, tokenized.inputs[modules.features], audio)
        spans = text_spans(
            self._encoder.tokenizer,
            ids,
            prompt,
            audio=frozenset(audio),
            n_continuation=tokenized.n_new,
        )
        duration = 0.0 if waveform is None else waveform.duration
        return PromptLayout(n_tokens=len(ids), text=spans, axes=axes, duration=duration)

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions,
    ) -> None:
        """Run forward passes over prompts; see `Inspectable.run_with_hooks`.

        Prompts whose features have the same shapes form a batch. Shorter texts are padded on the
        right, so that no token attends to padding.
        """
        modules = paths_of(self._net).audio
        hooks = hooks_by_site(hooks, self.sites)
        distinct = {id(prompt): prompt for prompt in prompts}  # patching repeats a prompt
        by_id = {key: self._tokenize(prompt) for key, prompt in distinct.items()}
        tokenized = [by_id[id(prompt)] for prompt in prompts]
        n_layers = len(self._decoder().layers)
        options.check(n_layers, [item.n_tokens for item in tokenized])
        groups: dict[Hashable, list[int]] = {}
        for n, item in enumerate(tokenized):
            shapes = tuple((k, v.shape[1:]) for k, v in item.inputs.items() if not is_per_token(k))
            groups.setdefault(n if modules and modules.packed else shapes, []).append(n)
        # Hooks inside the encoder must be called and may change its output; gradients are not
        # stored. Otherwise passes of the same audio, as in patching, share the output.
        is_shared = not options.gradients and all(site.startswith("lm.") for site in hooks)
        if not is_shared:
            clear_encoder_cache(self._net)
        try:
            for members in groups.values():
                self._run_batch({n: tokenized[n] for n in members}, hooks, options)
        finally:
            if not is_shared:
                clear_encoder_cache(self._net)

    def vocabulary_logits(self, states: Tensor, *, normalized: bool) -> Tensor:
        """Return logits of the vocabulary for states; see `protocols.Inspectable`."""
        head = self._net.get_submodule(paths_of(self._net).head)
        return logits_of(states, self._decoder().norm, head, normalized=normalized)

    def continuation_ids(self, text: str) -> list[int]:
        """Return the token ids of an answer that follows a prompt."""
        return self._encoder.continuation(text)

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token."""
        return [self._encoder.tokenizer.decode([number]) for number in ids]

    def _decoder(self) -> Any:  # noqa: ANN401
        """Return the language model."""
        return self._net.get_submodule(paths_of(self._net).decoder)

    def _run_batch(
        self,
        batch: Mapping[int, _TokenizedPrompt],
        hooks: Mapping[str, SiteHook],
        options: ForwardOptions,
    ) -> None:
        """Run one forward pass over prompts with features of equal shapes."""
        points = site_points(self._net)
        is_text = {site: site.startswith("lm.") for site in points}
        decoder = {site: point for site, point in points.items() if is_text[site]}
        encoder = {site: point for site, point in points.items() if not is_text[site]}
        lengths = {n: item.n_tokens for n, item in batch.items()}

        def split_text(states: Tensor) -> dict[int, Tensor]:
            return {n: states[k, :length] for k, (n, length) in enumerate(lengths.items())}

        inputs = self._on_device(_stacked([item.inputs for item in batch.values()]))
        if "lm.logits" not in hooks:
            inputs["logits_to_keep"] = 1  # type: ignore[assignment]  # not a tensor
        split_audio = self._audio_splitter(batch)
        with (
            controlled(self._decoder(), options, list(lengths), list(lengths.values())),
            active_hooks(decoder, hooks, split_text),
            active_hooks(encoder, hooks, split_audio),
        ):
            run_single(partial(self._net, **inputs, use_cache=False))

    def _audio_splitter(self, batch: Mapping[int, _TokenizedPrompt]) -> RowSplitter:
        """Return a function that splits states of the audio encoder by prompt.

        Long audio has several windows, each a row of the features; the states of a prompt's windows
        follow each other.
        """
        modules = paths_of(self._net).audio
        n_windows = {
            n: 1 if modules.packed else item.inputs[modules.features].shape[0]
            for n, item in batch.items()
            if modules is not None and modules.features in item.inputs
        }

        def split(states: Tensor) -> dict[int, Tensor]:
            windows = states.reshape(sum(n_windows.values()), -1, states.shape[-1])
            parts = torch.split(windows, list(n_windows.values()))
            return {n: part.flatten(0, 1) for n, part in zip(n_windows, parts, strict=True)}

        return split

    def _tokenize(self, prompt: InspectedPrompt) -> _TokenizedPrompt:
        """Return the inputs of the model for a prompt and its continuation."""
        refuse_example_audio(prompt.prompt)
        new_ids = self._encoder.continuation(prompt.continuation) if prompt.continuation else []
        encoded = self._encoder.encode(prompt.prompt)
        check_context(self._net, encoded.length, len(new_ids))
        inputs = dict(encoded.inputs)
        new = inputs["input_ids"].new_tensor([new_ids])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], new], 1)
        for name, value in PER_TOKEN.items():
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.full_like(new, value)], 1)
        return _TokenizedPrompt(inputs, len(new_ids))


def _stacked(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the inputs of prompts; texts are padded on the right with their own last token."""
    longest = max(row["input_ids"].shape[1] for row in rows)
    batch = {}
    for name in rows[0]:
        if name == "input_ids":
            ids = [row[name][0] for row in rows]
            padded = [torch.cat([row, row[-1:].expand(longest - len(row))]) for row in ids]
            batch[name] = torch.stack(padded)
        elif name in PER_TOKEN:
            values = [row[name][0] for row in rows]
            batch[name] = pad_sequence(values, batch_first=True, padding_value=PER_TOKEN[name])
        else:
            batch[name] = torch.cat([row[name] for row in rows])
    return batch


def _time_axes(
    modules: AudioModules, features: Tensor, tokens: Sequence[int]
) -> dict[str, TimeAxis]:
    """Return the time axis of each site; at all sites, it ends where the audio tokens end.

    Args:
        modules: modules for audio.
        features: features of a prompt, shape (n_windows, width, n_frames), or (n_windows, n_frames,
            width) if channels are last.
        tokens: positions of the audio tokens.
    """
    n_frames = features.shape[0] * features.shape[-1 if modules.channels_first else -2]

    def axis(seconds: float, limit: int | None = None) -> TimeAxis:
        n_steps = round(len(tokens) * modules.token_s / seconds)
        return TimeAxis(n_steps if limit is None else min(n_steps, limit), seconds)

    return {
        "encoder.input": axis(_FRAME_S, n_frames),
        "encoder.block": axis(modules.block_s),
        "encoder.out": axis(modules.out_s),
        "connector.out": axis(modules.token_s),
        "lm": TimeAxis(len(tokens), modules.token_s, first=tokens[0]),
    }
