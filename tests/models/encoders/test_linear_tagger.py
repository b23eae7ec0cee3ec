"""The linear tagger: planted directions, agreement with scikit-learn, files, taggers' paths."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.scripted import LevelTagger

from audioprobe import Cascade, Prompt, Scripted, TagCaptioner
from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.transforms import resample
from audioprobe.audio.windowing import read_waveform
from audioprobe.datasets import Recordings
from audioprobe.errors import InvalidInputError, NonFiniteError, WeightsError
from audioprobe.metrics import macro, per_label, roc_auc
from audioprobe.models.encoders.linear_head import (
    LinearHead,
    fit_linear_head,
    held_out_clips,
)
from audioprobe.models.encoders.linear_tagger import LinearTagger
from audioprobe.models.encoders.yamnet import YAMNet
from audioprobe.registry import load
from audioprobe.testing import check_encoder, check_tagger
from audioprobe.types import Waveform

RECORDINGS = Recordings()
CLIPS = RECORDINGS.clips()
LABELS = ("crow", "drum")


def planted(
    n_clips: int = 300, n_frames: int = 8, n_labels: int = 3, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Noise in which each label of a clip adds a direction to one frame.

    Returns:
        Features, shape (n_clips, n_frames, 12), and whether a label is in a frame, shape (n_clips,
        n_frames, n_labels).
    """
    random = np.random.default_rng(seed)
    directions = 6 * np.linalg.qr(np.random.default_rng(7).normal(size=(12, n_labels)))[0].T
    in_frame = np.zeros((n_clips, n_frames, n_labels), dtype=bool)
    clip, label = np.nonzero(random.random((n_clips, n_labels)) < 0.4)
    in_frame[clip, random.integers(n_frames, size=len(clip)), label] = True
    noise = random.normal(size=(n_clips, n_frames, 12)) + np.arange(12)
    return (noise + in_frame @ directions).astype(np.float32), in_frame


def macro_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    value = macro(per_label(roc_auc, targets, scores)).value
    assert value is not None
    return value


def test_labels_of_clips_teach_the_frames_that_contain_the_source() -> None:
    features, in_frame = planted()
    head = fit_linear_head(features, in_frame.any(axis=1), penalty=1e-3)
    others, truth = planted(100, seed=1)
    clip_scores = np.array([head.clip_logits(clip) for clip in others])
    assert macro_auc(truth.any(axis=1), clip_scores) > 0.99
    frame_scores = np.concatenate([head.frame_logits(clip) for clip in others])
    assert macro_auc(truth.reshape(-1, 3), frame_scores) > 0.99
    for label in range(3):
        with_label = [n for n in range(100) if truth[n, :, label].any()]
        loudest = [int(head.frame_logits(others[n])[:, label].argmax()) for n in with_label]
        right = [truth[n, frame, label] for n, frame in zip(with_label, loudest, strict=True)]
        assert np.mean(right) > 0.95


def test_agrees_with_logistic_regression_on_clips_of_one_frame() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 1, 10)) * np.arange(1, 11) + 5
    logits = (features[:, 0] / np.arange(1, 11)) @ random.normal(size=(10, 2))
    present = random.random((400, 2)) < 1 / (1 + np.exp(logits.mean(axis=0) - logits))
    penalty = 0.01
    head = fit_linear_head(features[:300], present[:300], penalty=penalty)
    scaler = StandardScaler().fit(features[:300, 0])
    scores = head.frame_logits(features[300:, 0])
    for n in range(2):
        reference = LogisticRegression(C=1 / (penalty * 300), tol=1e-8)
        reference.fit(scaler.transform(features[:300, 0]), present[:300, n])
        expected = reference.decision_function(scaler.transform(features[300:, 0]))
        np.testing.assert_allclose(scores[:, n], expected, rtol=0.05, atol=0.1)
        auc, expected_auc = (roc_auc(present[300:, n], s) for s in (scores[:, n], expected))
        assert auc == pytest.approx(expected_auc, abs=0.005)


HEAD = LinearHead(
    np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32),
    np.array([0.5, -1, 0], np.float32),
    1e-3,
)


@given(st.integers(1, 9), st.integers(0, 1000))
def test_clip_logit_is_between_mean_and_maximum_and_ignores_order(n: int, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(n, 5))
    frames, clip = HEAD.frame_logits(features), HEAD.clip_logits(features)
    assert (frames.mean(axis=0) <= clip + 1e-9).all()
    assert (clip <= frames.max(axis=0) + 1e-9).all()
    np.testing.assert_allclose(HEAD.clip_logits(features[::-1]), clip, atol=1e-12)
    np.testing.assert_allclose(HEAD.clip_logits(np.tile(features, (4, 1))), clip, atol=1e-12)


