"""A language model that reads audio as discrete tokens, the architecture of AudioPaLM.

Source: Rubenstein et al., "AudioPaLM: a large language model that can speak and listen", arXiv
2306.12925. The vocabulary is extended by a word for each code of an audio tokenizer. Unlike
AudioPaLM, the model only reads codes: at the output they are masked. In place of a speech encoder,
the tokenizer uses the features of any encoder.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.codes import CodesConnector
from audioprobe.models.ltu.audio_frontend import AudioFrontend
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.texts import fingerprint
from audioprobe.types import ComponentInfo, InfoRepr, IntArray, Waveform


class DiscreteAudioLM(LTU):
    """Language model whose audio tokens are words of an extended vocabulary.

    It is trained by a recipe with a connector of the kind "codes", and loaded by `from_pretrained`
    like any LTU.

    Raises:
        InvalidInputError: if the connector of the network has no codes.
    """

    def __init__(self, net: LTUNetwork, *args: Any, **options: Any) -> None:
        if not isinstance(net.prefix.projection, CodesConnector):
            raise InvalidInputError(
                f"Expected a model whose connector is of the kind 'codes', received "
                f"{net.config.connector.kind!r}. Load it with LTU.from_pretrained."
            )
        super().__init__(net, *args, **options)

    @property
    def tokenizer(self) -> "ModelTokenizer":
        """The audio tokenizer that is saved with the model."""
        return ModelTokenizer(self._net, self._frontend, self.info)


class ModelTokenizer(InfoRepr):
    """Audio tokenizer of a `DiscreteAudioLM`; see the protocol `AudioTokenizer`.

    Args:
        net: network with a codebook.
        frontend: converter from audio to the network's input.
        model: identity of the model.
    """

    def __init__(self, net: LTUNetwork, frontend: AudioFrontend, model: ComponentInfo) -> None:
        self._net, self._frontend, self._model = net, frontend, model

    @property
    def info(self) -> ComponentInfo:
        """Number of codes, hash of the centroids, and the `info` of the model."""
        centroids = self._net.prefix.projection.codebook.centroids
        revision = fingerprint([centroids.half().cpu().numpy().tobytes().hex()])
        parts = {"model": self._model}
        return ComponentInfo(
            "audio_tokenizer", "codebook of a model", revision, {"n_codes": self.n_codes}, parts
        )

    @property
    def n_codes(self) -> int:
        """Number of codes of each codebook."""
        return int(self._net.prefix.projection.codebook.centroids.shape[1])

    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        """Yield the codes of a clip in the first codebook: int64, shape (n_steps,)."""
        for codes in self.tokenize_all(waveforms):
            yield codes[:, 0]

    def tokenize_all(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        """Yield the codes of a clip in all codebooks: int64, shape (n_steps, n_codebooks).

        The number of steps is that of the model's audio tokens: shorter audio is repeated.
        """
        prefix = self._net.prefix
        for waveform in waveforms:
            inputs = self._frontend(waveform).to(prefix.weight.device, prefix.weight.dtype)
            with torch.inference_mode():
                codes = prefix.projection.codes(prefix.pool(prefix.encoder(inputs)))[0]
            as_array: IntArray = codes.cpu().numpy()
            yield as_array
