"""Training of the audio encoder as a classifier, before it is connected to a language model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.small_ltu.spec_augment import augment, draw_patches
from audioprobe.training.checkpointing import load_state, load_trainable_weights
from audioprobe.training.spectrogram_cache import SpectrogramCache, epoch_rows
from audioprobe.training.trainer import STATE, History, TrainingArguments, train

LabelLossKind = Literal["softmax", "sigmoid"]
"""Activation of the loss: one distribution over all labels, or a probability for each label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStage:
    """One stage of the encoder's training.

    An encoder with random weights does not learn from mixtures of sources: train it first on clips
    with a single source, without augmentation, and with the softmax loss.

    Attributes:
        arguments: steps, learning rate and other settings; the seed also determines the order of
            clips and the augmentation.
        loss: "softmax" or "sigmoid".
        single_source: whether to train only on clips with one label.
        augment: whether to augment spectrograms; see `spec_augment`.
        visible_share: share of the patches of a clip that the encoder receives, in (0, 1]; a
            smaller share is faster.
        batch_size: number of clips per step and process.
    """

    arguments: TrainingArguments
    loss: LabelLossKind = "sigmoid"
    single_source: bool = False
    augment: bool = True
    visible_share: float = 1.0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.visible_share <= 1 or self.batch_size < 1:
            raise InvalidInputError(
                "Expected a visible_share in (0, 1] and a batch_size of at least 1, got "
                f"{self.visible_share} and {self.batch_size}."
            )


class LabelBatch(NamedTuple):
    """Clips with their labels.

    Attributes:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        labels: in [0, 1], shape (n_clips, n_labels).
        patches: indices of the patches that the encoder receives, shape (n_clips, n_visible); None
            means all patches.
    """

    spectrograms: Tensor
    labels: Tensor
    patches: Tensor | None = None


class LabelLoss(nn.Module):
    """Encoder and classification head; the loss is the cross-entropy of the labels, in nats.

    Args:
        encoder: audio encoder, which is trained together with the head. The input of the head is
            the mean of the encoder's output tokens.
        n_labels: number of labels.

    Attributes:
        kind: "softmax" or "sigmoid".
    """

    def __init__(self, encoder: CavMaeEncoder, n_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.kind: LabelLossKind = "sigmoid"
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.config.width), nn.Linear(encoder.config.width, n_labels)
        )

    def logits(self, spectrograms: Tensor, patches: Tensor | None = None) -> Tensor:
        """Return logits, shape (n_clips, n_labels)."""
        logits: Tensor = self.head(self.encoder(spectrograms, patches).mean(dim=1))
        return logits

    def forward(self, batch: LabelBatch) -> Tensor:
        """Return the loss, a scalar."""
        logits = self.logits(batch.spectrograms, batch.patches).float()
        if self.kind == "softmax":
            targets = batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp_min(1.0)
            return functional.cross_entropy(logits, targets)
        return functional.binary_cross_entropy_with_logits(logits, batch.labels)


def init_classifier(config: CavMaeConfig, n_labels: int, seed: int) -> LabelLoss:
    """Return an encoder and its head with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LabelLoss(CavMaeEncoder(config), n_labels)


def load_classifier(config: CavMaeConfig, n_labels: int, folder: str | Path) -> LabelLoss:
    """Return the encoder and head that a training run has saved, in evaluation mode.

    Raises:
        WeightsError: if the folder has no saved state, the state is damaged, or its parameters have
            other names or sizes.
    """
    classifier = init_classifier(config, n_labels, seed=0)
    path = Path(folder) / STATE
    if not load_trainable_weights(classifier, load_state(path)["weights"]):
        raise WeightsError(
            f"{path}: the sizes of the saved encoder and head differ from the recipe and its "
            f"{n_labels} labels. Use the recipe with which they were trained."
        )
    return classifier.eval()


def train_encoder(
    classifier: LabelLoss,
    cache: SpectrogramCache,
    stage: EncoderStage,
    folder: str | Path,
    *,
    progress: ProgressCallback = ignore_progress,
) -> History:
    """Train an encoder and its head on cached spectrograms; resume the run in the folder, if any.

    Args:
        classifier: encoder and head; changed in place, and in evaluation mode afterwards.
        cache: spectrograms and labels.
        stage: settings of the stage.
        folder: folder that is used only by this stage.
        progress: called after every step; the note of the event is the loss.

    Returns:
        One entry for each step; see `training.trainer.train`.

    Raises:
        InvalidInputError: for the reasons of `training.trainer.train`, or if the stage needs clips
            with a single label and there are none.
        TrainingError: for the reasons of `training.trainer.train`.
    """
    config, seed = classifier.encoder.config, stage.arguments.seed
    n_labels = cache.labels.sum(dim=1)
    chosen = torch.nonzero((n_labels == 1) if stage.single_source else (n_labels >= 0))[:, 0]
    if not len(chosen):
        raise InvalidInputError(
            "The stage trains only on clips with a single label, but no clip has a single label. "
            "Set single_source to false, or raise bare_share of the scenes."
        )
    classifier.kind = stage.loss
    n_patches = config.n_bands * config.n_steps
    n_visible = max(1, round(stage.visible_share * n_patches))

    def batch_at(step: int, process: int, n_processes: int) -> LabelBatch:
        number = step * n_processes + process
        rows = chosen[epoch_rows(len(chosen), stage.batch_size, number, seed)]
        generator = torch.Generator().manual_seed(seed * 7_919 + number)
        spectrograms, labels = cache.spectrograms(rows), cache.labels[rows].float()
        if stage.augment:
            spectrograms, labels = augment(spectrograms, labels, generator)
        patches = draw_patches(len(rows), n_patches, n_visible, generator)
        return LabelBatch(spectrograms, labels, patches)

    return train(classifier, batch_at, stage.arguments, folder, progress=progress)


@torch.inference_mode()
def label_probabilities(
    classifier: LabelLoss, cache: SpectrogramCache, batch_size: int = 32
) -> Tensor:
    """Return the probability of every label in every clip, shape (n_clips, n_labels)."""
    starts = range(0, len(cache), batch_size)
    batches = (torch.arange(at, min(at + batch_size, len(cache))) for at in starts)
    return torch.cat([classifier.logits(cache.spectrograms(rows)).sigmoid() for rows in batches])
