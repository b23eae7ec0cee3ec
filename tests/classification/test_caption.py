"""Caption classifier: scores, failures, independence of batches, provenance and rescoring."""

import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scripted import LevelTagger, ScriptedModel, sound

from audioprobe import CaptionClassifier, Windowing
from audioprobe.errors import (
    ContractError,
    InvalidInputError,
    RemoteError,
    UnsupportedInputError,
    WeightsError,
)
from audioprobe.models.tag_captioner import TagCaptioner
from audioprobe.progress import ProgressEvent
from audioprobe.protocols import LanguageModel
from audioprobe.results import ClassificationResult
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.types import Clip, Decoding, Example, FloatArray, Prompt, Response, Waveform

LABELS = ["crow", "rain", "dog"]
WORDS = {0.1: "a crow calls", 0.2: "rain falls", 0.3: "a dog and a crow", 0.4: "nothing much"}


def level(prompt: Prompt) -> float:
    assert prompt.audio is not None
    return round(float(prompt.audio.samples[0]), 3)


def describe(prompt: Prompt) -> Response:
    return Response(WORDS[level(prompt)])


def clips(*levels: float) -> list[Clip]:
    return [
        Clip(id=f"{n}", waveform=sound(value), labels=("crow",) if value == 0.1 else ())
        for n, value in enumerate(levels)
    ]


def classify(model: LanguageModel, *levels: float, **options: Any) -> ClassificationResult:
    return CaptionClassifier(model, KeywordScorer(), **options)(clips(*levels), LABELS)


def test_captions_become_label_scores() -> None:
    result = classify(ScriptedModel(describe), 0.1, 0.2, 0.3)
    np.testing.assert_array_equal(result.scores, [[1, 0, 0], [0, 1, 0], [1, 0, 1]])
    assert [caption.text for caption in result.captions] == list(WORDS.values())[:3]
    assert result.clip_ids == ("0", "1", "2")
    assert result.label_scores.best(2)[2] == (("crow", 1.0), ("dog", 1.0))


@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.sampled_from(list(WORDS)), min_size=1, max_size=12),
    bad=st.sets(st.sampled_from(list(WORDS))),
    batch_size=st.integers(1, 5),
)
def test_failing_clips_are_listed_and_others_scored_for_any_batch_size(
    levels: list[float], bad: set[float], batch_size: int
) -> None:
    def picky(prompt: Prompt) -> Response:
        if level(prompt) in bad:
            raise UnsupportedInputError(f"cannot take {level(prompt)}")
        return describe(prompt)

    result = classify(ScriptedModel(picky, batch_size), *levels)
    good = [str(n) for n, value in enumerate(levels) if value not in bad]
    assert list(result.clip_ids) == good
    assert [f.clip_id for f in result.failures] == [
        str(n) for n, v in enumerate(levels) if v in bad
    ]
    alone = (
        classify(ScriptedModel(describe), *(v for v in levels if v not in bad)) if good else None
    )
    if alone is not None:
        np.testing.assert_array_equal(result.scores, alone.scores)
    assert all(f.stage == "caption" and "cannot take" in f.message for f in result.failures)


def test_unreadable_files_are_listed_and_other_clips_scored(tmp_path: Path) -> None:
    good, bad, missing = (tmp_path / name for name in ("good.wav", "bad.wav", "missing.wav"))
    soundfile.write(good, sound(0.1).samples, 8000, subtype="FLOAT")
    bad.write_text("not sound")
    classifier = CaptionClassifier(ScriptedModel(describe, batch_size=2), KeywordScorer())
    result = classifier([bad, good, missing], LABELS)
    assert result.clip_ids == (good.as_posix(),)
    assert [(f.clip_id, f.stage, f.error) for f in result.failures] == [
        (bad.as_posix(), "read", "AudioReadError"),
        (missing.as_posix(), "read", "AudioReadError"),
    ]
    assert result.counts == {"clips": 3, "scored": 1, "failed": 2, "unrecognised": 0}
    assert "2 failed" in str(result)


