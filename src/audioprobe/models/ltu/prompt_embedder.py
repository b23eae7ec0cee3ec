"""The parts of an LTU that turn prompts into embeddings, without the layers of its LLaMA."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioprobe.models.concurrency import PicklableLock
from audioprobe.models.ltu.audio_frontend import AudioFrontend
from audioprobe.models.ltu.audio_input import AudioInput
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.protocols import LanguageModel
from audioprobe.types import Option, Prompt


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedPrompt:
    """A prompt as text, token ids and audio tokens.

    Attributes:
        text: the text of the prompt.
        ids: token ids of the text, beginning-of-sequence token first.
        audio: audio tokens, shape (n_tokens, hidden); None for a prompt without audio.
    """

    text: str
    ids: tuple[int, ...]
    audio: Tensor | None

    @property
    def n_positions(self) -> int:
        """Number of positions in the input of the LLaMA."""
        return len(self.ids) + (0 if self.audio is None else len(self.audio))


class LTUPromptEmbedder:
    """Audio prefix, word embeddings and tokenizer of an LTU, which several threads can use.

    Args:
        net: the network, whose audio tokens precede the text. The layers of its LLaMA are removed.
        prompts: prompt template and tokenizer.
        frontend: converter from audio to the network's input.
        transcriber: for LTU-AS, the model that transcribes speech; None for no transcript.
        device: device of the computation.
        dtype: data type of the embeddings; they are computed in float32.

    Raises:
        InvalidInputError: if the LTU takes no transcript, but a transcriber is given.
    """

    def __init__(
        self,
        net: LTUNetwork,
        prompts: LTUPrompts,
        frontend: AudioFrontend,
        transcriber: LanguageModel | None,
        *,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        net.llama.model.layers = nn.ModuleList()
        net.llama.set_submodule("lm_head", nn.Identity())
        self._net, self._prompts, self._dtype = net.float().to(device), prompts, dtype
        self._audio = AudioInput(net, frontend, transcriber)
        # Encoder and tokenizer must not be used by two threads at once.
        self._lock = PicklableLock()

    def encode(self, prompt: Prompt) -> TokenizedPrompt:
        """Return a prompt as text, token ids and audio tokens.

        Raises:
            InvalidInputError: if the question is empty.
            UnsupportedInputError: if an example has audio, or audio is shorter than 25 ms.
        """
        with self._lock:
            tokens, transcript = (
                (None, "") if prompt.audio is None else self._audio.encode(prompt.audio)
            )
            text = self._prompts.full_text(prompt, transcript)
            audio = None if tokens is None else tokens.to(self._dtype)
            return TokenizedPrompt(text, tuple(self._prompts.tokenize(text)), audio)

    @torch.inference_mode()
    def embed(self, prompt: TokenizedPrompt, continuation: Sequence[int] = ()) -> Tensor:
        """Return the input of the LLaMA for a prompt and token ids that follow it.

        The shape is (n_positions, hidden).
        """
        ids = torch.tensor([[*prompt.ids, *continuation]], device=self._net.device)
        audio = None if prompt.audio is None else prompt.audio[None]
        return self._net.embed(ids, audio)[0].to(self._dtype)

    def continuation_ids(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the token ids of each text as an answer that follows a prompt."""
        with self._lock:
            return [self._prompts.continuation_ids(text) for text in texts]

    def text_with_start(self, text: str) -> str:
        """Return a text for a server that tokenizes it; see `LTUPrompts.text_with_start`."""
        with self._lock:
            return self._prompts.text_with_start(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of an answer."""
        with self._lock:
            text: str = self._prompts.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()

    def truncation(self, prompt: Prompt) -> dict[str, Option]:
        """Return the seconds of truncated audio of a prompt; {} if none is truncated."""
        return self._audio.truncation(prompt.audio)
