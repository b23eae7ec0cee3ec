"""Likelihood classifier: measures, priors, failures, provenance and storage."""

import copy
import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltu import character_tokenizer, tiny_net
from tests.scripted import LevelTagger, ScriptedModel, content, sound

from audioprobe import (
    LTU,
    CaptionClassifier,
    ClassificationResult,
    KeywordScorer,
    LikelihoodClassifier,
    Windowing,
)
from audioprobe.classification.likelihood import LABEL_QUESTION
from audioprobe.errors import (
    ContractError,
    InvalidInputError,
    OutOfMemoryError,
    RemoteError,
    UnsupportedInputError,
    WeightsError,
)
from audioprobe.models.tag_captioner import TagCaptioner
from audioprobe.progress import ProgressEvent
from audioprobe.types import Clip, ComponentInfo, LogLikelihood, Prompt, Waveform

LABELS = ["crow", "heavy rain", "dog"]

# Nats by level of the sound, None for text alone: totals, of labels of 1, 2 and 1 tokens.
NATS = {
    0.1: (-1.0, -8.0, -5.0),
    0.2: (-4.0, -6.0, -7.0),
    0.0: (-0.5, -6.0, -6.0),
    None: (-0.25, -9.0, -3.0),
}


def level(prompt: Prompt) -> float | None:
    return None if prompt.audio is None else round(float(prompt.audio.samples[0]), 3)


def nats(prompt: Prompt, answer: str) -> LogLikelihood:
    return LogLikelihood(NATS[level(prompt)][LABELS.index(answer)], len(answer.split()))


def clips(*levels: float) -> list[Clip]:
    return [
        Clip(id=f"{n}", waveform=sound(value), labels=("crow",) if value == 0.1 else ())
        for n, value in enumerate(levels)
    ]


def classify(likelihood: Any, *levels: float, batch: int = 1, **options: Any) -> Any:
    model = ScriptedModel(batch_size=batch, likelihood=likelihood)
    return LikelihoodClassifier(model, **options)(clips(*levels), LABELS)


def test_both_measures_are_reported_and_one_is_selected() -> None:
    result = classify(nats, 0.1, 0.2)
    np.testing.assert_array_equal(result.scores, [[-1, -8, -5], [-4, -6, -7]])
    per_token = result.measures["per_token"].values
    np.testing.assert_array_equal(per_token, [[-1, -4, -5], [-4, -3, -7]])
    assert list(result.measures) == ["total", "per_token"]
    assert [best[0][0] for best in result.label_scores.best()] == ["crow", "crow"]
    other = classify(nats, 0.1, 0.2, rank_by="per_token")
    np.testing.assert_array_equal(other.scores, per_token)
    assert [best[0][0] for best in other.label_scores.best()] == ["crow", "heavy rain"]
    assert content(result.ranked_by("per_token")) == content(other)


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (None, [[-1, -8, -5], [-4, -6, -7]]),
        ("text", [[-0.75, 1, -2], [-3.75, 3, -4]]),
        ("silence", [[-0.5, -2, 1], [-3.5, 0, -1]]),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_prior_is_subtracted(prior: Any, expected: list[list[float]], batch: int) -> None:
    result = classify(nats, 0.1, 0.2, prior=prior, batch=batch)
    np.testing.assert_allclose(result.scores, expected)
    n_tokens = [1, 2, 1]
    np.testing.assert_allclose(result.measures["per_token"].values, np.divide(expected, n_tokens))
    assert result.provenance.options["prior"] == prior


def test_silence_prior_is_computed_once_per_length_and_rate() -> None:
    sizes: list[tuple[float, int, int]] = []

    def remember(prompt: Prompt, answer: str) -> LogLikelihood:
        assert prompt.audio is not None
        if answer == "crow":
            sizes.append(
                (level(prompt) or 0.0, prompt.audio.samples.size, prompt.audio.sample_rate)
            )
        return nats(prompt, answer)

    model = ScriptedModel(likelihood=remember)
    long = Waveform(np.full(2000, 0.1, np.float32), 8000)
    short = Waveform(np.full(500, 0.1, np.float32), 16_000)
    classifier = LikelihoodClassifier(model, prior="silence", windowing=Windowing(seconds=0.1))
    classifier([long, sound(0.2), short], LABELS)
    assert [size for size in sizes if size[0] == 0] == [(0.0, 800, 8000), (0.0, 500, 16_000)]
    assert len(sizes) == 3 + 1 + 1 + 2


