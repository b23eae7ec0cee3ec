"""Training of the audio encoder as a classifier, and augmentation of its spectrograms.

It is the first part of the training of a small LTU, before the encoder is connected to a language
model.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.audio.filterbank import LTU
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.feature_cache import FeatureCache, epoch_rows
from audioprobe.training.trainable import load_trainable_weights
from audioprobe.training.trainer import STATE, History, load_state, train

LabelLossKind = Literal["softmax", "sigmoid"]
"""Loss of the classifier: cross-entropy over all labels, or for each label on its own."""

_LOG_ENERGY_PER_DB = math.log(10) / 10
_PADDING = -LTU.mean / LTU.scale  # normalised value of padding
_TIME_MASK, _MEL_MASK = 192, 32  # widest masks in frames and mels, as for AST (Gong et al., 2021)

_MIX_SHARE = 0.3  # share of clips to which another clip is added
_MIX_LEVEL_DB = (-15.0, 0.0)  # range of the level of the added clip
_LEVEL_DB = (-15.0, 10.0)  # range of the change of level
_TILT_DB = (-10.0, 10.0)  # range of the gain of the highest mel relative to the lowest mel


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStage:
    """Settings of one stage in which the encoder is trained as a classifier.

    An encoder with random weights does not learn from mixtures of sources. Train it first on clips
    with a single source, without augmentation, with the softmax loss.

    Attributes:
        arguments: steps, learning rate and other settings; the order of the clips and the
            augmentation also depend on the seed.
        loss: "softmax" or "sigmoid".
        single_source: whether to train only on clips with one label.
        augment: whether to augment spectrograms; see `augment`.
        visible_share: share of the patches of each spectrogram that the encoder receives, in (0,
            1]; a smaller share is faster.
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
                f"visible_share {self.visible_share} and batch_size {self.batch_size}."
            )


class LabelBatch(NamedTuple):
    """Batch of clips with their labels.

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
    """Audio encoder with a classification head; computes the cross-entropy of labels, in nats.

    Args:
        encoder: audio encoder. The head receives the mean of its output tokens.
        n_labels: number of labels.

    Attributes:
        kind: "softmax" or "sigmoid"; see `LabelLossKind`.
    """

    def __init__(self, encoder: CavMaeEncoder, n_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.kind: LabelLossKind = "sigmoid"
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.config.width), nn.Linear(encoder.config.width, n_labels)
        )

    def logits(self, spectrograms: Tensor, patches: Tensor | None = None) -> Tensor:
        """Return the logits of the labels, shape (n_clips, n_labels)."""
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
    """Return an encoder and a classification head with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LabelLoss(CavMaeEncoder(config), n_labels)


def load_classifier(config: CavMaeConfig, n_labels: int, folder: str | Path) -> LabelLoss:
    """Read the encoder and head from the folder of a finished stage, in evaluation mode.

    Raises:
        WeightsError: if the folder has no saved state, the state is damaged, or its parameters have
            other names or sizes.
    """
    classifier = init_classifier(config, n_labels, seed=0)
    path = Path(folder) / STATE
    if not load_trainable_weights(classifier, load_state(path)["weights"]):
        raise WeightsError(
            f"{path}: expected an encoder of the recipe's sizes and {n_labels} labels, but the "
            "saved sizes differ. Use the recipe with which the encoder was trained."
        )
    return classifier.eval()


def train_encoder(
    classifier: LabelLoss,
    cache: FeatureCache,
    stage: EncoderStage,
    folder: str | Path,
    *,
    progress: ProgressCallback = ignore_progress,
) -> History:
    """Train an encoder and its head in one stage, or resume the stage, as `trainer.train` does.

    Args:
        classifier: encoder and head; changed in place, and in evaluation mode afterwards.
        cache: spectrograms and labels of the training clips.
        stage: settings of the stage.
        folder: folder that only this stage uses.
        progress: called after every step; the note of the event is the loss.

    Returns:
        One entry for each step.

    Raises:
        InvalidInputError: if the stage needs clips with a single label and there are none, or for
            the reasons of `training.trainer.train`.
        TrainingError: for the reasons of `training.trainer.train`.
    """
    config, seed = classifier.encoder.config, stage.arguments.seed
    n_labels = cache.labels.sum(dim=1)
    chosen = torch.nonzero((n_labels == 1) if stage.single_source else (n_labels >= 0))[:, 0]
    if not len(chosen):
        raise InvalidInputError(
            "Expected clips with a single label (single_source is true), but there are none. "
            "Set single_source to false, or raise bare_share of the scenes."
        )
    classifier.kind = stage.loss
    n_patches = config.n_bands * config.n_steps
    n_visible = max(1, round(stage.visible_share * n_patches))

    def batch_at(step: int, process: int, n_processes: int) -> LabelBatch:
        number = step * n_processes + process
        rows = chosen[epoch_rows(len(chosen), stage.batch_size, number, seed)]
        generator = torch.Generator().manual_seed(seed * 7_919 + number)
        spectrograms, labels = cache.features(rows), cache.labels[rows].float()
        if stage.augment:
            spectrograms, labels = augment(spectrograms, labels, generator)
        patches = draw_patches(len(rows), n_patches, n_visible, generator)
        return LabelBatch(spectrograms, labels, patches)

    return train(classifier, batch_at, stage.arguments, folder, progress=progress)


