"""Backends: audio language models, audio encoders and text embedders.

The packages are `ltu`, `chat` (audio chat models from transformers), `remote` (HTTP services),
`encoders` and `embedders`. The modules `cached`, `cascade`, `scripted` and `tag_captioner` build
language models from other components or from fixed answers; `concurrency` contains threads and a
lock. Importing this package imports none of them.
"""

__all__: list[str] = []
