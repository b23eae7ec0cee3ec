"""Text embedders: `sentence_transformers` (local), `openai` (remote), `cached` (around either).

Importing this package loads none of them.
"""

__all__: list[str] = []
