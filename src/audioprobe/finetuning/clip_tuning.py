"""Fine-tuning on labelled clips with what a strategy needs, and measures over the steps."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch

from audioprobe.finetuning.captioned_clips import CaptionedClips, captioned_clips
from audioprobe.finetuning.components import PairedQuestionTraining
from audioprobe.finetuning.data import TrainingSampler, question_pairs
from audioprobe.finetuning.strategy import Strategy
from audioprobe.finetuning.text_corpora import (
    encode_passages,
    evaluation_mode,
    mean_text_loss,
    read_texts,
    text_losses,
)
from audioprobe.finetuning.trainer import Measure, finetune
from audioprobe.probing.relations.concept_set import from_concepts
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.results.training_history import TrainingHistory
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import (
    TrainingExample,
    caption_record,
    encode_record,
    labels_record,
)
from audioprobe.training.feature_cache import FeatureExtractor
from audioprobe.training.trainable import PromptTokenizer, TrainableModel
from audioprobe.types import Clip

TEXT_LOSS, VALIDATION_LOSS = "text loss", "validation loss"
"""Names of the measures that are tracked by default."""

_N_PASSAGES = 16  # passages of the text loss
_CLIPS_PER_BATCH = 4


def finetune_on_clips(
    model: TrainableModel,
    tokenizer: PromptTokenizer,
    extractor: FeatureExtractor,
    clips: Sequence[Clip],
    strategy: Strategy,
    *,
    folder: str | Path | None = None,
    validation: Sequence[Clip] = (),
    rehearsal: Sequence[Clip] = (),
    track_every: int = 25,
    measures: Mapping[str, Measure] = MappingProxyType({}),
    progress: ProgressCallback = ignore_progress,
) -> TrainingHistory:
    """Fine-tune a model on clips with labels, and measure it every few steps.

    The text loss (mean loss per token of 16 shipped passages, in nats) shows forgetting; the
    validation loss is that of caption and labels of the validation clips. The passages for
    rehearsal and the questions about concepts are those that ship with audioprobe.

    Args:
        model: model to train; changed in place.
        tokenizer: tokenizer and prompt format of the model.
        extractor: converter from audio to the input of the model's audio encoder.
        clips: training clips with labels.
        strategy: trainable modules, losses and arguments.
        folder: folder of the run, which continues when it is called again; None uses a temporary
            folder.
        validation: clips with labels for the validation loss; without any, it is not tracked.
        rehearsal: clips of the earlier training data, for `Rehearsal` and `EWC`.
        track_every: number of steps between measurements.
        measures: further functions of the model to track, by name.
        progress: called after every step.

    Raises:
        InvalidInputError: as for `finetuning.trainer.finetune`, or if a clip has no labels.
    """
    context = tempfile.TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with context as place:
        home = Path(place)
        prepared = {
            name: captioned_clips(name, given, home / name, extractor, progress=progress)
            for name, given in (
                ("training", clips),
                ("validation", validation),
                ("rehearsal", rehearsal),
            )
            if given or name == "training"
        }
        texts = encode_passages(read_texts("evaluation").passages, tokenizer)
        arguments = replace(strategy.arguments, save_every=track_every)
        result = finetune(
            model,
            _sampler(tokenizer, prepared, strategy),
            replace(strategy, arguments=arguments),
            home / "run",
            validation_texts=texts,
            measures=_default_measures(texts, prepared.get("validation"), tokenizer) | {**measures},
            progress=progress,
        )
        return TrainingHistory(result.history, result.before)


def _sampler(
    tokenizer: PromptTokenizer, clips: Mapping[str, CaptionedClips], strategy: Strategy
) -> TrainingSampler:
    """Return the training data, with the shipped passages and questions about concepts."""
    paired = strategy.get(PairedQuestionTraining)
    return TrainingSampler(
        tokenizer=tokenizer,
        clips=clips["training"],
        rehearsal_clips=clips.get("rehearsal"),
        rehearsal_texts=tuple(encode_passages(read_texts("rehearsal").passages, tokenizer)),
        question_pairs=question_pairs(from_concepts(), 0) if paired else (),
    )


def _default_measures(
    texts: Sequence[TrainingExample], clips: CaptionedClips | None, tokenizer: PromptTokenizer
) -> dict[str, Measure]:
    measures: dict[str, Measure] = {TEXT_LOSS: partial(_text_loss, texts=texts[:_N_PASSAGES])}
    if clips is not None:
        measures[VALIDATION_LOSS] = partial(_clip_loss, clips=clips, tokenizer=tokenizer)
    return measures


def _text_loss(model: TrainableModel, texts: Sequence[TrainingExample]) -> float:
    return mean_text_loss(text_losses(model, texts))


def _clip_loss(model: TrainableModel, clips: CaptionedClips, tokenizer: PromptTokenizer) -> float:
    """Return the mean loss of the captions and labels of all clips, per token in each answer."""
    loss, total = AnswerLoss(model, per="example"), 0.0
    with evaluation_mode(model.network), torch.inference_mode():
        for start in range(0, len(clips), _CLIPS_PER_BATCH):
            rows = range(start, min(start + _CLIPS_PER_BATCH, len(clips)))
            records = [
                record
                for row in rows
                for record in (
                    caption_record(clips.phrases[row], str(row)),
                    labels_record(clips.labels[row], str(row)),
                )
            ]
            examples = [encode_record(record, tokenizer) for record in records]
            audio = {str(row): clips.features(row) for row in rows}
            batch = collate(examples, audio, targets="answer", pad_id=tokenizer.eos_token_id)
            device = next(model.network.parameters()).device
            total += float(loss(tuple(part.to(device) for part in batch))) * len(rows)
    return total / len(clips)
