"""Forward passes in which states of one prompt are replaced; earlier layers are not repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions, ResidualStart
from audioprobe.interpretability.activations import states_at
from audioprobe.interpretability.answer_logits import AnswerReader
from audioprobe.interpretability.batches import Item
from audioprobe.interpretability.span_transfer import Replacement
from audioprobe.sites import find_sites

Change: TypeAlias = Mapping[str, Replacement]
"""Replacements of one pass by their site, in the order of the forward pass."""

_RESIDUAL = "lm.resid."


@dataclass(frozen=True, slots=True, eq=False)
class PromptStates:
    """States and logits of a prompt.

    Attributes:
        states: states by site and span, shape (n_positions, width); absent spans have none.
        logits: logits at the position where the options differ, shape (n_vocabulary,).
    """

    states: Mapping[tuple[str, str], Tensor]
    logits: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BaseRun:
    """The forward pass of a base prompt without replacements.

    Attributes:
        item: the prompt and its layout.
        states: states of all positions by site.
        logits: logits at the position where the options differ, shape (n_vocabulary,).
    """

    item: Item
    states: Mapping[str, Tensor]
    logits: Tensor


def read_spans(
    reader: AnswerReader, items: Sequence[Item], sites: Sequence[str], spans: Sequence[str]
) -> list[PromptStates]:
    """Return the states of spans and the logits of each prompt of a batch."""
    results: list[dict[tuple[str, str], Tensor]] = [{} for _ in items]

    def store(site: str, number: int, states: Tensor) -> None:
        for span in spans:
            positions = items[number][1].positions(site, span)
            if positions:
                results[number][site, span] = states_at(states, positions).clone()

    hooks = {site: partial(store, site) for site in sites}
    logits = reader.logits([prompt for prompt, _ in items], hooks)
    return [PromptStates(*pair) for pair in zip(results, logits, strict=True)]


def read_base(reader: AnswerReader, item: Item, sites: Sequence[str]) -> BaseRun:
    """Return all states at some sites, and the logits, of a prompt."""
    results: dict[str, Tensor] = {}

    def store(site: str, _: int, states: Tensor) -> None:
        results[site] = states.clone()  # an audio encoder may change its states later

    hooks = {site: partial(store, site) for site in sites}
    (logits,) = reader.logits([item[0]], hooks)
    return BaseRun(item, results, logits)


class PatchedRuns:
    """Forward passes of a base prompt with replacements at the same sites.

    Args:
        reader: reader of the logits.
        batch_size: passes per batch.
    """

    def __init__(self, reader: AnswerReader, batch_size: int) -> None:
        if batch_size < 1:
            raise InvalidInputError(f"Expected batch_size >= 1, got {batch_size}.")
        self._reader, self._batch_size = reader, batch_size
        self._last = max(layer_of(site) or 0 for site in reader.model.sites)

    def logits(self, base: BaseRun, changes: Sequence[Change]) -> list[Tensor]:
        """Return the logits of each pass, shape (n_vocabulary,).

        Args:
            base: the pass without replacements, with the states at `start_sites`.
            changes: replacements of each pass, all of them at the same sites.
        """
        size = self._batch_size
        batches = [changes[n : n + size] for n in range(0, len(changes), size)]
        return [row for batch in batches for row in self._batch_logits(base, batch)]

    def start_site(self, first: str) -> str | None:
        """Return the site whose states a pass continues from; None if it is a whole pass.

        Args:
            first: the first site with a replacement. A residual state is replaced before the pass;
                what a layer adds to it needs the output of the layer before.
        """
        layer = layer_of(first)
        if first == "lm.norm":
            layer = self._last
        elif layer is not None and not first.startswith(_RESIDUAL):
            layer -= 1
        return f"{_RESIDUAL}{layer}" if layer is not None and layer >= 0 else None

    def _batch_logits(self, base: BaseRun, changes: Sequence[Change]) -> list[Tensor]:
        """Return the logits of the passes of one batch."""
        sites = list(changes[0])
        options, start = NO_OPTIONS, self.start_site(sites[0])
        if start is not None:
            states = base.states[start]
            rows = [states] * len(changes)
            if start == sites[0]:
                rows = [change[start].applied(states) for change in changes]
                sites = sites[1:]
            options = ForwardOptions(start=ResidualStart(int(start.removeprefix(_RESIDUAL)), rows))

        def put(site: str, number: int, states: Tensor) -> Tensor:
            return changes[number][site].applied(states)

        hooks = {site: partial(put, site) for site in sites}
        return self._reader.logits([base.item[0]] * len(changes), hooks, options)


def patchable_sites(patterns: Sequence[str] | str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the sites that patterns select, in the order of the forward pass.

    Raises:
        InvalidInputError: if a pattern matches no site, or the logits are selected.
    """
    sites = find_sites(patterns, known)
    if "lm.logits" in sites:
        raise InvalidInputError(
            "Expected sites before the logits, got lm.logits, whose states are the result itself. "
            'Select sites such as "lm.resid.*".'
        )
    return sites


def window_of(site: str, n_layers: int, known: Sequence[str]) -> tuple[str, ...]:
    """Return a site and the same site in the following layers, `n_layers` in all if there are.

    A site that belongs to no layer, such as "connector.out", is alone.
    """
    stem, _, number = site.rpartition(".")
    if not number.isdigit():
        return (site,)
    following = [f"{stem}.{n}" for n in range(int(number), int(number) + n_layers)]
    return tuple(name for name in following if name in known)


def layer_of(site: str) -> int | None:
    """Return the layer of the language model that a site belongs to."""
    stem, _, number = site.rpartition(".")
    return int(number) if stem.startswith("lm.") and number.isdigit() else None
