"""Alignment of audio tokens with words: training of the projection without the language model.

Audio tokens have the same space as the word embeddings of the language model. After this stage, the
tokens of a crow are similar to the embedding of the word "crow". It takes a small part of the
time of a stage with the language model, which then learns from far fewer examples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.building import output_layers
from audioprobe.models.ltu.audio_prefix import AudioPrefix
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.feature_cache import FeatureCache, epoch_rows
from audioprobe.training.trainable import set_trainable
from audioprobe.training.trainer import History, train

_INITIAL = 0.1  # factor of the initial weights, so that learned directions outweigh random ones
_LOG_SCALE = 3.0  # initial logarithm of the factor of the cosine similarities (20)
_NORM_WEIGHT = 0.01  # weight of the loss that keeps tokens as long as word embeddings


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentStage:
    """Settings of the alignment of audio tokens with words.

    Attributes:
        arguments: steps, learning rate and other settings.
        batch_size: number of clips with a single source per step and process.
        noise: standard deviation of noise that is added to the encoder's features, relative to the
            standard deviation of the features; at least 0.
    """

    arguments: TrainingArguments
    batch_size: int = 128
    noise: float = 0.05

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.noise < 0:
            raise InvalidInputError(
                "alignment: expected a batch_size of at least 1 and a noise of at least 0, got "
                f"{self.batch_size} and {self.noise}."
            )


class AlignmentBatch(NamedTuple):
    """Clips with a single source.

    Attributes:
        features: inputs of the audio encoder, shape (n_clips, ...).
        labels: index of the label of each clip, shape (n_clips,).
    """

    features: Tensor
    labels: Tensor


class WordAlignment(nn.Module):
    """Loss of the similarity between audio tokens and the names of labels.

    The loss is the cross-entropy of the labels, in nats. The logit of a label is the cosine
    similarity of a token with the label's name, averaged over the tokens of the clip, times a
    trained factor. Before, the mean of all word embeddings is subtracted, which is
    much longer than the differences between words. A second, small loss keeps the length of the
    tokens similar to that of word embeddings. If layers of the language model read the tokens, the
    loss compares what they add to the residual stream instead of the tokens.

    Args:
        prefix: audio prefix, whose projection is trained.
        names: embedding of the name of each label, shape (n_labels, hidden).
        embeddings: all word embeddings of the language model, shape (n_vocabulary, hidden).
    """

    centre: Tensor
    names: Tensor

    def __init__(self, prefix: AudioPrefix, names: Tensor, embeddings: Tensor) -> None:
        super().__init__()
        self.prefix = prefix
        self.log_scale = nn.Parameter(torch.tensor(_LOG_SCALE))
        centre = embeddings.mean(dim=0)
        self._length = float(embeddings.norm(dim=1).mean())
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("names", functional.normalize(names - centre, dim=1), persistent=False)

    def similarities(self, tokens: Tensor) -> Tensor:
        """Return the mean cosine similarity of the tokens of each clip with each name.

        Args:
            tokens: audio tokens, shape (n_clips, n_tokens, hidden).

        Returns:
            Shape (n_clips, n_labels), in [-1, 1].
        """
        by_token = functional.normalize(tokens - self.centre, dim=2) @ self.names.T
        similarities: Tensor = by_token.mean(dim=1)
        return similarities

    def forward(self, batch: AlignmentBatch) -> Tensor:
        """Return the loss, a scalar."""
        tokens: Tensor = self.prefix(batch.features)
        if self.prefix.reader is not None:
            tokens = self.prefix.reader.written(tokens)
        logits = self.similarities(tokens) * self.log_scale.exp()
        label_loss = functional.cross_entropy(logits, batch.labels)
        length_loss: Tensor = (tokens.norm(dim=2) - self._length).square().mean()
        return label_loss + _NORM_WEIGHT * length_loss


def train_alignment(
    checkpoint: LTUCheckpoint,
    cache: FeatureCache,
    labels: tuple[str, ...],
    stage: AlignmentStage,
    folder: str | Path,
    *,
    progress: ProgressCallback = ignore_progress,
) -> History:
    """Align the audio tokens of a model with the names of labels, or resume the alignment.

    Args:
        checkpoint: untrained model; its projection is changed in place.
        cache: features and labels of the training clips.
        labels: names of the labels, in the order of `cache.labels`.
        stage: settings.
        folder: folder that only this stage uses.
        progress: called after every step.

    Returns:
        One entry for each step.

    Raises:
        InvalidInputError: if no clip has a single label, or for the reasons of
            `training.trainer.train`.
        TrainingError: for the reasons of `training.trainer.train`.
    """
    rows = torch.nonzero(cache.labels.sum(dim=1) == 1)[:, 0]
    if not len(rows):
        raise InvalidInputError(
            "alignment: expected clips with a single label, got none. Raise bare_share of the "
            "scenes, or remove the alignment."
        )
    model, seed = TrainableLTU(checkpoint.net), stage.arguments.seed
    set_trainable(model, "projector")
    objective = word_alignment(checkpoint, labels)
    with torch.no_grad():
        for layer in output_layers(checkpoint.net.prefix.projection):
            layer.weight.mul_(_INITIAL)

    def batch_at(step: int, process: int, n_processes: int) -> AlignmentBatch:
        number = step * n_processes + process
        chosen = rows[epoch_rows(len(rows), stage.batch_size, number, seed)]
        features = cache.features(chosen)
        generator = torch.Generator().manual_seed(seed * 7_919 + number)
        noise = torch.randn(features.shape, generator=generator) * features.std() * stage.noise
        return AlignmentBatch(features + noise, cache.labels[chosen].int().argmax(dim=1))

    return train(objective, batch_at, stage.arguments, folder, progress=progress)


def word_alignment(checkpoint: LTUCheckpoint, labels: tuple[str, ...]) -> WordAlignment:
    """Return the alignment loss of a model; a name is the mean embedding of its tokens."""
    prompts = LTUPrompts(checkpoint.tokenizer)
    embedding: Any = checkpoint.net.llama.get_input_embeddings()
    embeddings = embedding.weight.detach().float()
    names = [
        embeddings[torch.tensor(prompts.continuation_ids(f" {label}"))].mean(dim=0)
        for label in labels
    ]
    return WordAlignment(checkpoint.net.prefix, torch.stack(names), embeddings)
