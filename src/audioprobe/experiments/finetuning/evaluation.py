"""Evaluation before and after fine-tuning: captions, texts, questions, weights and states."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import TrainingError
from audioprobe.experiments.finetuning.build import Materials
from audioprobe.experiments.finetuning.config import EVALUATION_SETS, StudyConfig
from audioprobe.experiments.finetuning.storage import Measurement
from audioprobe.experiments.finetuning.yes_no import (
    STORED_DIGITS,
    readable_features,
    score_yes_no,
)
from audioprobe.finetuning.text_corpora import encode_passages, evaluation_mode, text_losses
from audioprobe.metrics.similarity import linear_cka
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.training.examples import CAPTION_QUESTION, TrainingExample
from audioprobe.training.trainable import GROUPS, TrainableModel
from audioprobe.types import Decoding

Float32Array: TypeAlias = npt.NDArray[np.float32]

_BATCH_SIZE = 16
_N_STATES = 12  # number of clips, and of passages, whose hidden states are compared


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvaluator:
    """Evaluator of models on the evaluation data of a study.

    Attributes:
        study: configuration of the study.
        materials: clips, questions and texts.
        scorer: component that scores captions against labels.
        progress: called with the progress of each stage.
    """

    study: StudyConfig
    materials: Materials
    scorer: Scorer
    progress: ProgressCallback = ignore_progress

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Return the labels of each evaluation set, keyed by the name of its AUC measure."""
        return {
            _auc(name): tuple(
                sorted({x for clip in self.materials.clips[name] for x in clip.labels or ()})
            )
            for name in EVALUATION_SETS
        }

    def evaluate_all(self, model: LTUCheckpoint) -> list[Measurement]:
        """Measure caption scores, text losses, and answers to the questions about concepts.

        Raises:
            TrainingError: if the text loss is not finite.
        """
        losses = text_losses(TrainableLTU(model.net), self._passages(model))
        undefined = [loss.nats for loss in losses if not math.isfinite(loss.nats)]
        if undefined:
            raise TrainingError(
                f"Expected finite text losses, got {undefined[0]} for {len(undefined)} of "
                f"{len(losses)} passages: the weights have overflowed. Lower the learning rate."
            )
        captions = [m for name in EVALUATION_SETS for m in self._captions(model, name)]
        texts = [
            Measurement(
                measure="text loss",
                item=str(number),
                cluster=str(number),
                value=loss.nats,
                reference=float(loss.n_tokens),
            )
            for number, loss in enumerate(losses)
        ]
        return [*captions, *texts, *score_yes_no(model, self.materials.probe, self.progress)]

    def evaluate_novel_classes(self, model: LTUCheckpoint) -> list[Measurement]:
        """Measure the answers to questions about novel classes; [] if the study has none."""
        probe = self.materials.novel_probe
        answers = probe and score_yes_no(model, probe, self.progress, prefix="novel-class ")
        return list(answers or ())

    def hidden_states(self, model: LTUCheckpoint) -> dict[str, list[Float32Array]]:
        """Return mean hidden states per layer for a few texts and clips, keyed by condition."""
        network = TrainableLTU(model.net)
        texts = [torch.tensor(example.ids) for example in self._passages(model)[:_N_STATES]]
        hidden = {"text": mean_states(network, texts)}
        clips = self.materials.clips["in_domain"]
        frontend = load_frontend(model.net.config.audio)
        features = (readable_features(frontend, partial(read_waveform, clip)) for clip in clips)
        readable = list(islice((x for x in features if x is not None), _N_STATES))
        if readable:
            prompts = LTUPrompts(model.tokenizer)
            prompt = torch.tensor(prompts.tokenize(prompts.prompt(CAPTION_QUESTION)))
            device = model.net.prefix.weight.device
            with torch.inference_mode():
                tokens = torch.cat([model.net.prefix(x.to(device)[None]) for x in readable])
            hidden["audio"] = mean_states(network, [prompt] * len(readable), tokens)
        return hidden

    def _passages(self, model: LTUCheckpoint) -> list[TrainingExample]:
        texts = self.materials.evaluation_texts
        return encode_passages(texts, LTUPrompts(model.tokenizer), max_tokens=self.study.max_tokens)

    def _captions(self, model: LTUCheckpoint, name: str) -> Iterator[Measurement]:
        measure, labels = _auc(name), self.labels()[_auc(name)]
        classify = CaptionClassifier(
            LTU(model.net, model.tokenizer, model.info({}), batch_size=_BATCH_SIZE),
            self.scorer,
            question=CAPTION_QUESTION,
            windowing=Windowing(length="crop"),
            decoding=Decoding(max_new_tokens=self.study.evaluation.max_new_tokens),
        )
        clips = self.materials.clips[name]
        result = classify(clips, labels, progress=prefixed(self.progress, f"captions, {name}"))
        captions = result.captions_by_clip()
        scores = np.round(result.scores, STORED_DIGITS).tolist()
        for clip, row in zip(result.clip_ids, scores, strict=True):
            yield Measurement(
                measure=measure,
                item=clip,
                cluster=clip,
                value=tuple(row),
                reference=tuple(float(label in result.truth[clip]) for label in labels),
                text=captions[clip][0].text,
            )
        for failure in result.failures:
            clip, text = failure.clip_id, failure.message
            yield Measurement(measure=measure, item=clip, cluster=clip, value=None, text=text)


