"""The answers of a run, collected by actors on a Ray cluster; importing this needs the extra `ray`.

Each actor holds the model, and reads and asks one clip at a time. The driver only keeps answers, in
the journal of the run, and then computes the results from there by the very code that a run without
a cluster goes through: where the answers came from changes nothing. An actor that dies is replaced,
and the clip that it had is asked again.
"""

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import needs_extra
from audioprobe.experiments.classification.build import EvaluationClips, PromptQuestion
from audioprobe.experiments.classification.config import ComponentSpec
from audioprobe.io.response_log import ResponseLog
from audioprobe.models.cached import CachedModel
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.registry import load
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.types import Clip

with needs_extra("ray"):
    import ray
    import ray.data

LOCAL = "ray"
"""The address that starts a cluster on this machine."""


@dataclass
class InMemoryLog:
    """Answers in memory, in place of a store."""

    known: dict[bytes, bytes] = field(default_factory=dict)
    new: dict[bytes, bytes] = field(default_factory=dict)
    path: Path = Path("memory")

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the keys that there are."""
        return {k: v for k in keys if (v := self.new.get(k, self.known.get(k))) is not None}

    def write(self, answers: Mapping[bytes, bytes]) -> None:
        """Keep answers."""
        self.new |= answers


class ResponseActor:
    """An actor: holds the model, and answers the questions about clips.

    Args:
        part: the model, by name.
        questions: that there are.
        known: a reference to the answers that need not be asked for.
    """

    def __init__(
        self,
        part: ComponentSpec,
        questions: Sequence[PromptQuestion],
        known: Any,  # noqa: ANN401 - a reference
    ) -> None:
        self._store = InMemoryLog(ray.get(known))
        model = CachedModel(load("language_model", part.name, **part.options), self._store)
        # The scores of a clip are of no use here: they are computed from the answers, at home.
        self._classifiers = [
            CaptionClassifier(model, KeywordScorer(), question=q.text, examples=q.examples)
            for q in questions
        ]

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Ask a batch of one clip; a clip that fails has no answers, and fails again at home."""
        (content,) = batch["clip"]
        (number,) = batch["question"]
        self._store.new = {}
        clip: Clip = pickle.loads(content)  # noqa: S301 - written by the driver
        self._classifiers[int(number)]([clip], ["any"])
        return {"answers": [pickle.dumps(self._store.new)]}


def answer_on(
    address: str,
    part: ComponentSpec,
    asked: Sequence[tuple[EvaluationClips, Sequence[PromptQuestion]]],
    journal: ResponseLog,
    *,
    n_workers: int,
    progress: ProgressCallback,
) -> None:
    """Fill the journal of a run with the answers that it lacks.

    Args:
        address: "ray" for this machine, or that of a cluster: "ray://host:10001". Clips are read by
            the actors: their files must be found there by the same paths.
        part: the model, by name.
        asked: the clips, and what is asked of them.
        journal: of the run, in this process.
        n_workers: actors that hold the model.
        progress: called after every batch.
    """
    questions = [question for _, each in asked for question in each]
    rows, number = [], 0
    for sounds, each in asked:
        for _ in each:
            rows += [{"question": number, "clip": pickle.dumps(clip)} for clip in sounds.clips]
            number += 1
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    ray.init(address=None if address == LOCAL else address, log_to_driver=False)
    try:
        known = ray.put(journal.read_all())
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            ResponseActor,
            fn_constructor_args=(part, questions, known),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=n_workers),
        )
        for done, row in enumerate(data.iter_rows(), 1):
            journal.write(pickle.loads(row["answers"]))  # noqa: S301 - written by our actor
            progress(ProgressEvent(stage="clips on Ray", done=done, total=len(rows)))
    finally:
        ray.shutdown()
