"""Record the activations of a model for many prompts, in a folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import (
    Pooling,
    SpanStates,
    States,
    read_states,
)
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.interpretability.recording_files import (
    CARD,
    COLUMNS,
    TABLE,
    Recording,
    create_array,
    n_bytes,
    open_array,
    read_card,
)
from audioprobe.interpretability.recording_plan import RecordingPlan, digest_of
from audioprobe.io.atomic import atomic_write, exclusive_lock
from audioprobe.io.text_table import Table
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Prompt

_SAVE_EVERY = 8  # batches
_FAILURE, _DIGEST = COLUMNS.index("failure"), COLUMNS.index("digest")

Row: TypeAlias = tuple[object, ...]


def recording_size(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt | Prompt],
    sites: Sequence[str],
    spans: Sequence[str],
    *,
    pooling: Pooling = "mean",
) -> int:
    """Return the number of bytes that `record` would write; arguments are those of `record`.

    The model runs on one prompt, or on one with and one without audio.
    """
    return n_bytes(RecordingPlan(model, prompts, sites, spans, pooling).shapes())


def record(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt | Prompt],
    sites: Sequence[str],
    spans: Sequence[str],
    folder: str | Path,
    *,
    pooling: Pooling = "mean",
    batch_size: int = 8,
    max_bytes: int = 4_000_000_000,
    progress: ProgressCallback = ignore_progress,
) -> Recording:
    """Record activations of prompts in a folder, pooled over spans.

    States are pooled in float32 while the model runs. An interrupted recording continues when the
    function is called again with the same arguments. A prompt that fails does not stop the others.

    Args:
        model: the model.
        prompts: prompts; `ProbePrompts` for the questions of a concept probe.
        sites: names of sites; "*" stands for any text, as in "lm.resid.*". See `audioprobe.sites`.
        spans: spans, such as "audio", "audio[1.2s:2.0s]", "question" and "last".
        folder: folder of the recording, created if necessary.
        pooling: "mean" and "last" write one vector per span. "each" writes all positions of the
            spans, which may need a thousand times as much space.
        batch_size: prompts per forward pass.
        max_bytes: maximum size of the arrays; a larger recording is refused before it starts.
        progress: called after every batch; the note is the size of the arrays.

    Raises:
        InvalidInputError: if a site or span is unknown, there are no prompts, the arrays are larger
            than `max_bytes`, or the folder contains another recording.
        UnsupportedInputError: if the sites of the model are unknown.
    """
    plan = RecordingPlan(model, prompts, sites, spans, pooling)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    card = read_card(path)
    if card is not None and len(card["rows"]) == len(plan.prompts):
        _check(plan, path, card)  # several processes may read a complete recording
        return Recording.open(path)
    in_use = InvalidInputError(
        f"{path}: another process is recording into this folder. Wait, or choose another folder."
    )
    with exclusive_lock(path / "lock", in_use):
        card = _start(plan, path, max_bytes)
        _run(plan, path, card, batch_size, progress)
    return Recording.open(path)


def _run(
    plan: RecordingPlan,
    folder: Path,
    card: dict[str, Any],
    batch_size: int,
    progress: ProgressCallback,
) -> None:
    """Record the prompts that have no row in the card yet."""
    arrays = {site: open_array(folder / f"{site}.safetensors", "r+") for site in plan.sites}
    note = f"{n_bytes(card['settings']['shapes']) / 1e6:.1f} MB"
    rows: list[Row] = card["rows"]
    total = len(plan.prompts)
    for number, first in enumerate(range(len(rows), total, batch_size), 1):
        batch_rows, states = _run_batch(plan, range(first, min(first + batch_size, total)))
        for site, values in states.items():
            arrays[site][first : first + len(values)] = values
        rows += batch_rows
        if number % _SAVE_EVERY == 0 or len(rows) == total:
            _save(folder, card, arrays)
        n_failed = sum(bool(row[_FAILURE]) for row in rows)
        progress(
            ProgressEvent(stage="record", done=len(rows), total=total, n_failed=n_failed, note=note)
        )


def _start(plan: RecordingPlan, folder: Path, max_bytes: int) -> dict[str, Any]:
    """Return the card of the recording in a folder, which is created if there is none."""
    card = read_card(folder)
    if card is not None:
        _check(plan, folder, card)
        plan.reuse_shapes(card["settings"]["shapes"])
        return card
    shapes = plan.shapes()
    if n_bytes(shapes) > max_bytes:
        raise InvalidInputError(
            f"The recording needs {n_bytes(shapes):,} bytes, more than max_bytes = "
            f"{max_bytes:,}. Choose fewer sites or spans, pooling='mean', or a larger "
            "max_bytes."
        )
    for site, shape in shapes.items():
        create_array(folder / f"{site}.safetensors", shape)
    card = {"settings": plan.settings(shapes), "rows": []}
    atomic_write(folder / CARD, json.dumps(card))
    return card


def _run_batch(plan: RecordingPlan, numbers: Sequence[int]) -> tuple[list[Row], dict[str, States]]:
    """Return the rows of the table and the arrays of a batch of prompts."""

    def compute(batch: Sequence[Item]) -> list[SpanStates]:
        return read_states(plan.model, batch, plan.sites, plan.spans, plan.pooling)

    batch_size = len(numbers)
    results = in_batches(
        plan.model, plan.prompts, compute, numbers=numbers, batch_size=batch_size, keep_audio=True
    )
    arrays = {
        site: np.full((len(numbers), *shape[1:]), np.nan, np.float32)
        for site, shape in plan.shapes().items()
    }
    for n, states in results.values.items():
        for (site, span), values in states.items():
            cell = arrays[site][n - numbers[0], plan.spans.index(span)]
            cell[: len(values)] = values  # without pooling, shorter spans end with NaN
    rows = [_row(n, results.items.get(n), results.failures.get(n, "")) for n in numbers]
    return rows, arrays


def _check(plan: RecordingPlan, folder: Path, card: Mapping[str, Any]) -> None:
    """Raise `InvalidInputError` if the recording in a folder has other settings or prompts."""
    shapes = card["settings"]["shapes"]
    current = plan.settings(shapes)
    different = [name for name in current if current[name] != card["settings"].get(name)]
    different += ["sites"] if tuple(shapes) != plan.sites else []
    for number, row in enumerate(card["rows"]):
        if not row[_FAILURE] and digest_of(plan.prompt(number)) != row[_DIGEST]:
            different.append(f"prompt {number}")
            break
    if different:
        raise InvalidInputError(
            f"{folder}: expected an incomplete recording with the same arguments, got another "
            f"one (different: {', '.join(different)}). Choose another folder."
        )


def _row(number: int, item: Item | None, failure: str) -> Row:
    """Return the values of `COLUMNS` for a prompt; None where a failure prevented them."""
    if item is None:
        return str(number), None, None, None, None, None, failure, None
    prompt, layout = item
    return (
        prompt.id or str(number),
        prompt.prompt.text,
        prompt.concept,
        prompt.continuation,
        layout.duration,
        layout.n_tokens,
        failure,
        digest_of(prompt),
    )


def _save(folder: Path, card: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write the arrays and the table, then the card, which states how many rows are complete."""
    for array in arrays.values():
        array.flush()
    cells = tuple(tuple("" if v is None else str(v) for v in row) for row in card["rows"])
    atomic_write(folder / TABLE, Table(COLUMNS, cells).to_csv())
    atomic_write(folder / CARD, json.dumps(card))
