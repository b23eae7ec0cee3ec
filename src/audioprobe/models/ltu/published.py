"""The LTUs that their authors publish, and what each needs; light to import.

Source: the README of the authors' repository, and the shapes in their checkpoints.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

AUTHORS = "https://github.com/YuanGongND/ltu"
"""Where the authors link their checkpoints (files of their own, no hub)."""

Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

SPARE_GIB = 2.0
"""What answering takes besides the weights, in GiB: the keys and values of eight prompts of 500
tokens in LTU-7B, as bfloat16."""

# NF4 keeps one float32 scale for 64 weights.
_BYTES: dict[Precision, float] = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "8bit": 1.0,
    "4bit": 0.5 + 4 / 64,
}


@dataclass(frozen=True, slots=True)
class PublishedLTU:
    """One size of LTU or LTU-AS.

    Attributes:
        name: as its authors call it.
        checkpoint: the file, or the folder with one, that they recommend.
        checkpoint_mb: size of the file, in MB.
        base: the LLaMA that it was trained on, on the model hub.
        n_parameters: in all, the encoder of Whisper included.
        n_quantised: of these, the ones that 8 and 4 bits apply to.
        whisper: whose encoder it hears by, on the model hub; "" for LTU, which has its own.
    """

    name: str
    checkpoint: str
    checkpoint_mb: int
    base: str
    n_parameters: int
    n_quantised: int
    whisper: str = ""

    def gibibytes(self, precision: Precision) -> float:
        """Memory for the weights, in GiB; what is not quantised is counted as bfloat16."""
        each = _BYTES[precision]
        others = max(each, _BYTES["bfloat16"])
        plain = self.n_parameters - self.n_quantised
        return (self.n_quantised * each + plain * others) / 2**30

    def needs(self) -> str:
        """What to get and how to load it, in a few sentences."""
        sizes = ", ".join(
            f"{self.gibibytes(precision):.1f} as {precision}" for precision in PRECISIONS
        )
        also = f", and the encoder of {self.whisper} from the hub" if self.whisper else ""
        return (
            f"{self.name} is published by its authors, not on a hub. Get {self.checkpoint} "
            f"({self.checkpoint_mb} MB; linked from {AUTHORS}) and its base {self.base}{also}; "
            f'then LTU.from_pretrained(FILE, base="{self.base}"), or convert both into one folder '
            f"with `audioprobe convert FILE --base {self.base} --out FOLDER`. "
            f"Memory for the weights, in GiB: {sizes}."
        )


_VICUNA_7B, _VICUNA_13B = "lmsys/vicuna-7b-v1.1", "lmsys/vicuna-13b-v1.1"
_LINEAR_7B, _LINEAR_13B = 6_476_005_376, 12_687_769_600

PUBLISHED = (
    PublishedLTU("LTU-7B", "ltu_ori_paper.bin", 370, _VICUNA_7B, 6_831_480_832, _LINEAR_7B),
    # The authors do not name the base of 13B; it is presumed after that of 7B.
    PublishedLTU(
        "LTU-13B", "stage4_all_mix_long_seq", 385, _VICUNA_13B, 13_112_076_288, _LINEAR_13B
    ),
    PublishedLTU(
        "LTU-AS-7B",
        "ltuas_long_noqa_a6.bin",
        200,
        _VICUNA_7B,
        7_423_993_856,
        _LINEAR_7B,
        "openai/whisper-large",
    ),
    PublishedLTU(
        "LTU-AS-13B",
        "stage3_long_seq_exclude_noqa",
        210,
        _VICUNA_13B,
        13_705_113_600,
        _LINEAR_13B,
        "openai/whisper-large",
    ),
)
"""Every published size; of each, the checkpoint that the authors recommend."""


def published(name: str) -> PublishedLTU | None:
    """The published LTU of this name, however it is written ("ltu-13b", "LTU_13B", "LTU 13B")."""
    key = _letters(name)
    return next((ltu for ltu in PUBLISHED if _letters(ltu.name) == key), None)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
