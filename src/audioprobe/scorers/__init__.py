"""Scorers, which compare captions with labels, and measures of the quality of captions.

`embedding`, `keyword` and `judge` contain scorers; `ltu` contains the text rules of LTU's own
evaluation. `caption_quality` compares captions with human captions and with audio, `hallucination`
with labels.
"""

__all__: list[str] = []
