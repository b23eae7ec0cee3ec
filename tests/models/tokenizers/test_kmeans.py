"""The k-means tokenizer with YAMNet: contract, files, refusal of other encoders, training data."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.scripted import LevelTagger, sound

from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets import Recordings
from audioprobe.errors import InvalidInputError, NonFiniteError, WeightsError
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.models.frozen_encoder import CARD, TENSORS
from audioprobe.models.tokenizers.codes import assign_codes
from audioprobe.models.tokenizers.kmeans import KMeansTokenizer
from audioprobe.protocols import AudioTokenizer
from audioprobe.registry import load
from audioprobe.testing import check_audio_tokenizer
from audioprobe.types import Clip, ComponentInfo, FloatArray, Waveform

CLIPS = Recordings().clips()


@pytest.fixture(scope="module")
def yamnet() -> YAMNet:
    return YAMNet()


@pytest.fixture(scope="module")
def tokenizer(yamnet: YAMNet) -> KMeansTokenizer:
    return KMeansTokenizer.fit(yamnet, CLIPS[:12], 8, n_init=2, seed=1)


def test_contract(tokenizer: KMeansTokenizer) -> None:
    assert isinstance(tokenizer, AudioTokenizer)
    check_audio_tokenizer(tokenizer)


def test_codes_are_those_of_the_features(tokenizer: KMeansTokenizer, yamnet: YAMNet) -> None:
    waveforms = [read_waveform(clip) for clip in CLIPS]
    codes = list(tokenizer.tokenize(waveforms))
    for row, features in zip(codes, yamnet.encode(waveforms), strict=True):
        assert (row == assign_codes(features, tokenizer.centroids)).all()


def test_fit_records_how_and_on_what(tokenizer: KMeansTokenizer, yamnet: YAMNet) -> None:
    features = list(yamnet.encode(map(read_waveform, CLIPS[:12])))
    card, frames = tokenizer.card, np.concatenate(features)
    assert (card.n_codes, card.n_frames, card.seed, card.n_init) == (8, len(frames), 1, 2)
    assert (card.encoder.name, card.encoder.width) == ("YAMNet", 1024)
    assert card.encoder.revision == yamnet.info.revision
    units = frames / np.linalg.norm(frames, axis=1, keepdims=True)
    distances = ((units[:, None] - tokenizer.centroids) ** 2).sum(axis=-1)
    codes = assign_codes(frames, tokenizer.centroids)
    assert card.inertia == pytest.approx(distances[np.arange(len(codes)), codes].sum(), rel=1e-4)
    known = training_clips(CLIPS, tokenizer)
    assert known == {"k-means tokenizer": tuple(clip.id for clip in CLIPS[:12])}


def test_fit_on_features_gives_the_same_codebook(
    tokenizer: KMeansTokenizer, yamnet: YAMNet
) -> None:
    frames = np.concatenate(list(yamnet.encode(map(read_waveform, CLIPS[:12]))))
    again = KMeansTokenizer.fit_features(yamnet, frames, 8, n_init=2, seed=1)
    assert again.info == tokenizer.info
    assert again.training_data is None
    noted = KMeansTokenizer.fit_features(yamnet, frames, 8, n_init=2, training_clips=CLIPS[:3])
    assert noted.training_data is not None
    assert [r.recording for r in noted.training_data.recordings] == [c.id for c in CLIPS[:3]]
    other = KMeansTokenizer.fit_features(yamnet, frames, 8, n_init=2, seed=2)
    assert other.info.revision != tokenizer.info.revision


def test_saved_tokenizer_is_loaded_by_name_with_its_encoder(tmp_path: Path) -> None:
    options = {"hop": 0.96}
    fitted = KMeansTokenizer.fit("yamnet", CLIPS[:6], 4, n_init=1, encoder_options=options)
    folder = fitted.save_pretrained(tmp_path / "codes")
    loaded = load("audio_tokenizer", f"kmeans:{folder}")
    assert isinstance(loaded, KMeansTokenizer)
    assert loaded.info == fitted.info
    assert loaded.info.parts["encoder"].options["hop"] == 0.96
    assert training_clips(CLIPS[:7], loaded) == training_clips(CLIPS[:7], fitted)
    waveform = read_waveform(CLIPS[0])
    assert (next(loaded.tokenize([waveform])) == next(fitted.tokenize([waveform]))).all()
    with pytest.raises(InvalidInputError, match="already exists"):
        fitted.save_pretrained(folder)


def test_encoder_without_a_name_must_be_passed(
    tokenizer: KMeansTokenizer, yamnet: YAMNet, tmp_path: Path
) -> None:
    folder = tokenizer.save_pretrained(tmp_path / "codes")
    with pytest.raises(InvalidInputError, match="pass it as encoder="):
        KMeansTokenizer.from_pretrained(folder)
    assert KMeansTokenizer.from_pretrained(folder, encoder=yamnet).info == tokenizer.info
    with pytest.raises(InvalidInputError, match="where the encoder is created"):
        KMeansTokenizer.fit(yamnet, CLIPS[:2], 2, encoder_options={"hop": 0.96})


class Renamed(YAMNet):
    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "Other", super().info.revision)


class Retrained(YAMNet):
    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "YAMNet", "0123456789abcdef")


@pytest.mark.parametrize("other", [Renamed, Retrained, LevelTagger])
def test_another_encoder_is_refused(
    tokenizer: KMeansTokenizer, other: type[YAMNet], tmp_path: Path
) -> None:
    folder = tokenizer.save_pretrained(tmp_path / "codes")
    with pytest.raises(WeightsError, match="Expected the encoder 'YAMNet' with the revision"):
        KMeansTokenizer.from_pretrained(folder, encoder=other())


class Wider(LevelTagger):
    width = 2

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for features in super().encode(waveforms):
            yield np.tile(features, (1, self.width // 2))


def test_features_of_another_width_or_not_finite_are_refused() -> None:
    encoder = Wider()
    tokenizer = KMeansTokenizer.fit_features(encoder, np.eye(2), 2)
    encoder.width = 4
    with pytest.raises(WeightsError, match=r"\(n_steps, 2\) from the encoder 'levels', .*\(1, 4\)"):
        list(tokenizer.tokenize([sound()]))
    encoder.width = 2
    centroids = np.full((2, 2), np.nan)
    with pytest.raises(WeightsError, match="not finite"):
        KMeansTokenizer(encoder, centroids, tokenizer.card)
    with pytest.raises(NonFiniteError):
        KMeansTokenizer.fit_features(encoder, centroids, 2)


def test_damaged_files_are_refused(
    tokenizer: KMeansTokenizer, yamnet: YAMNet, tmp_path: Path
) -> None:
    folder = tokenizer.save_pretrained(tmp_path / "codes")
    card, tensors = (folder / CARD).read_text(), (folder / TENSORS).read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(WeightsError, match=match):
            KMeansTokenizer.from_pretrained(folder, encoder=yamnet)
        (folder / CARD).write_text(card)
        (folder / TENSORS).write_bytes(tensors)

    (folder / TENSORS).write_bytes(tensors[: len(tensors) // 2])
    refused("could not be read")
    (folder / TENSORS).unlink()
    refused("no such file")
    save_file({"centroids": np.zeros((7, 1024), np.float32)}, folder / TENSORS)
    refused(r"shapes \{'centroids': \(8, 1024\)\}, received \{'centroids': \(7, 1024\)\}")
    save_file({"centroids": np.full((8, 1024), np.inf, np.float32)}, folder / TENSORS)
    refused("not finite")
    (folder / CARD).write_text(card[:100])
    refused("Not valid JSON")
    (folder / CARD).write_text(json.dumps({**json.loads(card), "n_codes": "8"}))
    refused("n_codes")
    with pytest.raises(WeightsError, match="no such folder"):
        KMeansTokenizer.from_pretrained(tmp_path / "missing")


def test_too_few_frames_are_refused(yamnet: YAMNet) -> None:
    with pytest.raises(InvalidInputError, match="Use fewer codes"):
        KMeansTokenizer.fit(yamnet, CLIPS[:1], 1024)
    with pytest.raises(InvalidInputError, match="at least one feature vector"):
        KMeansTokenizer.fit(yamnet, [], 2)


def test_clips_without_files_have_no_training_data() -> None:
    clips = [Clip(id=str(n), waveform=sound(0.1 * n, seconds=n)) for n in range(1, 5)]
    tokenizer = KMeansTokenizer.fit(LevelTagger(), clips, 2, n_init=1)
    assert tokenizer.training_data is None
    check_audio_tokenizer(tokenizer)
