"""The network of LTU and LTU-AS: a LLaMA whose input is audio tokens followed by text tokens.

Source: Gong et al., "Listen, Think, and Understand", ICLR 2024, and the authors' published code.
LLaMA is implemented in transformers, LoRA in peft, quantisation in bitsandbytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from audioprobe.errors import InvalidInputError, optional_import
from audioprobe.models.connectors.config import ConnectorConfig
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_prefix import LINEAR, AudioConfig, AudioPrefix

Quantization: TypeAlias = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
"""Numbers of bits to which `quantize` can reduce weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LTUConfig:
    """Configuration that determines all tensor shapes of an LTU.

    Attributes:
        audio: configuration of the audio encoder; its type distinguishes LTU from LTU-AS.
        llama: transformers' configuration of the language model, as a dictionary.
        lora_rank: rank of the LoRA adapters; 0 means no LoRA.
        lora_alpha: LoRA outputs are scaled by alpha / rank.
        lora_targets: suffixes of the projections with LoRA.
        lora_dropout: dropout of LoRA inputs during training.
        connector: how features become audio tokens, and where the language model reads them.
    """

    audio: AudioConfig = field(default_factory=CavMaeConfig)
    llama: Mapping[str, Any] = field(default_factory=dict)
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_dropout: float = 0.05
    connector: ConnectorConfig = LINEAR


