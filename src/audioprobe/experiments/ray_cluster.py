"""Collect the responses of a run on a Ray cluster; importing this module needs the extra `ray`.

An actor is a process of the cluster that has loaded the model; it processes one clip at a time. The
driver is the process that starts the actors. The driver only writes the responses to the response
log of the run; results are then computed from the log as in a run without a cluster. If an actor
dies, Ray replaces it and repeats its clip.
"""

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import needs_extra
from audioprobe.experiments.classification.build import LabelledClips, PromptQuestion
from audioprobe.experiments.components import ComponentSpec
from audioprobe.io.cache import ResponseLog
from audioprobe.models.cached import CachedModel
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.registry import load
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.types import Clip

with needs_extra("ray"):
    import ray
    import ray.data

LOCAL = "ray"
"""Address that starts a cluster on this machine."""


@dataclass
class InMemoryLog:
    """Response log that keeps responses in memory; a key identifies a model and a prompt.

    Attributes:
        known: responses from earlier starts of the run, by key.
        new: responses that `write` added, by key.
        path: placeholder, because other response logs have the path of a file.
    """

    known: dict[bytes, bytes] = field(default_factory=dict)
    new: dict[bytes, bytes] = field(default_factory=dict)
    path: Path = Path("memory")

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored responses, by key; keys without a stored response are left out."""
        return {k: v for k in keys if (v := self.new.get(k, self.known.get(k))) is not None}

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Add responses by key."""
        self.new |= values


class ResponseActor:
    """Ray actor that loads the model and returns its responses to prompts about single clips.

    Args:
        model: name and options of the model.
        questions: all questions of the run.
        options: options of the classifier for each question.
        known: Ray object reference to the responses that are already stored, by key.
    """

    def __init__(
        self,
        model: ComponentSpec,
        questions: Sequence[PromptQuestion],
        options: Sequence[Mapping[str, Any]],
        known: Any,  # noqa: ANN401 - a reference
    ) -> None:
        self._log = InMemoryLog(ray.get(known))
        cached = CachedModel(load("language_model", model.name, **model.options), self._log)
        # The scores are not used: the driver computes them from the responses.
        self._classifiers = [
            CaptionClassifier(
                cached, KeywordScorer(), question=q.text, examples=q.examples, **of_question
            )
            for q, of_question in zip(questions, options, strict=True)
        ]

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Ask one question about one clip, and return the new responses, pickled, by key.

        Args:
            batch: "clip" (the pickled clip) and "question" (its index), with one element each.

        If the clip fails, there is no response; the driver then records the failure.
        """
        (content,) = batch["clip"]
        (number,) = batch["question"]
        self._log.new = {}
        clip: Clip = pickle.loads(content)  # noqa: S301 - written by the driver
        self._classifiers[int(number)]([clip], ["any"])
        return {"responses": [pickle.dumps(self._log.new)]}


def collect_responses(
    address: str,
    model: ComponentSpec,
    questions: Sequence[tuple[LabelledClips, Sequence[PromptQuestion]]],
    log: ResponseLog,
    *,
    classifier_options: Sequence[Mapping[str, Any]],
    n_workers: int,
    progress: ProgressCallback,
) -> None:
    """Add the missing responses of a run to its response log.

    Args:
        address: "ray" for this machine, or the address of a cluster such as "ray://host:10001". The
            audio files must exist on the cluster under the same paths.
        model: name and options of the model.
        questions: clips and prompts of each evaluation set.
        log: response log of the run, in this process.
        classifier_options: options of the classifier for each repetition of the run.
        n_workers: number of actors; each actor loads the model.
        progress: called after every clip.
    """
    rows: list[dict[str, Any]] = []
    flat: list[tuple[PromptQuestion, Mapping[str, Any]]] = []
    for clips, of_set in questions:
        for question, options in product(of_set, classifier_options):
            rows += [{"question": len(flat), "clip": pickle.dumps(clip)} for clip in clips.clips]
            flat.append((question, options))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address=None if address == LOCAL else address, log_to_driver=False)
    try:
        known = ray.put(log.read_all())
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            ResponseActor,
            fn_constructor_args=(model, *map(list, zip(*flat, strict=True)), known),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=n_workers),
        )
        for done, row in enumerate(data.iter_rows(), 1):
            log.write(pickle.loads(row["responses"]))  # noqa: S301 - written by our actor
            progress(ProgressEvent(stage="clips on Ray", done=done, total=len(rows)))
    finally:
        ray.shutdown()
