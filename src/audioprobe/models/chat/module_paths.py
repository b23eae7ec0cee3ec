"""Where the sites of chat models are among the modules of transformers, by architecture."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.activation_hooks import SitePoint, decoder_points


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioModules:
    """Modules of the audio encoder and the connector, and the time steps of their outputs.

    Attributes:
        encoder: path of the audio encoder, whose first input are the features.
        blocks: path of the list of blocks.
        out: path of the last module of the encoder.
        connector: path of the module that returns audio tokens.
        features: name of the model's input with the features.
        block_s: seconds per position of a block.
        out_s: seconds per position of `out`.
        token_s: seconds per audio token.
        channels_first: whether features have the dimensions (width, n_frames).
        packed: whether the encoder joins the clips of a batch into one sequence; such models run
            one prompt at a time.
    """

    encoder: str
    blocks: str
    out: str
    connector: str
    features: str = "input_features"
    block_s: float
    out_s: float
    token_s: float
    channels_first: bool = True
    packed: bool = False

    def points(self, net: nn.Module) -> dict[str, SitePoint]:
        """Return the sites of encoder and connector."""
        module = net.get_submodule
        points = {
            "encoder.input": SitePoint(module(self.encoder), True, self.channels_first),
        }
        for name, block in module(self.blocks).named_children():
            points[f"encoder.block.{name}"] = SitePoint(block)
        points["encoder.out"] = SitePoint(module(self.out))
        return points | {"connector.out": SitePoint(module(self.connector))}


@dataclass(frozen=True, slots=True)
class ModulePaths:
    """Paths of the modules of a chat model, relative to the model that transformers loads.

    Attributes:
        decoder: path of the language model; it has `layers`, each with `self_attn` and `mlp`, and
            `norm`.
        audio: modules for audio; None for a text model.
        head: path of the module that computes logits.
    """

    decoder: str
    audio: AudioModules | None = None
    head: str = "lm_head"


def _whisper(token_s: float, *, out_s: float = 0.04, out: str = "layer_norm") -> AudioModules:
    """Return the modules of a model with an encoder like Whisper's and a projector."""
    return AudioModules(
        encoder="model.audio_tower",
        blocks="model.audio_tower.layers",
        out=f"model.audio_tower.{out}",
        connector="model.multi_modal_projector",
        block_s=0.02,
        out_s=out_s,
        token_s=token_s,
    )


def _omni(block_s: float, token_s: float, connector: str) -> AudioModules:
    """Return the modules of a Qwen omni model, whose connector is part of the encoder."""
    return AudioModules(
        encoder="model.audio_tower",
        blocks="model.audio_tower.layers",
        out="model.audio_tower.ln_post",
        connector=f"model.audio_tower.{connector}",
        block_s=block_s,
        out_s=token_s,
        token_s=token_s,
        packed=True,
    )


_PHI4 = "model.embed_tokens_extend.audio_embed"

FAMILIES: dict[str, ModulePaths] = {
    "llama": ModulePaths("model"),
    "mistral": ModulePaths("model"),
    "qwen2": ModulePaths("model"),
    "qwen3": ModulePaths("model"),
    "qwen2_audio": ModulePaths("model.language_model", _whisper(0.04)),
    "audioflamingo3": ModulePaths("model.language_model", _whisper(0.04)),
    "voxtral": ModulePaths("model.language_model", _whisper(0.08, out_s=0.02)),
    "qwen2_5_omni_thinker": ModulePaths("model.language_model", _omni(0.02, 0.04, "proj")),
    "qwen3_omni_moe_thinker": ModulePaths("model.language_model", _omni(1 / 13, 1 / 13, "proj2")),
    "phi4_multimodal": ModulePaths(
        "model",
        AudioModules(
            encoder=f"{_PHI4}.encoder",
            blocks=f"{_PHI4}.encoder.encoders",
            out=f"{_PHI4}.encoder",
            connector=f"{_PHI4}.down_proj_for_speech",
            features="audio_input_features",
            block_s=0.08,
            out_s=0.08,
            token_s=0.08,
            channels_first=False,
        ),
    ),
}
"""Module paths by `model_type` in config.json. Add an entry to inspect another architecture."""


def paths_of(net: Any) -> ModulePaths:  # noqa: ANN401 - models have no common type
    """Return the module paths of a model.

    Raises:
        UnsupportedInputError: if its architecture has no entry in `FAMILIES`. The message shows how
            to add one.
    """
    kind = str(net.config.model_type)
    if kind not in FAMILIES:
        raise UnsupportedInputError(
            f"Expected an architecture with known module paths ({', '.join(FAMILIES)}), got "
            f"{kind!r}. Add its paths, which print(model) shows: "
            "from audioprobe.models.chat.module_paths import FAMILIES, ModulePaths; "
            f'FAMILIES[{kind!r}] = ModulePaths(decoder="model", head="lm_head"). For audio, pass '
            "audio=AudioModules(...), too."
        )
    return FAMILIES[kind]


def site_points(net: Any) -> dict[str, SitePoint]:  # noqa: ANN401
    """Return the sites of a model, in the order of the forward pass.

    Raises:
        UnsupportedInputError: if the architecture of the model is unknown.
        InvalidInputError: if its entry in `FAMILIES` names a module that does not exist.
    """
    paths = paths_of(net)
    try:
        audio = {} if paths.audio is None else paths.audio.points(net)
        decoder = net.get_submodule(paths.decoder)
        head = net.get_submodule(paths.head)
        return audio | decoder_points(decoder.layers, decoder.norm, head)
    except AttributeError as error:
        raise InvalidInputError(
            f"The module paths of {net.config.model_type!r} in FAMILIES do not fit this model: "
            f"{error}. Compare them with print(model)."
        ) from error
