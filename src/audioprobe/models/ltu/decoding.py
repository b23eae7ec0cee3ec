"""Decoding settings of LTU's authors, by name."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from audioprobe.types import Decoding

PAPER = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=500, repetition_penalty=1.1)
"""Decoding settings of LTU's published evaluation (`inference_batch.py`), which set no seed."""

DEMO = Decoding(max_new_tokens=400, temperature=0.1, top_p=0.95, top_k=50)
"""Decoding settings of LTU's demo (`inference_gradio.py`); top_k was transformers' default."""

DEMO_AS = replace(PAPER, max_new_tokens=500)
"""Decoding settings of LTU-AS's demo; the published evaluation of LTU-AS used `PAPER`."""

DECODINGS: Mapping[str, Decoding] = MappingProxyType(
    {"greedy": Decoding(), "paper": PAPER, "demo": DEMO, "demo-as": DEMO_AS}
)
"""Decoding settings by name: audioprobe's default and those of the authors' code."""
