"""Scorers of captions against labels; `embedding` and `keyword` are registered backends.

`caption_quality` compares captions with references, `ltu` has the rules of LTU's own evaluation.
"""

__all__: list[str] = []