def test_empty_answer_is_a_failure() -> None:
    result = classify(ScriptedModel(lambda p: Response(" \n")), 0.1)
    assert result.scores.shape == (0, 3)
    assert [f.error for f in result.failures] == ["EmptyCaptionError"]


def test_truncated_captions_are_counted_in_the_summary() -> None:
    result = classify(ScriptedModel(lambda p: Response("a crow and a", finish="length")), 0.1)
    assert result.captions[0].finish == "length"
    assert "1 of 1 captions cut off by the token limit" in result.summary()


def test_windows_are_captioned_and_pooled() -> None:
    long = Waveform(np.repeat([0.1, 0.2], 800).astype(np.float32), 8000)
    for pooling, expected in (("max", [1, 1, 0]), ("mean", [0.5, 0.5, 0])):
        reading = Windowing(seconds=0.1, pooling=pooling)  # type: ignore[arg-type]
        classifier = CaptionClassifier(ScriptedModel(describe), KeywordScorer(), windowing=reading)
        result = classifier(long, LABELS)
        np.testing.assert_array_equal(result.scores, [expected])
        assert [caption.start for caption in result.captions] == [0.0, 0.1]
        assert f"2 windows pooled by {pooling}" in result.summary()
        assert result.provenance.options["pooling"] == pooling


def test_failing_window_fails_its_clip() -> None:
    def picky(prompt: Prompt) -> Response:
        if level(prompt) == 0.2:
            raise InvalidInputError("no")
        return describe(prompt)

    long = Waveform(np.repeat([0.1, 0.2, 0.1], 800).astype(np.float32), 8000)
    classifier = CaptionClassifier(
        ScriptedModel(picky, 2), KeywordScorer(), windowing=Windowing(seconds=0.1)
    )
    result = classifier([long, sound(0.1)], LABELS)
    assert result.clip_ids == ("waveform-2",)
    assert len(result.captions) == 1


def test_final_remote_error_ends_requests_and_keeps_finished_clips() -> None:
    def runs_dry(prompt: Prompt) -> Response:
        if level(prompt) == 0.3:
            raise RemoteError("out of credit", status=429, final=True)
        return describe(prompt)

    model = ScriptedModel(runs_dry, batch_size=1)
    result = classify(model, 0.1, 0.3, 0.1, 0.1, 0.1)
    assert result.clip_ids == ("0",)
    assert [f.message for f in result.failures] == ["out of credit"] * 4
    assert model.n_asked == 3  # the first prompt, then the rejected prompt twice


def five_windows() -> Clip:
    return Clip(id="long", waveform=Waveform(np.full(4000, 0.1, np.float32), 8000))


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_partly_captioned_clip_is_not_scored(
    batch_size: int,
) -> None:
    model = ScriptedModel(describe, batch_size)
    n_prompts = 0

    def two_answers(prompt: Prompt) -> Response:
        nonlocal n_prompts
        n_prompts += 1
        if n_prompts > 2:
            raise RemoteError("no more money", final=True)
        return describe(prompt)

    model._answer = two_answers
    classifier = CaptionClassifier(model, KeywordScorer(), windowing=Windowing(seconds=0.1))
    result = classifier([five_windows(), sound(0.2)], LABELS)
    assert result.clip_ids == ()
    assert [f.clip_id for f in result.failures] == ["long", "waveform-2"]


class Single(ScriptedModel):
    """Model that rejects batches and answers single prompts."""

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
        for batch in super()._batches(prompts):
            if len(batch) > 1:
                raise RemoteError("413: too large", status=413)
            yield batch


def test_too_large_batches_are_retried_one_by_one() -> None:
    classifier = CaptionClassifier(
        Single(describe, batch_size=2), KeywordScorer(), windowing=Windowing(seconds=0.1)
    )
    result = classifier([five_windows(), sound(0.2)], LABELS)
    assert result.clip_ids == ("long", "waveform-2")
    assert len(result.captions) == 6


