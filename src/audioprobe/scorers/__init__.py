"""Scorers, which compare captions with labels.

`embedding` and `keyword` contain scorers; `ltu` contains the text rules of LTU's own evaluation.
"""

__all__: list[str] = []