class LTUNetwork(nn.Module):
    """Network of an audio prefix, which computes audio tokens, and a LLaMA.

    The input of the LLaMA is the audio tokens, the beginning-of-sequence token, and text tokens. If
    layers of the LLaMA read the audio tokens (`LayerConnector`), these are not part of the input,
    and the LLaMA must run within `reading`.
    """

    def __init__(self, config: LTUConfig) -> None:
        super().__init__()
        self.config = config
        self.llama = LlamaForCausalLM(LlamaConfig(**config.llama))
        llama = self.llama.config
        self.prefix = AudioPrefix(
            config.audio, llama.hidden_size, config.connector, llama.num_hidden_layers
        )
        if self.prefix.reader is not None:
            self.prefix.reader.attach(self.llama.model.layers)
        if config.lora_rank:
            inject_lora(config, self.llama)

    @property
    def device(self) -> torch.device:
        """Device of audio tokens and token ids; layers of the LLaMA may be on others."""
        return self.prefix.weight.device

    def n_positions(self, audio_tokens: Tensor | None) -> int:
        """Return how many positions of the input of the LLaMA the audio tokens of a prompt use.

        Shape of `audio_tokens`: (..., n_tokens, width).
        """
        if audio_tokens is None or self.prefix.reader is not None:
            return 0
        return audio_tokens.shape[-2]

    @contextmanager
    def reading(self, audio_tokens: Sequence[Tensor | None]) -> Iterator[None]:
        """Context manager in which layers read the audio tokens of each prompt of a batch.

        It has no effect if audio tokens precede the text.
        """
        if self.prefix.reader is None:
            yield
        else:
            with self.prefix.reader.reading(audio_tokens):
                yield

    def embed(self, input_ids: Tensor, audio_tokens: Tensor | None) -> Tensor:
        """Return the input of the LLaMA, shape (n_prompts, n_tokens + n_text, hidden).

        Shape of `input_ids`: (n_prompts, n_text); of `audio_tokens`: (n_prompts, n_tokens, hidden).
        """
        text: Tensor = self.llama.get_input_embeddings()(input_ids)
        if audio_tokens is None or not self.n_positions(audio_tokens):
            return text
        return torch.cat([audio_tokens.to(text), text], 1)

    def forward(
        self,
        input_ids: Tensor,
        audio_tokens: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Return next-token logits at text positions, shape (n_prompts, n_text, n_vocabulary).

        Args:
            input_ids: shape (n_prompts, n_text).
            audio_tokens: shape (n_prompts, n_tokens, hidden); None for prompts without audio.
            attention_mask: shape (n_prompts, n_tokens + n_text); None masks no token. As in LTU's
                training, position ids also count masked tokens.
        """
        known = [None] * len(input_ids) if audio_tokens is None else list(audio_tokens)
        with self.reading(known):
            outputs = self.llama(
                inputs_embeds=self.embed(input_ids, audio_tokens), attention_mask=attention_mask
            )
        logits: Tensor = outputs.logits[:, self.n_positions(audio_tokens) :]
        return logits


def inject_lora(config: LTUConfig, llama: nn.Module) -> None:
    """Add untrained LoRA layers to a LLaMA, in place; they do not change its output."""
    inject_adapter_in_model(
        LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            target_modules=list(config.lora_targets),
            lora_dropout=config.lora_dropout,
            bias="none",
        ),
        llama,
    )


def merge_lora(llama: nn.Module) -> None:
    """Add the LoRA adapters to the weights of a LLaMA, in place, so that inference is faster.

    The outputs change by float rounding only, if the weights are float32.
    """
    for layer in llama.modules():
        if isinstance(layer, LoraLayer):
            layer.merge()


def unload_lora(net: LTUNetwork) -> None:
    """Merge the LoRA adapters into the weights of the LLaMA and remove their layers, in place.

    The outputs change by float rounding only, if the weights are float32.
    """
    if not net.config.lora_rank:
        return
    merge_lora(net.llama)
    _remove_lora(net)
    net.config = replace(net.config, lora_rank=0)


def expand_lora(net: LTUNetwork, rank: int, targets: Sequence[str], seed: int) -> None:
    """Increase the rank of the LoRA adapters or add adapters to more projections, in place.

    The outputs of the network do not change: trained rows and columns are copied, and new rows and
    columns are initialised as in peft, with a zero output. The scale (alpha / rank) is preserved,
    except that alpha is rounded to an integer.

    Args:
        net: network with or without LoRA.
        rank: new rank, at least the current rank.
        targets: suffixes of the projections that get LoRA ("q_proj", "up_proj"). They must include
            all projections that already have LoRA.
        seed: seed of the new rows and columns.

    Raises:
        InvalidInputError: if trained LoRA weights would be lost, or if the language model has no
            projection with such a suffix.
    """
    config, old_rank = net.config, net.config.lora_rank
    known = {name.rpartition(".")[2] for name, _ in _projections(net)}
    unknown = [target for target in targets if target not in known]
    lost = [target for target in config.lora_targets if old_rank and target not in targets]
    if unknown or not targets:
        raise InvalidInputError(
            f"Expected LoRA targets among {', '.join(sorted(known))}; got "
            f"{', '.join(unknown) or 'none'}."
        )
    if lost or rank < max(old_rank, 1):
        raise InvalidInputError(
            f"The network has LoRA of rank {old_rank} on {', '.join(config.lora_targets)}; rank "
            f"{rank} on {', '.join(targets)} would discard trained weights. Use a rank of at least "
            f"{max(old_rank, 1)} and include all projections that have LoRA."
        )
    scale = config.lora_alpha / (old_rank or rank)
    alpha = max(1, round(scale * rank))
    trained = _remove_lora(net) if old_rank else {}
    net.config = replace(config, lora_rank=rank, lora_alpha=alpha, lora_targets=tuple(targets))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_lora(net.config, net.llama)
    with torch.no_grad():
        for name, (down, up) in trained.items():
            new_down, new_up = _lora_maps(net, name)
            new_down[:old_rank] = down
            new_up[:, :old_rank] = up * (scale / (alpha / rank))


def _projections(net: LTUNetwork) -> list[tuple[str, nn.Module]]:
    """Return (name, module) of each attention or MLP projection in the layers of the LLaMA."""
    return [
        (name, module)
        for name, module in net.llama.named_modules()
        if name.endswith("_proj") and ".layers." in name
    ]


def _remove_lora(net: LTUNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """Replace LoRA layers by their base layers.

    Return the removed A and B matrices, keyed by the name of the projection.
    """
    maps = {}
    for name, layer in _projections(net):
        if isinstance(layer, LoraLayer):
            maps[name] = _lora_maps(net, name)
            net.llama.set_submodule(name, net.llama.get_submodule(f"{name}.base_layer"))
    del net.llama.peft_config  # otherwise peft would assume that adapters are present
    return maps


def _lora_maps(net: LTUNetwork, name: str) -> tuple[Tensor, Tensor]:
    """Return LoRA's A and B matrices of the projection `name`."""
    down, up = (net.llama.get_parameter(f"{name}.lora_{part}.default.weight") for part in "AB")
    return down, up


def quantize(llama: nn.Module, kind: Quantization, dtype: torch.dtype) -> None:
    """Replace the linear layers in the blocks of a LLaMA by layers of bitsandbytes, in place.

    Moving the network to a device quantises the weights.

    "8bit" quantises weights by row and activations by token. The separate treatment of outlier
    columns in LLM.int8() is disabled, because the choice of columns would depend on the batch.
    "4bit" is NF4. Audio prefix, LoRA, embeddings and output layer are not quantised; the linear
    layers in the blocks are 90 % of a 7B model.

    Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, and "QLoRA", NeurIPS 2023.

    Args:
        llama: the language model.
        kind: "8bit" or "4bit".
        dtype: data type of the computation, for "4bit" only.

    Raises:
        MissingDependencyError: if bitsandbytes is not installed.
    """
    bnb: Any = optional_import("bitsandbytes.nn", extra="quantization")
    for name, linear in linear_layers(llama):
        options = {"bias": linear.bias is not None, "device": "meta"}
        sizes = (linear.in_features, linear.out_features)
        quantised: nn.Module
        if kind == "8bit":
            quantised = bnb.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=0.0, **options)
            quantised.weight = bnb.Int8Params(
                linear.weight.data, requires_grad=False, has_fp16_weights=False
            )
        else:
            quantised = bnb.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4", **options)
            quantised.weight = bnb.Params4bit(
                linear.weight.data, requires_grad=False, quant_type="nf4"
            )
        quantised.bias = linear.bias
        llama.set_submodule(name, quantised)


def linear_layers(llama: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Return (name, layer) of each linear layer in the blocks of a LLaMA, except LoRA layers."""
    return [
        (name, module)
        for name, module in llama.named_modules()
        if ".layers." in name and type(module) is nn.Linear and ".lora_" not in name
    ]
