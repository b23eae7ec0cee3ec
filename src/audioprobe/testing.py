"""Check that models, scorers and data sets follow their protocols; for tests of any backend.

Each check calls a component as the library does, with short synthetic sounds and texts. If a rule
is violated, the check raises `ContractError` and names the rule. For example, each item must have
one result, in order, and the result must be the same if the item is processed alone or with others.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError, UnsupportedInputError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.protocols import (
    AudioEncoder,
    Component,
    Dataset,
    JointEncoder,
    LanguageModel,
    LikelihoodModel,
    Scorer,
    Tagger,
    TextEmbedder,
)
from audioprobe.types import ComponentInfo, FloatArray, LogLikelihood, Prompt, Response, Waveform

Item = TypeVar("Item")
Result = TypeVar("Result")

_QUESTION = "Write an audio caption describing the sound."
_TEXT_QUESTIONS = ("Is a crow a bird?", "What is rain?", "Name an animal.")
_TEXTS = ("a crow calls", "rain on a tin roof", "a dog barks", "a crow calls", "wind {} 100%")
_TOLERANCE = 1e-4  # above the float32 rounding between different batch shapes
_MAX_LOOK_AHEAD = 256  # number of items: more than a reasonable batch, fewer than a data set


def check_encoder(encoder: AudioEncoder) -> None:
    """Check that an encoder returns one array of shape (n_frames, width) per waveform."""
    _check_info(encoder, "encoder")
    arrays = _check_stream("encode", encoder.encode, _example_sounds(), _close)
    for array in arrays:
        _check_array(array, "encode", n_dimensions=2)
    _require(len({array.shape[1] for array in arrays}) == 1, "encode: all widths are equal")
    _check_laziness("encode", encoder.encode, _example_sounds()[0])


def check_tagger(tagger: Tagger) -> None:
    """Check that a tagger has unique labels with one phrase each, and probabilities in [0, 1]."""
    _check_info(tagger, "encoder")
    n_labels = len(tagger.labels)
    _require(len(set(tagger.labels)) == n_labels > 0, "labels: at least one, all different")
    _require(len(tagger.phrases) == n_labels, "phrases: one per label")
    for array in _check_stream("tag", tagger.tag, _example_sounds(), _close):
        _check_array(array, "tag", n_dimensions=1)
        _require(array.size == n_labels, "tag: one probability per label")
        _require(bool(((array >= 0) & (array <= 1)).all()), "tag: probabilities are in [0, 1]")
    _check_laziness("tag", tagger.tag, _example_sounds()[0])


def check_joint_encoder(encoder: JointEncoder) -> None:
    """Check that a joint encoder returns one vector per sound and per text, all of one width."""
    _check_info(encoder, "encoder")
    sounds = _check_stream("embed_audio", encoder.embed_audio, _example_sounds(), _close)
    texts = _check_vectors("embed_texts", encoder.embed_texts)
    for array in sounds:
        _check_array(array, "embed_audio", n_dimensions=1)
        _require(array.shape == texts.shape[1:], "embed_audio: the same width as embed_texts")
    _check_laziness("embed_audio", encoder.embed_audio, _example_sounds()[0])
    scale = encoder.logit_scale
    is_valid = isinstance(scale, float) and 0 < scale < math.inf
    _require(is_valid, "logit_scale: a positive, finite float")


def check_language_model(model: LanguageModel, *, with_sound: bool = True) -> None:
    """Check that a model returns one response per prompt, independent of other prompts.

    Args:
        model: a model whose default decoding is greedy.
        with_sound: whether the model accepts audio; if False, it must reject prompts with audio.
    """
    _check_info(model, "language_model")
    sounds = _example_sounds()
    prompts = [Prompt(f"{_QUESTION} ({n})", sound) for n, sound in enumerate(sounds)]
    if not with_sound:
        _check_refusal(
            lambda: list(model.generate(prompts[:1])),
            UnsupportedInputError,
            "generate: a text model refuses audio with UnsupportedInputError",
        )
        prompts = [Prompt(text) for text in _TEXT_QUESTIONS]
    for response in _check_stream("generate", model.generate, prompts, operator.eq):
        _require(isinstance(response, Response), "generate: yields Response")
        _require(response.finish in ("stop", "length"), 'finish: is "stop" or "length"')
    _check_laziness("generate", model.generate, prompts[0])


def check_likelihood_model(model: LikelihoodModel, *, with_sound: bool = True) -> None:
    """Check a language model and its log-likelihoods, which must not depend on other prompts.

    Args:
        model: a model whose default decoding is greedy.
        with_sound: whether the model accepts audio; if False, it must reject prompts with audio.
    """
    check_language_model(model, with_sound=with_sound)
    sound = _example_sounds()[0] if with_sound else None
    prompts = [Prompt(_QUESTION, sound), Prompt("What makes this sound?", sound)]
    continuations = [" a crow", " rain on a roof", " a dog"]

    def ask(items: Iterable[Prompt]) -> Iterator[Sequence[LogLikelihood]]:
        return model.log_likelihood(items, continuations)

    rows = _check_stream("log_likelihood", ask, prompts, _rows_close)
    for row in rows:
        _require(len(row) == len(continuations), "log_likelihood: one per continuation")
        _require(
            all(isinstance(value, LogLikelihood) for value in row),
            "log_likelihood: yields LogLikelihood, finite and at most 0 nats",
        )
    reverse = next(iter(model.log_likelihood(prompts[:1], continuations[::-1])))
    _require(
        _rows_close(rows[0], reverse[::-1]),
        "log_likelihood: the order of continuations does not matter",
    )


def check_embedder(embedder: TextEmbedder) -> None:
    """Check that an embedder returns one finite vector per text, in order."""
    _check_info(embedder, "embedder")
    _check_vectors("embed", embedder.embed)


def check_scorer(scorer: Scorer) -> None:
    """Check that a scorer returns finite scores that do not depend on other captions."""
    _check_info(scorer, "scorer")
    labels = ("crow", "rain", "dog")
    scores = np.asarray(scorer.score(_TEXTS, labels))
    _check_array(scores, "score", n_dimensions=2)
    _require(scores.shape == (len(_TEXTS), len(labels)), "score: shape (n_captions, n_labels)")
    alone = np.concatenate([scorer.score([caption], labels) for caption in _TEXTS])
    _require(_close(scores, alone), "score: the same score alone and in a batch")
    reverse = np.asarray(scorer.score(_TEXTS, labels[::-1]))[:, ::-1]
    _require(_close(scores, reverse), "score: follows the order of the labels")
    empty = np.asarray(scorer.score((), labels))
    _require(empty.shape == (0, len(labels)), "score: accepts an empty list of captions")
    for refused, rule in (((), "no labels"), (("crow", "crow"), "a repeated label"), (("",), "''")):
        _check_refusal(
            partial(scorer.score, _TEXTS, refused),
            InvalidInputError,
            f"score: refuses {rule} with InvalidInputError",
        )


def check_dataset(dataset: Dataset) -> None:
    """Check that ids are unique, labels are in `labels`, and each group is in one split only."""
    _check_info(dataset, "dataset")
    known = set(dataset.labels)
    _require(len(known) == len(dataset.labels) > 0, "labels: at least one, all different")
    split_of: dict[str, str] = {}
    ids: set[str] = set()
    for split in dataset.splits:
        for clip in dataset.clips(split):
            _require(clip.id not in ids, f"clips: the id {clip.id!r} is unique")
            _require(set(clip.labels or ()) <= known, f"clips: labels of {clip.id!r} are known")
            if clip.group is not None:
                first_split = split_of.setdefault(clip.group, split)
                _require(first_split == split, f"clips: group {clip.group!r} is in one split only")
            ids.add(clip.id)
    _require(bool(ids), "clips: at least one split has clips")
    _check_refusal(
        lambda: dataset.clips("no such split"),
        InvalidInputError,
        "clips: refuses an unknown split with InvalidInputError",
    )


def _require(holds: bool, rule: str) -> None:
    """Raise `ContractError` if `holds` is False; the message contains the rule."""
    if not holds:
        raise ContractError(f"Contract violated: {rule}.")


def _example_sounds() -> tuple[Waveform, ...]:
    """Return deterministic tones with noise, at several sample rates, 0.5 to 4 s long."""
    random = np.random.default_rng(0)
    shapes = ((16_000, 1.0), (48_000, 0.5), (22_050, 4.0), (8_000, 2.0))
    sounds = []
    for n, (rate, seconds) in enumerate(shapes):
        time = np.arange(int(rate * seconds)) / rate
        tone = 0.3 * np.sin(2 * np.pi * 300 * (n + 1) * time)
        noise = 0.01 * random.standard_normal(time.size)
        sounds.append(Waveform((tone + noise).astype(np.float32), rate))
    return tuple(sounds)


def _check_info(component: Component, kind: str) -> None:
    """Check that `component.info` is serialisable, is constant, and has the kind `kind`."""
    info = component.info
    _require(isinstance(info, ComponentInfo), "info is a ComponentInfo")
    _require(info.kind == kind, f"info.kind is {kind!r}, got {info.kind!r}")
    _require(bool(info.name), "info.name is not empty")
    copy = from_json(ComponentInfo, to_json(info))
    _require(copy == info == component.info, "info is serialisable and the same at every access")


def _check_stream(
    name: str,
    transform: Callable[[Iterable[Item]], Iterator[Result]],
    items: Sequence[Item],
    same: Callable[[Result, Result], bool],
) -> list[Result]:
    """Return the results of a stream; check that they are complete, ordered and repeatable.

    The result of an item must not depend on other items.
    """
    try:
        results = list(transform(iter(items)))
    except InvalidInputError as error:  # for example, NaN in the output of a model
        message = f"Contract violated: {name}: a result for every item, got: {error}"
        raise ContractError(message) from error
    _require(len(results) == len(items), f"{name}: one result per item")
    _require(not list(transform(iter(()))), f"{name}: accepts an empty stream")
    repeated = list(transform(iter(items)))
    _require(all(map(same, results, repeated)), f"{name}: the same result twice")
    alone = [result for item in items for result in transform(iter([item]))]
    is_independent = len(alone) == len(items) and all(map(same, results, alone))
    _require(is_independent, f"{name}: the same result alone and in a batch")
    reverse = list(transform(iter(items[::-1])))[::-1]
    _require(all(map(same, results, reverse)), f"{name}: keeps the order")
    return results


def _check_laziness(
    name: str, transform: Callable[[Iterable[Item]], Iterator[object]], item: Item
) -> None:
    """Check that the first result is yielded before all items are read."""
    n_read = 0

    def items() -> Iterator[Item]:
        nonlocal n_read
        for _ in range(2 * _MAX_LOOK_AHEAD):
            n_read += 1
            yield item

    next(iter(transform(items())))
    _require(n_read <= _MAX_LOOK_AHEAD, f"{name}: streams, without reading all items first")


def _check_array(array: FloatArray, name: str, n_dimensions: int) -> None:
    """Check that an array is finite, not empty, of a float type, and has `n_dimensions`."""
    _require(isinstance(array, np.ndarray), f"{name}: returns numpy arrays")
    _require(array.ndim == n_dimensions, f"{name}: {n_dimensions} dimensions, got {array.ndim}")
    _require(array.dtype.kind == "f", f"{name}: floating point, got {array.dtype}")
    _require(array.size > 0, f"{name}: not empty")
    _require(bool(np.isfinite(array).all()), f"{name}: finite")


def _check_refusal(call: Callable[[], object], error: type[Exception], rule: str) -> None:
    """Check that a call raises the exception type `error`, not another one or none."""
    try:
        call()
    except error:
        return
    except Exception as other:
        raise ContractError(f"Contract violated: {rule}, got {type(other).__name__}.") from other
    raise ContractError(f"Contract violated: {rule}.")


def _check_vectors(name: str, embed: Callable[[Sequence[str]], FloatArray]) -> FloatArray:
    """Check a function that embeds texts; return its vectors of the example texts."""
    vectors = np.asarray(embed(_TEXTS))
    _check_array(vectors, name, n_dimensions=2)
    _require(len(vectors) == len(_TEXTS), f"{name}: one vector per text")
    alone = np.concatenate([embed([text]) for text in _TEXTS])
    _require(_close(vectors, alone), f"{name}: the same vector alone and in a batch")
    _require(_close(vectors, embed(_TEXTS[::-1])[::-1]), f"{name}: keeps the order")
    _require(not _close(vectors[0], vectors[1]), f"{name}: different texts differ")
    _require(len(embed([])) == 0, f"{name}: accepts an empty list")
    return vectors


def _close(a: FloatArray, b: FloatArray) -> bool:
    """Return whether two arrays are equal within float32 rounding; NaN equals NaN."""
    return a.shape == b.shape and bool(np.allclose(a, b, atol=_TOLERANCE, rtol=0, equal_nan=True))


def _rows_close(a: Sequence[LogLikelihood], b: Sequence[LogLikelihood]) -> bool:
    """Return whether two lists of log-likelihoods are equal within float32 rounding."""
    return len(a) == len(b) and all(
        x.n_tokens == y.n_tokens and abs(x.total - y.total) <= _TOLERANCE * max(1.0, abs(x.total))
        for x, y in zip(a, b, strict=True)
    )
