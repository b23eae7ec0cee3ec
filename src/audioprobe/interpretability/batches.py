"""Batches of prompts in which a failing prompt does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from audioprobe.errors import PER_ITEM_ERRORS, AudioReadError, InvalidInputError
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, PromptLayout
from audioprobe.types import Prompt

Result = TypeVar("Result")
Item: TypeAlias = tuple[InspectedPrompt, PromptLayout]
"""A prompt and its layout."""

PROMPT_FAILURES = (*PER_ITEM_ERRORS, AudioReadError)
"""Errors of a single prompt, which do not stop the others."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchResults(Generic[Result]):
    """Results of prompts.

    Attributes:
        values: result of each prompt, keyed by its index; prompts that failed are absent.
        failures: cause of the failure of each prompt that failed, keyed by its index.
        items: each prompt that could be read, with its layout, keyed by its index; the prompts have
            no audio unless it was asked for.
    """

    values: dict[int, Result]
    failures: dict[int, str]
    items: dict[int, Item]


def in_batches(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt | Prompt],
    compute: Callable[[Sequence[Item]], Sequence[Result]],
    *,
    numbers: Sequence[int] | None = None,
    batch_size: int = 8,
    stage: str = "prompts",
    keep_audio: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> BatchResults[Result]:
    """Compute a result for each prompt, in batches; if a batch fails, each prompt runs alone.

    Args:
        model: model whose layouts are computed.
        prompts: the prompts; reading the audio of one may fail.
        compute: function that returns one result per prompt of a batch.
        numbers: indices of the prompts to compute; None means all.
        batch_size: prompts per batch, at least 1.
        stage: name of the stage for `progress`.
        keep_audio: whether the prompts in the results have their audio, which needs memory for the
            audio of all prompts.
        progress: called after every batch.
    """

    def of_items(_: Sequence[int], items: Sequence[Item]) -> Sequence[Result]:
        return compute(items)

    return _in_batches(
        model,
        prompts,
        of_items,
        range(len(prompts)) if numbers is None else numbers,
        settings=_Settings(batch_size, stage, keep_audio, progress),
    )


def in_batches_again(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt | Prompt],
    earlier: BatchResults[Any],
    compute: Callable[[Sequence[int], Sequence[Item]], Sequence[Result]],
    *,
    batch_size: int = 8,
    stage: str = "prompts",
    progress: ProgressCallback = ignore_progress,
) -> BatchResults[Result]:
    """Compute a second result for each prompt that has a first one; see `in_batches`.

    Args:
        model: model whose layouts are computed.
        prompts: the prompts of the first results; they are read again.
        earlier: first results.
        compute: function that returns one result per prompt of a batch; it receives the index of
            each prompt, and its prompt and layout.
        batch_size: prompts per batch, at least 1.
        stage: name of the stage for `progress`.
        progress: called after every batch.

    Returns:
        The second results. Items and failures are those of both.
    """
    settings = _Settings(batch_size, stage, False, progress)
    later = _in_batches(model, prompts, compute, sorted(earlier.values), settings=settings)
    return BatchResults(
        later.values, earlier.failures | later.failures, earlier.items | later.items
    )


class _Settings(NamedTuple):
    """Settings of a loop over batches."""

    batch_size: int
    stage: str
    keep_audio: bool
    progress: ProgressCallback


def _in_batches(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt | Prompt],
    compute: Callable[[Sequence[int], Sequence[Item]], Sequence[Result]],
    numbers: Sequence[int],
    *,
    settings: _Settings,
) -> BatchResults[Result]:
    """Compute a result for each of some prompts; see `in_batches` and `in_batches_again`."""
    size = settings.batch_size
    if size < 1:
        raise InvalidInputError(f"Expected batch_size >= 1, got {size}.")
    results: BatchResults[Result] = BatchResults({}, {}, {})
    for first in range(0, len(numbers), size):
        batch = numbers[first : first + size]
        for n in batch:
            try:
                prompt = inspected(prompts[n])
                results.items[n] = prompt, model.layout(prompt)
            except PROMPT_FAILURES as error:
                results.failures[n] = f"{type(error).__name__}: {error}"
        _compute(compute, [n for n in batch if n in results.items], results)
        if not settings.keep_audio:
            for n in set(batch) & set(results.items):
                results.items[n] = _without_audio(results.items[n])
        done, n_failed = first + len(batch), len(results.failures)
        event = ProgressEvent(
            stage=settings.stage, done=done, total=len(numbers), n_failed=n_failed
        )
        settings.progress(event)
    return results


def _without_audio(item: Item) -> Item:
    """Return an item without its waveform, so that results need little memory."""
    prompt, layout = item
    return replace(prompt, prompt=replace(prompt.prompt, audio=None)), layout


def inspected(prompt: InspectedPrompt | Prompt) -> InspectedPrompt:
    """Return a prompt with the fields that inspection needs."""
    return InspectedPrompt(prompt) if isinstance(prompt, Prompt) else prompt


def _compute(
    compute: Callable[[Sequence[int], Sequence[Item]], Sequence[Result]],
    numbers: Sequence[int],
    results: BatchResults[Result],
) -> None:
    """Add the results of a batch, or the causes of failures."""
    if not numbers:
        return
    try:
        values = compute(numbers, [results.items[n] for n in numbers])
        results.values.update(zip(numbers, values, strict=True))
    except PROMPT_FAILURES as error:
        if len(numbers) == 1:
            results.failures[numbers[0]] = f"{type(error).__name__}: {error}"
            return
        for n in numbers:
            _compute(compute, [n], results)