def test_data_digest_does_not_depend_on_the_batch_size() -> None:
    def picky(prompt: Prompt) -> Response:
        if level(prompt) == 0.3:
            raise UnsupportedInputError("no")
        return describe(prompt)

    hashes = {
        classify(ScriptedModel(picky, batch_size), 0.1, 0.3, 0.2).provenance.data
        for batch_size in (1, 2, 16)
    }
    assert len(hashes) == 1


def test_remaining_windows_of_a_failed_clip_are_skipped() -> None:
    def fails(prompt: Prompt) -> Response:
        raise InvalidInputError("no")

    model = ScriptedModel(fails)
    CaptionClassifier(model, KeywordScorer(), windowing=Windowing(seconds=0.1))(
        five_windows(), LABELS
    )
    assert model.n_asked == 2  # once in the stream, and once alone


def test_temporary_remote_error_fails_one_clip() -> None:
    def flaky(prompt: Prompt) -> Response:
        if level(prompt) == 0.3:
            raise RemoteError("busy", status=503, retryable=True)
        return describe(prompt)

    result = classify(ScriptedModel(flaky, batch_size=2), 0.1, 0.3, 0.2)
    assert result.clip_ids == ("0", "2")


def test_error_that_no_clip_causes_ends_the_run() -> None:
    def broken(prompt: Prompt) -> Response:
        raise WeightsError("no weights")

    with pytest.raises(WeightsError):
        classify(ScriptedModel(broken), 0.1)


class Lossy(ScriptedModel):
    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return (r for n, r in enumerate(super(Lossy, self).generate(prompts)) if n != 0)


