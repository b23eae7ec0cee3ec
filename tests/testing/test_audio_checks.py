"""The checks of encoders and language models detect each violation of a rule."""

from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.scripted import LevelTagger, ScriptedModel

from audioprobe.errors import ContractError, UnsupportedInputError
from audioprobe.testing import (
    check_audio_tokenizer,
    check_encoder,
    check_language_model,
    check_likelihood_model,
    check_tagger,
)
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    FloatArray,
    IntArray,
    LogLikelihood,
    Prompt,
    Response,
    Waveform,
)


def describe(prompt: Prompt) -> Response:
    rate = prompt.audio.sample_rate if prompt.audio else 0
    return Response(f"{prompt.text} at {rate} Hz")


def refuse_audio(prompt: Prompt) -> Response:
    if prompt.audio is not None:
        raise UnsupportedInputError("text only")
    return Response(prompt.text.upper())


class Encoder:
    """A correct encoder; each subclass violates one rule."""

    info: Any = ComponentInfo("encoder", "levels")

    def features(self, waveform: Waveform) -> FloatArray:
        return np.array([[waveform.samples.std(), waveform.duration]])

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return map(self.features, waveforms)


class Flat(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return super().features(waveform).ravel()


class NotFinite(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return np.full((1, 2), np.nan)


class Widening(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return np.ones((1, waveform.sample_rate // 1000))


class Lists(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return [[1.0]]  # type: ignore[return-value]


class Integers(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return np.ones((1, 2), dtype=int)


class Forgetful(Encoder):
    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return map(self.features, list(waveforms)[1:])


class Backwards(Encoder):
    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return map(self.features, list(waveforms)[::-1])


class ReadsAll(Encoder):
    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return map(self.features, list(waveforms))


class Accumulating(Encoder):
    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        total = 0.0
        for waveform in waveforms:
            total += waveform.duration
            yield self.features(waveform) + total


class Random(Encoder):
    def features(self, waveform: Waveform) -> FloatArray:
        return np.random.default_rng().standard_normal((1, 2))


class WrongKind(Encoder):
    info = ComponentInfo("scorer", "levels")


class NoData(Encoder):
    info: Any = {"name": "levels"}


def test_correct_encoder_passes() -> None:
    check_encoder(Encoder())
    check_encoder(LevelTagger())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Flat, "2 dimensions, got 1"),
        (NotFinite, "encode: finite"),
        (Widening, "widths are equal"),
        (Integers, "floating point"),
        (Forgetful, "one result per item"),
        (Backwards, "alone and in a batch|keeps the order"),
        (ReadsAll, "streams"),
        (Accumulating, "alone and in a batch"),
        (Random, "same result twice"),
        (WrongKind, "kind is 'encoder'"),
        (NoData, "ComponentInfo"),
    ],
)
def test_violation_by_an_encoder_is_detected(broken: type[Encoder], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_encoder(broken())


class Tokenizer:
    """A correct tokenizer: codes of levels; each subclass violates one rule."""

    info: Any = ComponentInfo("audio_tokenizer", "levels")
    n_codes: Any = 8

    def codes(self, waveform: Waveform) -> Any:
        parts = np.array_split(np.abs(waveform.samples), 5)
        return np.array([int(20 * part.max()) for part in parts], dtype=np.int64)

    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        return map(self.codes, waveforms)


class TooFewCodes(Tokenizer):
    n_codes = 2


class NoCodes(Tokenizer):
    n_codes = 0


class Negative(Tokenizer):
    def codes(self, waveform: Waveform) -> Any:
        return -super().codes(waveform)


class FloatCodes(Tokenizer):
    def codes(self, waveform: Waveform) -> Any:
        return super().codes(waveform) * 1.0


class ListOfCodes(Tokenizer):
    def codes(self, waveform: Waveform) -> Any:
        return super().codes(waveform).tolist()


class Matrix(Tokenizer):
    def codes(self, waveform: Waveform) -> Any:
        return super().codes(waveform)[None]


class Empty(Tokenizer):
    def codes(self, waveform: Waveform) -> Any:
        return super().codes(waveform)[:0]


class InBatch(Tokenizer):
    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        return (codes + (n == 1) for n, codes in enumerate(map(self.codes, waveforms)))


class EncoderKind(Tokenizer):
    info = ComponentInfo("encoder", "levels")


class Eager(Tokenizer):
    def tokenize(self, waveforms: Iterable[Waveform]) -> Iterator[IntArray]:
        return map(self.codes, list(waveforms))


def test_correct_tokenizer_passes() -> None:
    check_audio_tokenizer(Tokenizer())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (TooFewCodes, r"codes are in \[0, n_codes\)"),
        (NoCodes, "a positive integer"),
        (Negative, r"codes are in \[0, n_codes\)"),
        (FloatCodes, "int64, got float64"),
        (ListOfCodes, "numpy arrays"),
        (Matrix, r"shape \(n_steps,\)"),
        (Empty, "not empty"),
        (InBatch, "alone and in a batch"),
        (EncoderKind, "kind is 'audio_tokenizer'"),
        (Eager, "streams"),
    ],
)
def test_violation_by_a_tokenizer_is_detected(broken: type[Tokenizer], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_audio_tokenizer(broken())


class Louder(LevelTagger):
    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return (tags * 3 for tags in super(Louder, self).tag(waveforms))


class OnePhrase(LevelTagger):
    phrases = ("a crow",)  # type: ignore[assignment]


class RepeatedLabels(LevelTagger):
    labels = ("Rain", "Rain", "Rain")


class Partial(LevelTagger):
    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return (tags[:2] for tags in super(Partial, self).tag(waveforms))


class Overflowing(LevelTagger):
    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        return (tags * np.nan for tags in super(Overflowing, self).tag(waveforms))


def test_correct_tagger_passes() -> None:
    check_tagger(LevelTagger())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Louder, r"\[0, 1\]"),
        (OnePhrase, "one per label"),
        (RepeatedLabels, "all different"),
        (Partial, "one probability per label"),
        (Overflowing, "tag: finite"),
    ],
)
def test_violation_by_a_tagger_is_detected(broken: type[LevelTagger], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_tagger(broken())


def test_correct_language_models_pass_with_any_batch_size() -> None:
    for batch_size in (1, 3, 64):
        check_language_model(ScriptedModel(describe, batch_size))
        check_likelihood_model(ScriptedModel(describe, batch_size))
        check_language_model(ScriptedModel(refuse_audio, batch_size), with_sound=False)


class SkipsOne(ScriptedModel):
    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return (r for n, r in enumerate(super(SkipsOne, self).generate(prompts)) if n != 1)


class Counting(ScriptedModel):
    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return (Response(f"{n} {p.text}") for n, p in enumerate(prompts))


class Plain(ScriptedModel):
    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        return (prompt.text for prompt in prompts)  # type: ignore[misc]


class Certain(ScriptedModel):
    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return ([LogLikelihood(1.0, 1) for _ in continuations] for _ in prompts)


class Undefined(ScriptedModel):
    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return ([LogLikelihood(float("nan"), 1) for _ in continuations] for _ in prompts)


class Numbers(ScriptedModel):
    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        value = SimpleNamespace(total=float("-inf"), n_tokens=1)
        return ([value for _ in continuations] for _ in prompts)  # type: ignore[misc]


class Positional(ScriptedModel):
    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        return ([LogLikelihood(-1.0 - n, 1) for n, _ in enumerate(continuations)] for _ in prompts)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (SkipsOne, "one result per item"),
        (Counting, "alone and in a batch"),
        (Plain, "yields Response"),
        (Certain, "at most 0 nats"),
        (Undefined, "finite number of nats"),
        (Numbers, "log_likelihood"),
        (Positional, "order of continuations"),
    ],
)
def test_violation_by_a_language_model_is_detected(broken: type[ScriptedModel], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_likelihood_model(broken(describe))


def test_text_model_that_ignores_audio_is_detected() -> None:
    with pytest.raises(ContractError, match="refuses audio"):
        check_language_model(ScriptedModel(describe), with_sound=False)
