"""A small concept probe, its outcome, and logs in the format of lmms-eval."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.probing.known_models import CLIPS, CONCEPTS, NAMES, known_model, recognise_half

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import (
    PreparedProbe,
    ProbeOutcome,
    PromptingOptions,
    QuestionConfig,
    prepare_probe,
    read_wordings,
    run_probe,
)

FEW = Bootstrap(100)


@cache
def probe() -> PreparedProbe:
    config = QuestionConfig(
        wordings=read_wordings("plain"),
        conditions=("text", "audio", "noise", "caption"),
        forms=("yes-no", "choice"),
        n_clips=1,
    )
    return prepare_probe(CONCEPTS.subset(NAMES[:10]), config, "hypernym", CLIPS[:10])


@cache
def outcome(likelihoods: bool = True) -> ProbeOutcome:
    options = PromptingOptions(likelihoods=likelihoods)
    return run_probe(known_model(recognise_half), probe(), options, FEW)


def write_samples(path: Path, samples: Sequence[dict[str, Any]]) -> Path:
    """Write samples as lmms-eval does, with the keys that every task has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    defaults = {"filtered_resps": "A", "target": "A", "token_counts": [None], "doc_hash": "0"}
    lines = [
        json.dumps({"doc_id": n, **defaults, "input": f"Question {n}", **sample})
        for n, sample in enumerate(samples)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def scored(path: Path, correct: Sequence[int]) -> Path:
    """Write samples that are correct or not."""
    answers = [{"accuracy": float(c), "filtered_resps": "A" if c else "B"} for c in correct]
    return write_samples(path, answers)
