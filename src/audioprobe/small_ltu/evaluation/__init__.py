"""Evaluation of a small LTU: labels, captions, and yes/no questions in text and audio.

`evaluation` contains `SmallLTUEvaluation`, `results` its result and table; `audio_metrics` and
`yes_no` compute the measures. The modules import torch, so nothing is imported here.
"""

__all__: list[str] = []
