"""The published LTU models, and the files and memory that each model needs.

Source: the README of the authors' repository, and the tensor shapes in their checkpoints. Importing
this module does not import torch.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

AUTHORS = "https://github.com/YuanGongND/ltu"
"""Repository with links to the checkpoints, which are not on a model hub."""

Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

SPARE_GIB = 2.0
"""Memory in GiB that inference needs in addition to the weights.

It is the size of the keys and values of eight prompts of 500 tokens in LTU-7B, as bfloat16.
"""

# NF4 stores one float32 scale per 64 weights.
_BYTES: dict[Precision, float] = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "8bit": 1.0,
    "4bit": 0.5 + 4 / 64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLTU:
    """A published model: LTU or LTU-AS in one size.

    Attributes:
        name: name that the authors use.
        checkpoint: checkpoint file that the authors recommend, or the folder that contains it.
        checkpoint_mb: size of the file in MB.
        base: hub name of the LLaMA that the checkpoint was trained on.
        n_parameters: number of parameters, including Whisper's encoder.
        n_quantised: number of parameters that 8-bit and 4-bit quantisation applies to.
        whisper: hub name of the Whisper model of an LTU-AS; "" for LTU.
    """

    name: str
    checkpoint: str
    checkpoint_mb: int
    base: str
    n_parameters: int
    n_quantised: int
    whisper: str = ""

    def gibibytes(self, precision: Precision) -> float:
        """Return the memory of the weights in GiB.

        With "8bit" and "4bit", parameters that are not quantised have the data type bfloat16.
        """
        quantised = self.n_quantised * _BYTES[precision]
        others = max(_BYTES[precision], _BYTES["bfloat16"])
        return (quantised + (self.n_parameters - self.n_quantised) * others) / 2**30

    def needs(self) -> str:
        """Return a text for users: which files to download, how to load them, memory in GiB."""
        sizes = ", ".join(
            f"{self.gibibytes(precision):.1f} as {precision}" for precision in PRECISIONS
        )
        whisper = f", and the encoder of {self.whisper} from the hub" if self.whisper else ""
        return (
            f"{self.name} is published by its authors, not on a hub. Download {self.checkpoint} "
            f"({self.checkpoint_mb} MB; linked from {AUTHORS}) and its base {self.base}{whisper}; "
            f'then call LTU.from_pretrained(FILE, base="{self.base}"), or convert both to a folder '
            f"with `audioprobe convert FILE --base {self.base} --out FOLDER`. "
            f"Memory for the weights, in GiB: {sizes}."
        )


_VICUNA_7B, _VICUNA_13B = "lmsys/vicuna-7b-v1.1", "lmsys/vicuna-13b-v1.1"
_LINEAR_7B, _LINEAR_13B = 6_476_005_376, 12_687_769_600

PUBLISHED = (
    PublishedLTU(
        name="LTU-7B",
        checkpoint="ltu_ori_paper.bin",
        checkpoint_mb=370,
        base=_VICUNA_7B,
        n_parameters=6_831_480_832,
        n_quantised=_LINEAR_7B,
    ),
    PublishedLTU(  # the authors do not name the base of the 13B model; assumed by analogy with 7B
        name="LTU-13B",
        checkpoint="stage4_all_mix_long_seq",
        checkpoint_mb=385,
        base=_VICUNA_13B,
        n_parameters=13_112_076_288,
        n_quantised=_LINEAR_13B,
    ),
    PublishedLTU(
        name="LTU-AS-7B",
        checkpoint="ltuas_long_noqa_a6.bin",
        checkpoint_mb=200,
        base=_VICUNA_7B,
        n_parameters=7_423_993_856,
        n_quantised=_LINEAR_7B,
        whisper="openai/whisper-large",
    ),
    PublishedLTU(
        name="LTU-AS-13B",
        checkpoint="stage3_long_seq_exclude_noqa",
        checkpoint_mb=210,
        base=_VICUNA_13B,
        n_parameters=13_705_113_600,
        n_quantised=_LINEAR_13B,
        whisper="openai/whisper-large",
    ),
)
"""All published models, each with the checkpoint that the authors recommend."""


def published(name: str) -> PublishedLTU | None:
    """Return the published model with a name such as "ltu-13b" or "LTU_13B"; None if unknown."""
    key = _letters(name)
    return next((ltu for ltu in PUBLISHED if _letters(ltu.name) == key), None)


def _letters(name: str) -> str:
    """Return the lower-case letters and digits of a name, to compare different spellings."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
