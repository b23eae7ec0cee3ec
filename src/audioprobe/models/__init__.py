"""Backends: audio language models, audio encoders and text embedders.

The packages are `ltu`, `chat` (audio chat models from transformers), `remote` (HTTP services),
`encoders` and `embedders`. The modules `cached`, `cascade`, `scripted` and `tag_captioner` build
language models from other components or from fixed answers; `concurrency` contains threads and a
lock. Importing this package imports none of them.
"""

import logging

# peft and transformers import bitsandbytes, which logs this notice even if no kernel is needed.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(
    lambda record: not str(record.msg).startswith("Failed to load CPU gemm_4bit_forward")
)

__all__: list[str] = []