def test_prior_is_subtracted_per_window_before_pooling() -> None:
    long = Waveform(np.repeat([0.1, 0.2], 800).astype(np.float32), 8000)
    for pooling, expected in (("max", [-0.75, 3, -2]), ("mean", [-2.25, 2, -3])):
        reading = Windowing(seconds=0.1, pooling=pooling)  # type: ignore[arg-type]
        classifier = LikelihoodClassifier(
            ScriptedModel(likelihood=nats), prior="text", windowing=reading
        )
        result = classifier(long, LABELS)
        np.testing.assert_allclose(result.scores, [expected])
        np.testing.assert_allclose(
            result.measures["per_token"].values, [np.divide(expected, [1, 2, 1])]
        )


@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=10),
    batch=st.integers(1, 4),
    prior=st.sampled_from([None, "text", "silence"]),
)
def test_failing_clips_are_listed_and_others_scored_for_any_batch_size(
    levels: list[float], batch: int, prior: Any
) -> None:
    def picky(prompt: Prompt, answer: str) -> LogLikelihood:
        if level(prompt) == 0.3:
            raise OutOfMemoryError("too much of a good thing")
        return nats(prompt, answer)

    result = classify(picky, *levels, batch=batch, prior=prior)
    assert result.clip_ids == tuple(str(n) for n, v in enumerate(levels) if v != 0.3)
    assert [(f.clip_id, f.stage, f.error) for f in result.failures] == [
        (str(n), "score", "OutOfMemoryError") for n, v in enumerate(levels) if v == 0.3
    ]
    if result.clip_ids:
        alone = classify(picky, *(v for v in levels if v != 0.3), prior=prior)
        np.testing.assert_array_equal(result.scores, alone.scores)


def test_failing_windows_and_unreadable_files_are_listed(
    tmp_path: Path,
) -> None:
    def picky(prompt: Prompt, answer: str) -> LogLikelihood:
        if level(prompt) == 0.3:
            raise UnsupportedInputError("no")
        return nats(prompt, answer)

    long = Waveform(np.repeat([0.1, 0.3, 0.1], 800).astype(np.float32), 8000)
    (tmp_path / "bad.wav").write_text("not sound")
    classifier = LikelihoodClassifier(
        ScriptedModel(batch_size=2, likelihood=picky), windowing=Windowing(seconds=0.1)
    )
    result = classifier([long, tmp_path / "bad.wav", sound(0.1)], LABELS)
    assert result.clip_ids == ("waveform-3",)
    assert [f.stage for f in result.failures] == ["score", "read"]


@pytest.mark.parametrize("total", [-math.inf, math.nan, 0.5])
def test_invalid_log_likelihood_fails_only_its_clip(total: float) -> None:
    def invalid_for_dog(prompt: Prompt, answer: str) -> LogLikelihood:
        broken = level(prompt) == 0.2 and answer == "dog"
        return LogLikelihood(total, 1) if broken else nats(prompt, answer)

    result = classify(invalid_for_dog, 0.1, 0.2, 0.1, batch=2)
    assert result.clip_ids == ("0", "2")
    (failure,) = result.failures
    error = "InvalidInputError" if total > 0 else "NonFiniteError"
    assert (failure.clip_id, failure.stage, failure.error) == ("1", "score", error)


def test_nan_logits_fail_every_clip() -> None:
    net = copy.deepcopy(tiny_net())
    net.llama.lm_head.weight.data[5] = math.nan  # one token, which no label contains
    model = LTU(net, character_tokenizer(), ComponentInfo("language_model", "broken"))
    for classifier in (LikelihoodClassifier(model), CaptionClassifier(model, KeywordScorer())):
        result = classifier(clips(0.1, 0.2), LABELS)
        assert result.clip_ids == ()
        assert [failure.error for failure in result.failures] == ["NonFiniteError"] * 2


