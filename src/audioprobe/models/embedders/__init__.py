"""Text embedders: `sentence_transformers` and `model2vec` (local), `openai`, `cached`.

Importing this package does not import these modules.
"""

__all__: list[str] = []