def test_fit_is_repeatable_and_accepts_clips_of_different_lengths() -> None:
    features, in_frame = planted(60)
    present = in_frame.any(axis=1)
    first, second = (fit_linear_head(features, present, penalty=0.01) for _ in range(2))
    assert (first.weights == second.weights).all()
    doubled = [clip if n % 2 else np.tile(clip, (2, 1)) for n, clip in enumerate(features)]
    longer = fit_linear_head(doubled, present, penalty=0.01)
    scores = [np.array([h.clip_logits(clip) for clip in features]) for h in (first, longer)]
    np.testing.assert_allclose(scores[1], scores[0], atol=0.3)
    constant = np.concatenate([features, np.full((60, 8, 1), 1e4, np.float32)], axis=2)
    wider = fit_linear_head(constant, present, penalty=0.01)
    np.testing.assert_allclose(wider.clip_logits(constant[0]), scores[0][0], atol=1e-2)


def test_penalty_is_chosen_on_groups_that_are_held_out() -> None:
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(30, 1, 40)), 4, axis=0)
    features = features + 0.01 * random.normal(size=features.shape)
    present = np.repeat(random.random((30, 2)) < 0.5, 4, axis=0)
    groups = [n // 4 for n in range(120)]
    options = (10.0, 1e-4)
    # The labels are random: only by recognising the recording can a head predict them.
    assert fit_linear_head(features, present, penalty=options).penalty == 1e-4
    assert fit_linear_head(features, present, penalty=options, groups=groups).penalty == 10.0


def test_held_out_groups_are_whole_and_a_fifth() -> None:
    groups = [n // 3 for n in range(60)]
    held_out = held_out_clips(60, groups, seed=1)
    assert held_out.sum() == 12
    assert len({groups[n] for n in np.flatnonzero(held_out)}) == 4
    assert (held_out != held_out_clips(60, groups, seed=2)).any()
    assert held_out_clips(2, None, 0).sum() == 1


def test_invalid_arguments_are_refused() -> None:
    features, present = np.ones((4, 2, 3)), np.eye(4, dtype=bool)
    for penalty in (0, -1, [], [1.0, np.nan]):
        with pytest.raises(InvalidInputError, match="penalty must be positive"):
            fit_linear_head(features, present, penalty=penalty)
    for wrong in (features[:3], features[0], [*features[:3], np.ones((2, 4))], features[:, :0]):
        with pytest.raises(InvalidInputError, match="features of 4 clips"):
            fit_linear_head(wrong, present, penalty=1)
    with pytest.raises(NonFiniteError):
        fit_linear_head(features * np.nan, present, penalty=1)
    with pytest.raises(InvalidInputError, match="2 groups"):
        fit_linear_head(features, present, groups=["a"] * 4)


@pytest.fixture(scope="module")
def yamnet() -> YAMNet:
    return YAMNet()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, yamnet: YAMNet) -> Path:
    """A saved tagger of two labels, fitted on the shipped recordings."""
    tagger = LinearTagger.fit(
        list(yamnet.encode(map(read_waveform, CLIPS))),
        [[label in (clip.labels or ()) for label in LABELS] for clip in CLIPS],
        LABELS,
        encoder="yamnet",
        phrases=("a crow", "a drum"),
        penalty=0.01,
        training_clips=CLIPS,
    )
    return tagger.save_pretrained(tmp_path_factory.mktemp("models") / "tagger")


def test_saved_tagger_follows_both_contracts(folder: Path) -> None:
    tagger = load("encoder", f"linear-tagger:{folder}")
    assert isinstance(tagger, LinearTagger)
    check_encoder(tagger)
    check_tagger(tagger)
    assert (tagger.labels, tagger.phrases) == (LABELS, ("a crow", "a drum"))
    assert tagger.hop == pytest.approx(0.48)
    assert tagger.info == LinearTagger.from_pretrained(folder).info


def test_frames_and_clips_agree(folder: Path, yamnet: YAMNet) -> None:
    tagger = LinearTagger.from_pretrained(folder, encoder=yamnet)
    waveforms = [read_waveform(clip) for clip in CLIPS[:4]]
    results = zip(tagger.tag(waveforms), tagger.tag_frames(waveforms), strict=True)
    for (tags, frames), features in zip(results, yamnet.encode(waveforms), strict=True):
        assert frames.shape == (len(features), 2)
        logits = np.log(frames / (1 - frames))
        expected = np.log(np.mean(np.exp(logits), axis=0))
        np.testing.assert_allclose(np.log(tags / (1 - tags)), expected, atol=1e-6)


def test_frames_localise_two_sources(folder: Path) -> None:
    first, second = (
        resample(read_waveform(next(c for c in CLIPS if label in (c.labels or ()))), 16_000)
        for label in LABELS
    )
    both = Waveform(np.concatenate([first.samples, second.samples]), 16_000)
    tagger = LinearTagger.from_pretrained(folder)
    (frames,) = tagger.tag_frames([both])
    crow, drum = frames.argmax(axis=0) * tagger.hop
    assert crow < first.duration
    assert first.duration - 0.96 < drum < both.duration


def test_tagger_is_usable_wherever_taggers_are(folder: Path) -> None:
    crow = next(clip for clip in CLIPS if "crow" in (clip.labels or ()))
    captioner = TagCaptioner(f"linear-tagger:{folder}")
    prompt = Prompt("What is this?", read_waveform(crow))
    assert next(captioner.generate([prompt])).text == "The sound of a crow."
    cascade = Cascade(captioner, Scripted(lambda p: p.text))
    assert "a crow" in next(cascade.generate([prompt])).text
    name = captioner.info.parts["tagger"].name
    assert training_clips(CLIPS, captioner) == {name: tuple(clip.id for clip in CLIPS)}


def test_another_encoder_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match="Expected the encoder 'YAMNet'"):
        LinearTagger.from_pretrained(folder, encoder=LevelTagger())