def test_clip_whose_silence_prior_fails_is_a_failure() -> None:
    def picky(prompt: Prompt, answer: str) -> LogLikelihood:
        if level(prompt) == 0.0 and prompt.audio is not None and prompt.audio.duration < 0.1:
            raise UnsupportedInputError("too little silence")
        return nats(prompt, answer)

    model = ScriptedModel(likelihood=picky, batch_size=2)
    sounds = [sound(0.1, seconds) for seconds in (0.05, 0.1, 0.05)]
    result = LikelihoodClassifier(model, prior="silence")(sounds, LABELS)
    assert result.clip_ids == ("waveform-2",)
    assert [f.clip_id for f in result.failures] == ["waveform-1", "waveform-3"]
    assert result.failures[0].message == (
        "No prior from silence of 400 samples at 8000 Hz: too little silence"
    )


def test_final_remote_error_keeps_finished_clips() -> None:
    def runs_dry(prompt: Prompt, answer: str) -> LogLikelihood:
        if level(prompt) == 0.3:
            raise RemoteError("out of credit", status=429, final=True)
        return nats(prompt, answer)

    result = classify(runs_dry, 0.1, 0.3, 0.1)
    assert result.clip_ids == ("0",)
    assert [f.message for f in result.failures] == ["out of credit"] * 2


def test_model_that_rejects_text_fails_before_inference() -> None:
    def rejects_text(prompt: Prompt, answer: str) -> LogLikelihood:
        if prompt.audio is None:
            raise UnsupportedInputError("audio required")
        return nats(prompt, answer)

    model = ScriptedModel(likelihood=rejects_text)
    with pytest.raises(UnsupportedInputError, match="audio required"):
        LikelihoodClassifier(model, prior="text")(clips(0.1), LABELS)
    assert model.n_asked == 1


def test_error_that_no_clip_causes_ends_the_run() -> None:
    def broken(prompt: Prompt, answer: str) -> LogLikelihood:
        raise WeightsError("no weights")

    with pytest.raises(WeightsError):
        classify(broken, 0.1)


class Forgetful(ScriptedModel):
    """Model that returns nothing for the last continuation."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return super().log_likelihood(prompts, continuations[:-1])


class Hasty(ScriptedModel):
    """Model that returns no answers."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return iter(())


@pytest.mark.parametrize("prior", [None, "text"])
@pytest.mark.parametrize(
    ("model", "words"), [(Forgetful, "3 LogLikelihood objects"), (Hasty, "before it|0 responses")]
)
def test_wrong_number_of_answers_is_a_contract_error(
    model: type[ScriptedModel], words: str, prior: Any
) -> None:
    with pytest.raises(ContractError, match=words):
        LikelihoodClassifier(model(likelihood=nats), prior=prior)(clips(0.1), LABELS)


def test_question_and_template_are_passed_to_the_model_unchanged() -> None:
    seen: set[tuple[str, str]] = set()

    def remember(prompt: Prompt, answer: str) -> LogLikelihood:
        seen.add((prompt.text, answer))
        return LogLikelihood(-1.0, 1)

    classifier = LikelihoodClassifier(
        ScriptedModel(likelihood=remember), question="What?", template="The sound of {}."
    )
    result = classifier(clips(0.1), ["{}", "{0.__class__}", "50 % rain"])
    assert seen == {
        ("What?", "The sound of {}."),
        ("What?", "The sound of {0.__class__}."),
        ("What?", "The sound of 50 % rain."),
    }
    assert result.provenance.options == {
        "question": "What?",
        "template": "The sound of {}.",
        "prior": None,
        "rank_by": "total",
        "channels": "mean",
        "length": "windows",
        "seconds": 10.0,
        "pooling": "max",
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"template": "the label"}, "exactly once"),
        ({"template": "{} or {}"}, "exactly once"),
        ({"question": " "}, "question must not be empty"),
        ({"prior": "noise"}, "prior must be"),
        ({"rank_by": "mean"}, "rank_by must be"),
    ],
)
def test_invalid_options_are_rejected(options: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        LikelihoodClassifier(ScriptedModel(), **options)


def test_invalid_labels_are_rejected_before_inference() -> None:
    model = ScriptedModel(likelihood=nats)
    for labels in ([], [""], ["crow", "crow"], "crow"):
        with pytest.raises(InvalidInputError):
            LikelihoodClassifier(model, prior="text")(clips(0.1), labels)
    assert model.n_asked == 0


def test_model_without_likelihoods_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="got TagCaptioner"):
        LikelihoodClassifier(TagCaptioner(LevelTagger()))  # type: ignore[arg-type]


