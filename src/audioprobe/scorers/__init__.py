"""Scorers, which compare captions with labels; `embedding` and `keyword` are backends.

`caption_quality` compares captions with references; `ltu` contains the rules of LTU's evaluation.
"""

__all__: list[str] = []
