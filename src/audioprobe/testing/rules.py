"""Functions that check a single rule of a protocol, and example inputs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.protocols import Component
from audioprobe.types import ComponentInfo, FloatArray, LogLikelihood, Waveform

Item = TypeVar("Item")
Result = TypeVar("Result")

TEXTS = ("a crow calls", "rain on a tin roof", "a dog barks", "a crow calls", "wind {} 100%")
"""Example texts; two of them are equal."""

_TOLERANCE = 1e-4  # above the float32 rounding between different batch shapes
_MAX_LOOK_AHEAD = 256  # number of items: more than a reasonable batch, fewer than a data set


def require(holds: bool, rule: str) -> None:
    """Raise `ContractError` if `holds` is False; the message contains the rule."""
    if not holds:
        raise ContractError(f"Contract violated: {rule}.")


def example_sounds() -> tuple[Waveform, ...]:
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


def check_info(component: Component, kind: str) -> None:
    """Check that `component.info` is serialisable, is constant, and has the kind `kind`."""
    info = component.info
    require(isinstance(info, ComponentInfo), "info is a ComponentInfo")
    require(info.kind == kind, f"info.kind is {kind!r}, got {info.kind!r}")
    require(bool(info.name), "info.name is not empty")
    copy = from_json(ComponentInfo, to_json(info))
    require(copy == info == component.info, "info is serialisable and the same at every access")


def check_stream(
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
    require(len(results) == len(items), f"{name}: one result per item")
    require(not list(transform(iter(()))), f"{name}: accepts an empty stream")
    repeated = list(transform(iter(items)))
    require(all(map(same, results, repeated)), f"{name}: the same result twice")
    alone = [result for item in items for result in transform(iter([item]))]
    is_independent = len(alone) == len(items) and all(map(same, results, alone))
    require(is_independent, f"{name}: the same result alone and in a batch")
    reverse = list(transform(iter(items[::-1])))[::-1]
    require(all(map(same, results, reverse)), f"{name}: keeps the order")
    return results


def check_laziness(
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
    require(n_read <= _MAX_LOOK_AHEAD, f"{name}: streams, without reading all items first")


def check_array(array: FloatArray, name: str, n_dimensions: int) -> None:
    """Check that an array is finite, not empty, of a float type, and has `n_dimensions`."""
    require(isinstance(array, np.ndarray), f"{name}: returns numpy arrays")
    require(array.ndim == n_dimensions, f"{name}: {n_dimensions} dimensions, got {array.ndim}")
    require(array.dtype.kind == "f", f"{name}: floating point, got {array.dtype}")
    require(array.size > 0, f"{name}: not empty")
    require(bool(np.isfinite(array).all()), f"{name}: finite")


def check_refusal(call: Callable[[], object], error: type[Exception], rule: str) -> None:
    """Check that a call raises the exception type `error`, not another one or none."""
    try:
        call()
    except error:
        return
    except Exception as other:
        raise ContractError(f"Contract violated: {rule}, got {type(other).__name__}.") from other
    raise ContractError(f"Contract violated: {rule}.")


def check_vectors(name: str, embed: Callable[[Sequence[str]], FloatArray]) -> FloatArray:
    """Check a function that embeds texts; return its vectors of the example texts."""
    vectors = np.asarray(embed(TEXTS))
    check_array(vectors, name, n_dimensions=2)
    require(len(vectors) == len(TEXTS), f"{name}: one vector per text")
    alone = np.concatenate([embed([text]) for text in TEXTS])
    require(close(vectors, alone), f"{name}: the same vector alone and in a batch")
    require(close(vectors, embed(TEXTS[::-1])[::-1]), f"{name}: keeps the order")
    require(not close(vectors[0], vectors[1]), f"{name}: different texts differ")
    require(len(embed([])) == 0, f"{name}: accepts an empty list")
    return vectors


def close(a: FloatArray, b: FloatArray) -> bool:
    """Return whether two arrays are equal within float32 rounding; NaN equals NaN."""
    return a.shape == b.shape and bool(np.allclose(a, b, atol=_TOLERANCE, rtol=0, equal_nan=True))


def rows_close(a: Sequence[LogLikelihood], b: Sequence[LogLikelihood]) -> bool:
    """Return whether two lists of log-likelihoods are equal within float32 rounding."""
    return len(a) == len(b) and all(
        x.n_tokens == y.n_tokens and abs(x.total - y.total) <= _TOLERANCE * max(1.0, abs(x.total))
        for x, y in zip(a, b, strict=True)
    )
