"""Backends: audio language models, encoders and text embedders.

`ltu`, `chat` (audio chat models of transformers), `remote` (HTTP services), `encoders` and
`embedders` are packages; `cached`, `cascade`, `scripted` and `tag_captioner` are models around
other components. Importing this package loads none of them.
"""

__all__: list[str] = []
