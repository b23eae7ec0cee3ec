"""Scorers, which compare captions with labels.

`embedding` and `keyword` contain scorers; `ltu` contains the text rules of LTU's own evaluation.
`caption_quality` compares captions with references, that is, captions written by humans.
"""

__all__: list[str] = []
