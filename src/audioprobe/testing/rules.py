"""What the contracts have in common: rules, streams, and the sounds to try them on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.protocols import Component
from audioprobe.types import ComponentInfo, FloatArray, Waveform

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_TOLERANCE = 1e-4  # float32 forward passes of other batch shapes differ by less
_LOOK_AHEAD = 256  # items: more than a sensible batch, fewer than a data set


def require(holds: bool, rule: str) -> None:
    """Raise unless the rule holds.

    Raises:
        ContractError: with the rule.
    """
    if not holds:
        raise ContractError(f"Contract broken: {rule}.")


def example_sounds() -> tuple[Waveform, ...]:
    """Tones and noises of several rates and lengths, 0.5 to 4 s, always the same."""
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
    """The component describes itself as data of the right kind, always the same."""
    info = component.info
    require(isinstance(info, ComponentInfo), "info is a ComponentInfo")
    require(info.kind == kind, f"info.kind is {kind!r}, got {info.kind!r}")
    require(bool(info.name), "info.name is not empty")
    copy = from_json(ComponentInfo, to_json(info))
    require(copy == info == component.info, "info is data, and the same at every call")


def check_stream(
    name: str,
    transform: Callable[[Iterable[Item]], Iterator[Answer]],
    items: Sequence[Item],
    same: Callable[[Answer, Answer], bool],
) -> list[Answer]:
    """One answer per item, in order, repeatable, and the same alone and in company."""
    try:
        together = list(transform(iter(items)))
    except InvalidInputError as error:  # NaN among its own numbers, for example
        raise ContractError(f"Contract broken: {name}: answers every item, got: {error}") from error
    require(len(together) == len(items), f"{name}: one answer per item")
    require(not list(transform(iter(()))), f"{name}: takes an empty stream")
    again = list(transform(iter(items)))
    require(all(map(same, together, again)), f"{name}: gives the same answer twice")
    alone = [answer for item in items for answer in transform(iter([item]))]
    require(
        len(alone) == len(items) and all(map(same, together, alone)),
        f"{name}: an item has the same answer alone and in company",
    )
    backwards = list(transform(iter(items[::-1])))[::-1]
    require(all(map(same, together, backwards)), f"{name}: keeps the order")
    return together


def check_laziness(
    name: str, transform: Callable[[Iterable[Item]], Iterator[object]], item: Item
) -> None:
    """Answers come while items are still being read, so that memory stays flat."""
    n_read = 0

    def items() -> Iterator[Item]:
        nonlocal n_read
        for _ in range(2 * _LOOK_AHEAD):
            n_read += 1
            yield item

    next(iter(transform(items())))
    require(n_read <= _LOOK_AHEAD, f"{name}: streams, it does not read everything first")


def check_array(array: FloatArray, name: str, n_dimensions: int) -> None:
    """A finite float array, not empty, of so many dimensions."""
    require(isinstance(array, np.ndarray), f"{name}: gives numpy arrays")
    require(array.ndim == n_dimensions, f"{name}: {n_dimensions} dimensions, got {array.ndim}")
    require(array.dtype.kind == "f", f"{name}: floating point, got {array.dtype}")
    require(array.size > 0, f"{name}: not empty")
    require(bool(np.isfinite(array).all()), f"{name}: finite")


def check_refusal(call: Callable[[], object], error: type[Exception], rule: str) -> None:
    """The call raises this error and no other."""
    try:
        call()
    except error:
        return
    except Exception as other:
        raise ContractError(f"Contract broken: {rule}, got {type(other).__name__}.") from other
    raise ContractError(f"Contract broken: {rule}.")


def close(one: FloatArray, other: FloatArray) -> bool:
    """Equal up to the rounding of float32 arithmetic; NaN has a rule of its own."""
    return one.shape == other.shape and bool(
        np.allclose(one, other, atol=_TOLERANCE, rtol=0, equal_nan=True)
    )


def within_rounding(one: float, other: float) -> bool:
    """As `close`, for two numbers."""
    return abs(one - other) <= _TOLERANCE * max(1.0, abs(one))