class StopsEarly(ScriptedModel):
    """Model that ends after the first prompt."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return super().generate(islice(prompts, 1))


class SingleOnly(ScriptedModel):
    """Model that fails for batches, and returns no answer for single prompts."""

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        if len(list(islice(prompts, 2))) > 1:
            raise UnsupportedInputError("one at a time")
        return iter(())


class TooMany(ScriptedModel):
    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        for response in super().generate(prompts):
            yield from (response, response)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Lossy, "before it had answered"),
        (StopsEarly, "before it had answered"),
        (SingleOnly, "0 responses"),
        (TooMany, "more answers than prompts"),
    ],
)
def test_wrong_number_of_answers_is_a_contract_error(
    model: type[ScriptedModel], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        classify(model(describe), 0.1, 0.2)


class FailingScorer(KeywordScorer):
    """Scorer that accepts labels and rejects captions, like a service without remaining budget."""

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        if captions:
            raise RemoteError("no more money")
        return super().score(captions, labels)


def test_captions_are_kept_if_scoring_fails_and_can_be_rescored() -> None:
    failed = CaptionClassifier(ScriptedModel(describe), FailingScorer())(clips(0.1, 0.2), LABELS)
    assert [f.stage for f in failed.failures] == ["score", "score"]
    assert len(failed.captions) == 2
    model = ScriptedModel(describe)
    rescored = CaptionClassifier(model, KeywordScorer()).rescore(failed)
    np.testing.assert_array_equal(rescored.scores, [[1, 0, 0], [0, 1, 0]])
    assert not rescored.failures
    assert model.n_asked == 0


class InvalidScorer(KeywordScorer):
    """Scorer that returns NaN for one caption, or too few rows."""

    def __init__(self, *, short: bool = False) -> None:
        super().__init__()
        self._short = short

    def score(self, captions: Sequence[str], labels: Sequence[str]) -> FloatArray:
        scores = super().score(captions, labels)
        if self._short:
            return scores[:1]
        scores[["rain" in caption for caption in captions]] = np.nan
        return scores


def test_caption_without_scores_fails_only_its_clip() -> None:
    result = CaptionClassifier(ScriptedModel(describe), InvalidScorer())(
        clips(0.1, 0.2, 0.3), LABELS
    )
    assert result.clip_ids == ("0", "2")
    assert [(f.clip_id, f.stage, f.error) for f in result.failures] == [
        ("1", "score", "ContractError")
    ]
    assert len(result.captions) == 3


def test_wrong_number_of_scores_keeps_the_captions() -> None:
    result = CaptionClassifier(ScriptedModel(describe), InvalidScorer(short=True))(
        clips(0.1, 0.2), LABELS
    )
    assert len(result.captions) == len(result.failures) + len(result.clip_ids) == 2


def test_invalid_labels_are_rejected_by_rescore() -> None:
    classifier = CaptionClassifier(ScriptedModel(describe), KeywordScorer())
    result = classifier(clips(0.1), LABELS)
    for labels in ("crow", [], ["crow", "crow"]):
        with pytest.raises(InvalidInputError):
            classifier.rescore(result, labels)


def test_stored_result_can_be_rescored() -> None:
    classifier = CaptionClassifier(ScriptedModel(describe), KeywordScorer())
    result = classifier(clips(0.1, 0.2, 0.3), LABELS)
    again = classifier.rescore(type(result).from_json(result.to_json()))
    np.testing.assert_array_equal(again.scores, result.scores)
    assert classifier.rescore(result, labels=["nothing"]).labels == ("nothing",)


def test_invalid_labels_are_rejected_before_captioning() -> None:
    model = ScriptedModel(describe)
    classifier = CaptionClassifier(model, KeywordScorer())
    for labels in ([], [""], ["crow", "crow"], "crow"):
        with pytest.raises(InvalidInputError):
            classifier(clips(0.1), labels)
    assert model.n_asked == 0


def test_ten_thousand_labels_are_scored() -> None:
    labels = [f"thing {n}" for n in range(9_999)] + ["crow"]
    result = CaptionClassifier(ScriptedModel(describe), KeywordScorer())(clips(0.1), labels)
    assert result.label_scores.best(1) == ((("crow", 1.0),),)


def test_provenance_has_data_digest_question_seed_and_components() -> None:
    first, same = (classify(ScriptedModel(describe), 0.1, 0.2).provenance for _ in range(2))
    assert first == same
    assert set(first.components) == {"model", "scorer"}
    assert {"python", "audioprobe", "numpy", "soxr"} <= set(first.versions)
    assert classify(ScriptedModel(describe), 0.1, 0.3).provenance.data != first.data
    other = classify(ScriptedModel(describe), 0.1, question="What?", decoding=Decoding(seed=7))
    assert other.provenance.options["question"] == "What?"
    assert other.provenance.seed == 7


def test_labels_of_the_clips_are_evaluated() -> None:
    evaluation = classify(ScriptedModel(describe), 0.1, 0.2).evaluate()
    assert evaluation.labels[0].auc.value == 1.0
    assert evaluation.labels[1].auc.value is None  # no clip is labelled "rain"
    assert evaluation.auc.n_undefined == 2


def test_progress_counts_up_to_the_number_of_clips() -> None:
    seen: list[ProgressEvent] = []
    classifier = CaptionClassifier(ScriptedModel(describe, 2), KeywordScorer())
    classifier(clips(0.1, 0.2, 0.3), LABELS, progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].n_failed) == (3, 3, 0)
    done = [event.done for event in seen]
    assert done == sorted(done)


def peak_memory(path: Path, n_clips: int) -> int:
    """Return the peak memory in bytes for `n_clips` clips of one file."""
    listed = [Clip(id=str(n), path=path) for n in range(n_clips)]
    classifier = CaptionClassifier(ScriptedModel(describe, 4), KeywordScorer())
    tracemalloc.start()
    classifier(listed, LABELS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_audio(tmp_path: Path) -> None:
    path = tmp_path / "second.wav"
    soundfile.write(path, np.full(16_000, 0.1, "f4"), 16_000, subtype="FLOAT")  # 64,000 bytes
    peak_memory(path, 10)  # imports and caches
    few, many = peak_memory(path, 50), peak_memory(path, 550)
    assert many - few < 500 * 4096


def test_tagger_captions_files(tmp_path: Path) -> None:
    for name, value in (("loud", 0.9), ("soft", 0.05)):
        soundfile.write(tmp_path / f"{name}.flac", sound(value, 1.0).samples, 8000)
    result = CaptionClassifier(TagCaptioner(LevelTagger()), KeywordScorer())(tmp_path, LABELS)
    assert [caption.text for caption in result.captions] == [
        "The sound of a crow, possibly rain or music.",
        "The sound of music.",
    ]


def test_examples_are_in_every_prompt_and_in_the_provenance() -> None:
    shown = [Example("What?", "A crow."), Example("What?", "Rain.", audio=sound(0.2))]

    def tell(prompt: Prompt) -> Response:
        return Response(" ".join(example.answer for example in prompt.examples))

    result = classify(ScriptedModel(tell), 0.4, 0.4, examples=shown)
    assert {caption.text for caption in result.captions} == {"A crow. Rain."}
    recorded = result.provenance.options["examples"]
    assert recorded == (
        "What? -> A crow. | no sound",
        f"What? -> Rain. | {sound(0.2).digest()}",
    )
    assert "examples" not in classify(ScriptedModel(describe), 0.1).provenance.options
    copy = ClassificationResult.from_json(result.to_json())
    assert copy.provenance.options["examples"] == recorded


class SeededModel(ScriptedModel):
    """A model whose caption depends on the seed and the sound; every third one is empty."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self.texts = texts

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        seed = 0 if decoding is None else decoding.seed
        for prompt in prompts:
            yield Response(self.texts[(seed + round(10 * level(prompt))) % len(self.texts)])


