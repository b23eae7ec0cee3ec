"""Text embedders: `sentence_transformers` (local), `openai` (remote), `cached` (adds a cache).

Importing this package does not import these modules.
"""

__all__: list[str] = []
