"""The encoder learns to classify synthetic sources, and does not from shuffled labels."""

from pathlib import Path

import pytest
import torch

from audioprobe import Synthetic
from audioprobe.metrics import macro, per_label, roc_auc
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.models.ltu.audio_frontend import SpectrogramFrontend
from audioprobe.small_ltu.encoder_training import (
    EncoderStage,
    LabelBatch,
    LabelLoss,
    init_classifier,
    train_encoder,
)
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.feature_cache import FeatureCache

SOURCES = ("owl", "siren", "cricket", "rain")
SMALL = CavMaeConfig(width=32, n_heads=2, n_blocks=1, mlp_width=64)
STAGE = EncoderStage(
    arguments=TrainingArguments(steps=60, learning_rate=1e-2, warmup_steps=10, save_every=30),
    loss="softmax",
    single_source=True,
    augment=False,
    batch_size=16,
)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, FeatureCache]:
    """64 training clips and 32 test clips."""
    folder = tmp_path_factory.mktemp("caches")

    def cached(split: str, n_clips: int) -> FeatureCache:
        scenes = Synthetic(
            n_clips=n_clips, max_sources=1, palette=SOURCES, seconds=8.0, snr_db=(20.0, 40.0)
        )
        clips = scenes.clips(split)
        return FeatureCache(
            clips, scenes.labels, folder / split, SpectrogramFrontend(), source={"split": split}
        )

    return cached("train", 64), cached("test", 32)


def trained_classifier(cache: FeatureCache, folder: Path) -> LabelLoss:
    classifier = init_classifier(SMALL, cache.labels.shape[1], seed=0)
    train_encoder(classifier, cache, STAGE, folder)
    return classifier


def auc(classifier: LabelLoss, cache: FeatureCache) -> float:
    with torch.inference_mode():
        logits = classifier.logits(cache.features(torch.arange(len(cache))))
    value = macro(per_label(roc_auc, cache.labels.numpy(), logits.double().numpy())).value
    assert value is not None
    return value


@pytest.mark.slow  # trains two encoders
def test_encoder_learns_labels_but_not_shuffled_ones(
    caches: tuple[FeatureCache, FeatureCache], tmp_path: Path
) -> None:
    train, test = caches
    assert auc(trained_classifier(train, tmp_path / "true"), test) > 0.8
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    labels, train.labels = train.labels, train.labels[order]
    try:
        shuffled = trained_classifier(train, tmp_path / "shuffled")
    finally:
        train.labels = labels
    assert auc(shuffled, test) < 0.7


def test_label_loss_can_be_minimised() -> None:
    torch.manual_seed(0)
    encoder = CavMaeEncoder(CavMaeConfig(width=32, n_heads=2, n_blocks=1, mlp_width=32))
    classifier = LabelLoss(encoder, 2)
    clips = torch.randn(2, 1024, 128, generator=torch.Generator().manual_seed(1))
    batch = LabelBatch(clips, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3)
    before = float(classifier(batch).detach())
    for _ in range(30):
        optimizer.zero_grad()
        classifier(batch).backward()
        optimizer.step()
    assert float(classifier(batch).detach()) < before / 3
    assert (classifier.logits(clips) > 0).float().equal(batch.labels)