def augment(
    spectrograms: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix, filter and mask spectrograms at random, and return them with their labels.

    A mixture of two clips has the labels of both.

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        labels: shape (n_clips, n_labels), in [0, 1].
        generator: random generator.
    """
    mixed, mixed_labels = _mix(spectrograms, labels, generator)
    return mask_time_and_frequency(_filter(mixed, generator), generator), mixed_labels


def mask_time_and_frequency(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Set a random range of frames and a random range of mel bands to 0, the mean value.

    Source: SpecAugment (Park et al., 2019).

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        generator: random generator for widths and positions.
    """
    n_clips, n_frames, n_mels = spectrograms.shape
    mask = torch.zeros(n_clips, n_frames, n_mels, dtype=torch.bool)
    for size, widest, axis in ((n_frames, _TIME_MASK, 1), (n_mels, _MEL_MASK, 2)):
        width = torch.rand(n_clips, generator=generator) * min(widest, size)
        start = torch.rand(n_clips, generator=generator) * (size - width)
        position = torch.arange(size)
        inside = (position >= start[:, None]) & (position < (start + width)[:, None])
        mask |= inside[:, :, None] if axis == 1 else inside[:, None, :]
    return spectrograms.masked_fill(mask, 0.0)


def draw_patches(
    n_clips: int, n_patches: int, n_visible: int, generator: torch.Generator
) -> Tensor:
    """Draw random patches for each clip; return sorted indices, shape (n_clips, n_visible)."""
    order = torch.rand(n_clips, n_patches, generator=generator).argsort(dim=1)
    return order[:, :n_visible].sort(dim=1).values


def _mix(spectrograms: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix randomly chosen clips with the preceding clip of the batch.

    Returns:
        The spectrograms of all clips, and their labels; a mixture has the labels of both clips.
    """
    n_clips = len(spectrograms)
    chosen = torch.rand(n_clips, generator=generator) < _MIX_SHARE
    level = _uniform(n_clips, _MIX_LEVEL_DB, generator) * _LOG_ENERGY_PER_DB / LTU.scale
    padding = _padding(spectrograms)
    front = spectrograms.masked_fill(padding, -torch.inf)
    added = front.roll(1, 0) + level[:, None, None]
    # The mean that normalisation subtracts is the same in both terms and in the sum.
    sums = torch.logaddexp(front * LTU.scale, added * LTU.scale) / LTU.scale
    sums = torch.where(padding & padding.roll(1, 0), _PADDING, sums)
    mixed = torch.where(chosen[:, None, None], sums, spectrograms)
    both = torch.where(chosen[:, None], labels.maximum(labels.roll(1, 0)), labels)
    return mixed, both


def _filter(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Change the level and the spectral tilt of each spectrogram at random."""
    n_clips, _, n_mels = spectrograms.shape
    level = _uniform(n_clips, _LEVEL_DB, generator)[:, None]
    tilt = _uniform(n_clips, _TILT_DB, generator)[:, None] * torch.linspace(-0.5, 0.5, n_mels)
    change = (level + tilt) * _LOG_ENERGY_PER_DB / LTU.scale
    return torch.where(_padding(spectrograms), spectrograms, spectrograms + change[:, None, :])


def _padding(spectrograms: Tensor) -> Tensor:
    """Return True for each frame that is padding, shape (n_clips, n_frames, 1)."""
    # The cache stores float16, which rounds the value of padding.
    return ((spectrograms - _PADDING).abs() < 1e-3).all(dim=2, keepdim=True)


def _uniform(n: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (bounds[1] - bounds[0]) + bounds[0]
