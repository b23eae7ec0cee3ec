"""Write the language model of an LTU to a folder that vLLM serves.

The client, `VllmLTU`, computes audio tokens and embeddings of the text itself, and sends them as
prompt embeddings.
"""

import copy
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from transformers import GenerationConfig

from audioprobe import __version__
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.io.atomic import staged_directory
from audioprobe.io.json_codec import to_json
from audioprobe.models.causal_lm.loading import dtype_of, without_weight_bars
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.network import LTUNetwork, unload_lora
from audioprobe.models.ltu.saving import SHARD_SIZE
from audioprobe.types import ComponentInfo

ServedDtype = Literal["float32", "bfloat16", "float16"]
SERVED_DTYPES: tuple[ServedDtype, ...] = get_args(ServedDtype)

CARD = "audioprobe.json"
MAX_LENGTH = 2048  # tokens; LTU-7B has no longer context

# The text parts of a message as they are; vLLM inserts the embeddings of the other parts.
_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}{{ part['text'] }}"
    "{% endfor %}{% endfor %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLTU:
    """The language model of an LTU, as it was written for a server.

    Attributes:
        audioprobe: version of audioprobe that wrote the folder.
        model: identity of the LTU.
        dtype: data type of the weights, which the server must use.
        served_name: name under which the server must serve the model; the client checks it.
        max_length: suggested context of the server, in tokens.
    """

    audioprobe: str
    model: ComponentInfo
    dtype: ServedDtype
    served_name: str
    max_length: int

    def command(self, folder: Path) -> str:
        """Return the shell command that starts a server for the model in a folder."""
        path = folder if folder.is_absolute() else f"./{folder}"
        options = {
            "served-model-name": self.served_name,
            "dtype": self.dtype,
            "max-model-len": str(self.max_length),
            "chat-template-content-format": "openai",
        }
        given = " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())
        return f"vllm serve {shlex.quote(str(path))} {given} --enable-prompt-embeds"


def served_name(checkpoint: LTUCheckpoint, dtype: ServedDtype) -> str:
    """Return the name under which a server serves an LTU: its name, revision and data type."""
    stem = re.sub(r"[^\w.-]+", "-", Path(checkpoint.origin.checkpoint).stem, flags=re.ASCII)
    return f"{stem}-{checkpoint.revision}-{dtype}"


def export_for_vllm(
    checkpoint: LTUCheckpoint, out: str | Path, *, dtype: ServedDtype = "float32"
) -> ExportedLTU:
    """Write the LLaMA of an LTU, with LoRA merged, and its tokenizer to a folder for vLLM.

    LoRA is merged in float32. The chat template in the folder joins the texts of a message without
    any change; the client inserts LTU's prompt template.

    Args:
        checkpoint: the model; its network is changed and must not be used afterwards.
        out: folder to create; it appears only when it is complete.
        dtype: data type of the weights.

    Raises:
        InvalidInputError: if `out` exists, or `dtype` is unknown.
        UnsupportedInputError: if layers of the LLaMA read the audio tokens.
    """
    if dtype not in SERVED_DTYPES:
        raise InvalidInputError(f"Expected dtype {', '.join(SERVED_DTYPES)}, got {dtype!r}.")
    net, tokenizer = checkpoint.net, copy.deepcopy(checkpoint.tokenizer)
    require_prompt_embeddings(net)
    served = ExportedLTU(
        audioprobe=__version__,
        model=checkpoint.info({}),
        dtype=dtype,
        served_name=served_name(checkpoint, dtype),
        max_length=min(MAX_LENGTH, net.llama.config.max_position_embeddings),
    )
    with staged_directory(out) as folder:
        net.llama.float()
        unload_lora(net)
        net.to(dtype_of(dtype))
        # The server ends a response at the token that ends it locally, and samples only as it is
        # asked to.
        end, begin = tokenizer.eos_token_id, tokenizer.bos_token_id
        net.llama.config.eos_token_id, net.llama.config.bos_token_id = end, begin
        net.llama.generation_config = GenerationConfig(eos_token_id=end, bos_token_id=begin)
        with without_weight_bars():
            net.llama.save_pretrained(folder, max_shard_size=SHARD_SIZE)
        tokenizer.chat_template = _TEMPLATE
        tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(to_json(served) + "\n", encoding="utf-8")
    return served


def require_prompt_embeddings(net: LTUNetwork) -> None:
    """Raise `UnsupportedInputError` if the audio is not a part of the input of the LLaMA."""
    if net.prefix.reader is not None:
        raise UnsupportedInputError(
            f"Layers of this language model read the audio (connector "
            f"{net.config.connector.kind!r}), so that it cannot be sent to a server as prompt "
            "embeddings. Use LTU.from_pretrained."
        )