def test_damaged_card_is_refused(folder: Path, tmp_path: Path) -> None:
    card = (folder / "card.json").read_text()
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    for old, new, match in (
        ('"drum"', '"crow"', "labels that are different"),
        ('"crow",\n    "drum"', '"crow"', "phrase for each of 1 labels"),
        ('"width": 1024', '"width": 1023', "shapes"),
        ('"a drum"', "3", "phrases"),
        ('"hop": 0.48', '"hop": 0', "hop must be positive"),
    ):
        assert old in card
        (tmp_path / "card.json").write_text(card.replace(old, new))
        with pytest.raises(WeightsError, match=match):
            LinearTagger.from_pretrained(tmp_path)


def test_labels_that_cannot_be_learned_are_refused() -> None:
    features = np.random.default_rng(0).normal(size=(4, 1, 2))
    encoder = LevelTagger()

    def fit(targets: npt.ArrayLike, *labels: str, hop: float | None = 1.0) -> LinearTagger:
        return LinearTagger.fit(features, targets, labels, encoder=encoder, penalty=1, hop=hop)

    with pytest.raises(InvalidInputError, match="1 others, such as 'never'"):
        fit([[1, 0], [0, 0], [1, 0], [1, 0]], "rain", "never")
    with pytest.raises(InvalidInputError, match="such as 'always'"):
        fit(np.ones((4, 1)), "always")
    with pytest.raises(InvalidInputError, match="column for each of 2 labels, got 1"):
        fit([[1], [0], [1], [1]], "rain", "wind")
    with pytest.raises(InvalidInputError, match="labels that are different"):
        fit([[1, 0], [0, 1], [1, 0], [1, 0]], "rain", "rain")
    with pytest.raises(InvalidInputError, match="as hop, got None"):
        fit([[1], [0], [1], [1]], "rain", hop=None)
    assert fit([[1], [0], [1], [1]], "rain").hop == 1.0
    with pytest.raises(InvalidInputError, match=r"as hop, got 1.0; the encoder 'YAMNet' states"):
        LinearTagger.fit(
            features, [[1], [0], [1], [1]], ["rain"], encoder=YAMNet(), penalty=1, hop=1.0
        )


def test_untrusted_labels_are_kept_as_text(tmp_path: Path) -> None:
    label = "<b>{rain}\u202e\x1b[31m%s"
    tagger = LinearTagger.fit(
        np.arange(4.0).reshape(4, 1, 1) * [[[1, 2]]],
        [[1], [0], [1], [1]],
        [label],
        encoder=LevelTagger(),
        penalty=1,
        hop=0.5,
    )
    folder = tagger.save_pretrained(tmp_path / "tagger")
    loaded = LinearTagger.from_pretrained(folder, encoder=LevelTagger())
    assert loaded.labels == (label,)
    assert loaded.hop == 0.5
    assert repr(loaded).isprintable()