def test_result_without_captions_round_trips_and_exports() -> None:
    def picky(prompt: Prompt, answer: str) -> LogLikelihood:
        if level(prompt) == 0.3:
            raise UnsupportedInputError("no")
        return nats(prompt, answer)

    result = classify(picky, 0.1, 0.3, 0.2, prior="silence")
    copy = ClassificationResult.from_json(result.to_json())
    assert copy.to_json() == result.to_json()
    assert copy.measures.keys() == {"total", "per_token"}
    assert result.counts == {"clips": 3, "scored": 2, "failed": 1}
    rows = list(csv.DictReader(io.StringIO(result.to_csv(), newline="")))
    assert list(rows[0]) == [
        "clip",
        *LABELS,
        "crow (per_token)",
        "heavy rain (per_token)",
        "dog (per_token)",
        "failed at",
        "cause",
    ]
    assert [float(rows[0][name]) for name in ("heavy rain", "heavy rain (per_token)")] == [-2, -1]
    assert (rows[2]["clip"], rows[2]["crow (per_token)"], rows[2]["cause"]) == ("1", "", "no")
    assert result.table().header == ("clip", "label 1", "label 2", "label 3")
    assert result.table().rows[0] == ("0", "dog 1.00", "crow -0.50", "heavy rain -2.00")
    assert "2 of 3 clips scored, 1 failed, scores are total" in str(result)
    assert "unrecognised" not in str(result)
    assert result.evaluate().labels[0].auc.value == 1.0


def test_progress_counts_up_to_the_number_of_clips() -> None:
    seen: list[ProgressEvent] = []
    classifier = LikelihoodClassifier(ScriptedModel(batch_size=2, likelihood=nats))
    classifier(clips(0.1, 0.2, 0.1), LABELS, progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].n_failed) == (3, 3, 0)


@pytest.fixture(scope="module")
def ltu() -> LTU:
    info = ComponentInfo("language_model", "tiny LTU")
    return LTU(tiny_net(), character_tokenizer(), info)


@pytest.mark.parametrize("prior", [None, "text", "silence"])
def test_scores_agree_with_the_likelihoods_of_a_real_model(ltu: LTU, prior: Any) -> None:
    random = np.random.default_rng(0)
    sounds = [Waveform(random.uniform(-0.3, 0.3, n).astype("f4"), 16_000) for n in (8000, 16_000)]
    result = LikelihoodClassifier(ltu, prior=prior)(sounds, LABELS)
    for waveform, row in zip(sounds, result.scores, strict=True):
        silence = Waveform(np.zeros_like(waveform.samples), 16_000)
        prompts = [Prompt(LABEL_QUESTION, w) for w in (waveform, None, silence)]
        with_audio, text, silent = (
            np.array([answer.total for answer in answers])
            for answers in ltu.log_likelihood(prompts, LABELS)
        )
        expected = with_audio - {None: 0, "text": text, "silence": silent}[prior]
        np.testing.assert_allclose(row, expected, atol=1e-4)
    assert np.ptp(result.scores, axis=0).max() > 1e-3  # the audio changes the scores


TEXTS = {"crow": -1.0, "a crow": -3.0, "raven": -2.0, "a raven": -2.5, "rain": -4.0, "a rain": -6.0}


def test_texts_of_a_label_add_up_in_total_and_the_best_one_counts_per_token() -> None:
    """With a prior, the same rule applies to the prior."""

    def likelihood(prompt: Prompt, text: str) -> LogLikelihood:
        offset = 0.0 if prompt.audio is None else -1.0
        return LogLikelihood(TEXTS[text] + offset, len(text.split()))

    model = ScriptedModel(likelihood=likelihood)
    options: dict[str, Any] = {"template": ["{}", "a {}"], "synonyms": {"crow": ["raven"]}}
    result = LikelihoodClassifier(model, **options)(clips(0.1), ["crow", "rain"])
    crow = math.log(sum(math.exp(TEXTS[text] - 1) for text in TEXTS if "rain" not in text))
    rain = math.log(math.exp(-5) + math.exp(-7))
    np.testing.assert_allclose(result.scores, [[crow, rain]], atol=1e-12)
    np.testing.assert_allclose(result.measures["per_token"].values, [[-1.75, -3.5]])
    assert result.provenance.options["template"] == ("{}", "a {}")
    relative = LikelihoodClassifier(model, prior="text", **options)(clips(0.1), ["crow", "rain"])
    np.testing.assert_allclose(relative.scores, [[-1, -1]], atol=1e-12)
