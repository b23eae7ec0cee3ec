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
from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import AudioReadError, TrainingError
from audioprobe.experiments.finetuning.build import Materials
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.run_result import (
    CaptionEvaluation,
    ModelEvaluation,
    QuestionResult,
)
from audioprobe.experiments.finetuning.yes_no import score_yes_no
from audioprobe.finetuning.evaluation import Float32Array, mean_states, text_losses
from audioprobe.finetuning.text_corpora import encode_passages
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.prompt import tokenize, write_prompt
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.training.questions import CAPTION_QUESTION
from audioprobe.types import Clip, Decoding

HEARD = ("inside", "outside", "earlier")
"""Portions that are captioned."""

_BATCH = 16
_ITEMS = 12  # sounds and passages whose states are compared
_DIGITS = 6  # of scores that are kept


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvaluator:
    """Measures models.

    Attributes:
        study: how much.
        materials: by what.
        scorer: compares captions with labels.
        progress: called with the progress of each stage.
    """

    study: StudyConfig
    materials: Materials
    scorer: Scorer
    progress: ProgressCallback = ignore_progress

    def whole(self, files: LTUCheckpoint) -> ModelEvaluation:
        """Captions, reading, and the concept probe.

        Raises:
            TrainingError: if a passage has no finite loss: such weights say nothing.
        """
        texts = text_losses(TrainableLTU(files.net), self._passages(files))
        broken = [one.nats for one in texts if not math.isfinite(one.nats)]
        if broken:
            raise TrainingError(
                f"{len(broken)} of {len(texts)} passages have the loss {broken[0]}: the weights "
                "have overflowed. Lower the learning rate."
            )
        model = _model(files)
        return ModelEvaluation(
            {name: self._captioned(model, name) for name in HEARD},
            texts,
            score_yes_no(files, self.materials.probe, self.progress),
        )

    def quizzed(self, files: LTUCheckpoint) -> tuple[QuestionResult, ...]:
        """Answers about invented classes; none where the study has none."""
        quiz = self.materials.quiz
        return () if quiz is None else score_yes_no(files, quiz, self.progress)

    def states(self, files: LTUCheckpoint) -> dict[str, list[Float32Array]]:
        """Of some sounds of `inside` that can be read, and of some passages, layer by layer."""
        heard = list(islice(_spectrograms(self.materials.clips["inside"]), _ITEMS))
        question = torch.tensor(tokenize(files.tokenizer, write_prompt(CAPTION_QUESTION)))
        texts = [torch.tensor(example.ids) for example in self._passages(files)[:_ITEMS]]
        found = {"text": mean_states(TrainableLTU(files.net), texts)}
        if heard:
            tokens = _tokens(files, heard)
            found["sound"] = mean_states(TrainableLTU(files.net), [question] * len(heard), tokens)
        return found

    def _passages(self, files: LTUCheckpoint) -> list[Any]:
        texts = self.materials.measured
        return encode_passages(texts, LTUPrompts(files.tokenizer), max_tokens=self.study.cutoff)

    def _captioned(self, model: LTU, name: str) -> CaptionEvaluation:
        clips = self.materials.clips[name]
        labels = tuple(sorted({label for clip in clips for label in clip.labels or ()}))
        classify = CaptionClassifier(
            model,
            self.scorer,
            question=CAPTION_QUESTION,
            windowing=Windowing(length="crop"),
            decoding=Decoding(max_new_tokens=self.study.quiz.tokens),
        )
        progress = prefixed(self.progress, f"captions, {name}")
        result = classify(clips, labels, progress=progress)
        said = result.captions_by_clip()
        return CaptionEvaluation(
            labels,
            result.clip_ids,
            tuple(said[clip][0].text for clip in result.clip_ids),
            tuple(result.truth[clip] for clip in result.clip_ids),
            tuple(tuple(row) for row in np.round(result.scores, _DIGITS).tolist()),
            tuple((failure.clip_id, failure.message) for failure in result.failures),
        )


def _model(files: LTUCheckpoint) -> LTU:
    return LTU(files.net, files.tokenizer, files.info({}), batch_size=_BATCH)


def _spectrograms(clips: Sequence[Clip]) -> Iterator[Tensor]:
    for clip in clips:
        with suppress(AudioReadError):  # counted among the captions
            yield FILTERBANK.of(read_waveform(clip))


@torch.inference_mode()
def _tokens(files: LTUCheckpoint, spectrograms: Sequence[Tensor]) -> Tensor:
    """Audio tokens of sounds, shape (n_sounds, n_tokens, hidden)."""
    weight = files.net.prefix.projection.weight
    return torch.cat([files.net.prefix(one.to(weight)[None]) for one in spectrograms])