def weight_changes(before: Mapping[str, Tensor], model: TrainableModel) -> list[Measurement]:
    """Measure how much the trained weights of each parameter group (`GROUPS`) have changed.

    `value` is the Euclidean norm of the change divided by the norm of the initial weights, or None
    if the initial norm is 0; `reference` is the norm of the change. `before` has copies of the
    initial weights, keyed by parameter name.
    """
    parameters = dict(model.network.named_parameters())
    squares = {group: np.zeros(2) for group in GROUPS}
    for name, initial in before.items():
        start = initial.cpu().double()
        change = parameters[name].detach().cpu().double() - start
        squares[model.group_of(name)] += [float((change**2).sum()), float((start**2).sum())]
    trained = {model.group_of(name) for name in before}
    return [
        Measurement(
            measure=f"weight change: {group}",
            value=math.sqrt(change / norm) if norm else None,
            reference=math.sqrt(change),
        )
        for group, (change, norm) in squares.items()
        if group in trained
    ]


def mean_states(
    model: TrainableModel, ids: Sequence[Tensor], audio_tokens: Tensor | None = None
) -> list[Float32Array]:
    """Return the mean hidden state of each item at every layer, computed in evaluation mode.

    An item is a text, or a clip with a text. Items are computed one by one, so their results do not
    depend on each other.

    Args:
        model: the model; its training mode is restored afterwards.
        ids: token ids of each item, shape (n_tokens,).
        audio_tokens: audio tokens that precede each text, shape (n_items, n_audio, hidden). If
            given, the means are over the audio tokens only.

    Returns:
        n_layers + 1 arrays of shape (n_items, hidden); see `TrainableModel.hidden_states`.
    """
    items: list[list[Tensor]] = []
    n_audio = None if audio_tokens is None else audio_tokens.shape[1]
    with evaluation_mode(model.network), torch.inference_mode():
        for index, item in enumerate(ids):
            tokens = None if audio_tokens is None else audio_tokens[index : index + 1]
            states = model.hidden_states(model.embed(item[None], tokens))
            items.append([state[0, :n_audio].float().mean(dim=0).cpu() for state in states])
    return [torch.stack(layer).numpy() for layer in zip(*items, strict=True)]


def similarities(
    before: Mapping[str, Sequence[npt.ArrayLike]], after: Mapping[str, Sequence[npt.ArrayLike]]
) -> list[Measurement]:
    """Measure how similar the hidden states before and after training are (linear CKA, 0 to 1).

    Each argument has the mean states of each layer, keyed by condition ("text" or "audio"). CKA
    with fewer items than dimensions is biased, so compare runs only on the same items.
    """
    return [
        Measurement(measure=f"similarity: {name}", item=str(n), value=linear_cka(*layer))
        for name, layers in after.items()
        for n, layer in enumerate(zip(before[name], layers, strict=True))
    ]


def _auc(name: str) -> str:
    """Return the name of the AUC measure of an evaluation set, such as "in-domain AUC"."""
    return f"{name.replace('_', '-')} AUC"