SAMPLES = ("a crow", "rain", "a dog")


def test_scores_of_several_samples_are_their_mean_per_window() -> None:
    result = classify(SeededModel(SAMPLES), 0.1, 0.2, samples=2)
    # The seeds 0 and 1 give the texts 1 and 2 for the first clip, 2 and 0 for the second.
    np.testing.assert_array_equal(result.scores, [[0, 0.5, 0.5], [0.5, 0, 0.5]])
    assert [(c.clip_id, c.sample, c.text) for c in result.captions] == [
        ("0", 0, "rain"),
        ("0", 1, "a dog"),
        ("1", 0, "a dog"),
        ("1", 1, "a crow"),
    ]
    assert result.caption_data().columns["sample"] == [0, 1, 0, 1]
    assert result.provenance.options["samples"] == 2
    assert result.provenance.options["decoding.temperature"] == 1.0
    again = CaptionClassifier(SeededModel(SAMPLES), KeywordScorer(), samples=2).rescore(result)
    np.testing.assert_array_equal(again.scores, result.scores)


def test_samples_are_averaged_before_windows_are_pooled() -> None:
    long = Clip(id="long", waveform=sound(0.1, seconds=15), labels=())
    model = SeededModel(SAMPLES)
    result = CaptionClassifier(model, KeywordScorer(), samples=2)([long], LABELS)
    assert len(result.captions) == 4  # two windows
    np.testing.assert_array_equal(result.scores, [[0, 0.5, 0.5]])


def test_one_empty_sample_fails_the_clip_and_greedy_samples_are_refused() -> None:
    result = classify(SeededModel(("a crow", "", "rain")), 0.1, 0.3, samples=2)
    assert result.clip_ids == ()
    assert {f.error for f in result.failures} == {"EmptyCaptionError"}
    whole = classify(SeededModel(("a crow", "", "rain")), 0.1, 0.2, samples=1)
    assert whole.clip_ids == ("1",)
    for options in ({"samples": 0}, {"samples": 2, "decoding": Decoding()}):
        with pytest.raises(InvalidInputError):
            classify(SeededModel(SAMPLES), 0.1, **options)
