"""Audio of a prompt as tokens of an LTU, with the transcript for LTU-AS."""

from collections import OrderedDict

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.models.causal_lm.generation import run_single
from audioprobe.models.concurrency import PicklableLock
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_frontend import AudioFrontend
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.protocols import LanguageModel
from audioprobe.types import Option, Prompt, Waveform

TRANSCRIBE = "Write down the words that are spoken, and nothing else."
"""Instruction to the transcriber, the model that writes down speech for LTU-AS."""

_CACHED_CLIPS = 64  # audio tokens of a clip use 0.5 MB for LTU-7B


class AudioInput:
    """Converter from audio to audio tokens and transcript; recent audio is cached.

    Args:
        net: network of the LTU.
        frontend: converter from audio to the network's input.
        transcriber: for LTU-AS, the model that transcribes speech; None for no transcript.

    Raises:
        InvalidInputError: if the LTU takes no transcript, but a transcriber is given.
    """

    def __init__(
        self, net: LTUNetwork, frontend: AudioFrontend, transcriber: LanguageModel | None
    ) -> None:
        if transcriber is not None and not isinstance(net.config.audio, TltrConfig):
            raise InvalidInputError(
                "LTU takes no transcript: only LTU-AS was trained on prompts with transcripts. "
                "Omit transcriber."
            )
        self._net, self._frontend, self._transcriber = net, frontend, transcriber
        # Audio tokens and transcript, by hash of the audio.
        self.cache: OrderedDict[str, tuple[Tensor, str]] = OrderedDict()
        self._lock = PicklableLock()  # several streams of prompts may be encoded at once

    def encode(self, waveform: Waveform) -> tuple[Tensor, str]:
        """Return audio tokens, shape (n_tokens, hidden), and transcript of a waveform."""
        key = waveform.digest()
        with self._lock:
            if key in self.cache:
                self.cache.move_to_end(key)
                return self.cache[key]
            tokens = run_single(lambda: self.compute_tokens(waveform))
            self.cache[key] = tokens, self._transcribe(waveform)
            if len(self.cache) > _CACHED_CLIPS:
                self.cache.popitem(last=False)
            return self.cache[key]

    def truncation(self, waveform: Waveform | None) -> dict[str, Option]:
        """Return the seconds of truncated audio for `Response.details`; {} if none is truncated."""
        if waveform is None or waveform.duration <= self._frontend.seconds:
            return {}
        return {"truncated audio (s)": round(waveform.duration - self._frontend.seconds, 3)}

    @torch.inference_mode()
    def compute_tokens(self, waveform: Waveform) -> Tensor:
        """Return the tokens that the audio prefix computes, shape (n_tokens, hidden); no cache."""
        weight = self._net.prefix.weight
        tokens: Tensor = self._net.prefix(self._frontend(waveform).to(weight.device, weight.dtype))
        return tokens[0]

    def _transcribe(self, waveform: Waveform) -> str:
        """Return the transcript of a waveform; "" if there is no transcriber or no answer."""
        if self._transcriber is None:
            return ""
        (response,) = self._transcriber.generate([Prompt(TRANSCRIBE, waveform)])
        return "" if response.abstained else response.text.strip()
