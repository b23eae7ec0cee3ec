"""What a model gains, forgets and carries over: measured the same way before and after."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU as FILTERBANK
from audioprobe.audio.reading import Reading, read_waveform
from audioprobe.classifiers.caption import CaptionClassifier
from audioprobe.errors import AudioReadError, TrainingError
from audioprobe.experiments.finetuning.asking import answered
from audioprobe.experiments.finetuning.config import Study
from audioprobe.experiments.finetuning.findings import Answer, Captioned, Measured
from audioprobe.experiments.finetuning.materials import Materials
from audioprobe.finetuning.drift import Float32Array, states
from audioprobe.finetuning.texts import examples_of, losses_of
from audioprobe.language_models.ltu import LTU
from audioprobe.language_models.ltu_files import LtuFiles
from audioprobe.language_models.ltu_prompt import tokenize, write_prompt
from audioprobe.protocols import Scorer
from audioprobe.runs.progress import Progress
from audioprobe.training.questions import CAPTION
from audioprobe.types import Clip, Decoding

HEARD = ("inside", "outside", "earlier")
"""Portions that are captioned."""

_BATCH = 16
_ITEMS = 12  # sounds and passages whose states are compared
_DIGITS = 6  # of scores that are kept


@dataclass(frozen=True, slots=True, eq=False)
class Measurer:
    """Measures models.

    Attributes:
        study: how much.
        materials: by what.
        scorer: compares captions with labels.
        progress: told how far it is.
    """

    study: Study
    materials: Materials
    scorer: Scorer
    progress: Progress = lambda *_: None

    def whole(self, files: LtuFiles) -> Measured:
        """Captions, reading, and the concept probe.

        Raises:
            TrainingError: if a passage has no finite loss: such weights say nothing.
        """
        texts = losses_of(files.net, self._passages(files))
        broken = [one.nats for one in texts if not math.isfinite(one.nats)]
        if broken:
            raise TrainingError(
                f"{len(broken)} of {len(texts)} passages have the loss {broken[0]}: the weights "
                "have overflowed. Lower the learning rate."
            )
        model = _model(files)
        return Measured(
            {name: self._captioned(model, name) for name in HEARD},
            texts,
            answered(files, self.materials.probe, self.progress),
        )

    def quizzed(self, files: LtuFiles) -> tuple[Answer, ...]:
        """Answers about invented classes; none where the study has none."""
        quiz = self.materials.quiz
        return () if quiz is None else answered(files, quiz, self.progress)

    def states(self, files: LtuFiles) -> dict[str, list[Float32Array]]:
        """Of some sounds of `inside` that can be read, and of some passages, layer by layer."""
        heard = list(islice(_spectrograms(self.materials.clips["inside"]), _ITEMS))
        question = torch.tensor(tokenize(files.tokenizer, write_prompt(CAPTION)))
        texts = [torch.tensor(example.ids) for example in self._passages(files)[:_ITEMS]]
        found = {"text": states(files.net, texts)}
        if heard:
            tokens = _tokens(files, heard)
            found["sound"] = states(files.net, [question] * len(heard), tokens)
        return found

    def _passages(self, files: LtuFiles) -> list[Any]:
        texts = self.materials.measured
        return list(examples_of(texts, files.tokenizer, cutoff=self.study.cutoff))

    def _captioned(self, model: LTU, name: str) -> Captioned:
        clips = self.materials.clips[name]
        labels = tuple(sorted({label for clip in clips for label in clip.labels or ()}))
        classify = CaptionClassifier(
            model,
            self.scorer,
            question=CAPTION,
            reading=Reading(length="crop"),
            decoding=Decoding(max_new_tokens=self.study.quiz.tokens),
        )

        def told(done: int, total: int, n_failed: int) -> None:
            note = f"{n_failed} failed" if n_failed else ""
            self.progress(f"captions, {name}", done, total, note)

        result = classify(clips, labels, progress=told)
        said = result.captions_by_clip()
        return Captioned(
            labels,
            result.clip_ids,
            tuple(said[clip][0].text for clip in result.clip_ids),
            tuple(result.truth[clip] for clip in result.clip_ids),
            tuple(tuple(row) for row in np.round(result.scores, _DIGITS).tolist()),
            tuple((failure.clip_id, failure.message) for failure in result.failures),
        )


def _model(files: LtuFiles) -> LTU:
    return LTU(files.net, files.tokenizer, files.info({}), batch_size=_BATCH)


def _spectrograms(clips: Sequence[Clip]) -> Iterator[Tensor]:
    for clip in clips:
        with suppress(AudioReadError):  # counted among the captions
            yield FILTERBANK.of(read_waveform(clip))


@torch.inference_mode()
def _tokens(files: LtuFiles, spectrograms: Sequence[Tensor]) -> Tensor:
    """Audio tokens of sounds, shape (n_sounds, n_tokens, hidden)."""
    weight = files.net.prefix.projection.weight
    return torch.cat([files.net.prefix(one.to(weight)[None]) for one in spectrograms])
