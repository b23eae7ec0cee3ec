"""What is copied between the prompts of each pair, for patching and its first-order estimate."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_logits import AnswerReader
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.interpretability.patched_runs import (
    Change,
    PromptStates,
    patchable_sites,
    read_spans,
    window_of,
)
from audioprobe.interpretability.prompt_pairs import OTHER, SAME, SOURCE, PromptPairs
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.interpretability.span_transfer import (
    LengthRule,
    SpanTransfer,
    parse_transfers,
    replacement,
)
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, PromptLayout
from audioprobe.types import Float64Array

PATCHED, SELF, NOISE, BOS = "patched", "base into itself", "noise", "bos"
"""Conditions: states of the source, and three of the controls."""

SourceStates: TypeAlias = Mapping[str, PromptStates]
"""States of the prompts of a pair other than the base, by role; those of controls may be absent."""

_BOS = SpanTransfer("bos", "bos")


@dataclass(frozen=True, slots=True, eq=False)
class PlannedChange:
    """A change of the states of a base prompt.

    Attributes:
        condition: `PATCHED` or the name of a control.
        places: indices of the places whose values the change gives.
        change: the replacements.
    """

    condition: str
    places: tuple[int, ...]
    change: Change


class PairValues(NamedTuple):
    """Values of a pair at all places.

    Attributes:
        base: logit difference of the base.
        source: logit difference of the source.
        values: values of the measures by condition, shape (n_places, n_measures).
    """

    base: float
    source: float
    values: Mapping[str, Float64Array]


@dataclass(frozen=True, slots=True, eq=False)
class PlanResults:
    """Values of pairs by index, and causes of failures; see `patch_result.PatchResult`."""

    n_pairs: int
    pairs: dict[int, PairValues] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    control_failures: dict[tuple[int, str], str] = field(default_factory=dict)

    def logit_differences(self) -> tuple[Float64Array, Float64Array]:
        """Return the logit differences of bases and of sources; NaN for pairs that failed."""
        nothing = (np.nan, np.nan)
        rows = [self.pairs[n][:2] if n in self.pairs else nothing for n in range(self.n_pairs)]
        base, source = np.array(rows, dtype=np.float64).T
        return base, source


class TransferPlan:
    """Pairs of prompts, places and controls; the arguments are those of `patching.patch`.

    Attributes:
        pairs: the pairs.
        reader: reader of the logits.
        sites: the selected sites, in the order of the forward pass.
        used_sites: the selected sites and those of their windows.
        places: the places: all transfers at the first site, then at the next.
        conditions: `PATCHED`, then the names of the controls.
    """

    def __init__(
        self,
        model: Inspectable,
        prompts: Sequence[InspectedPrompt],
        sources: Sequence[InspectedPrompt],
        concepts: Sequence[Hashable],
        *,
        sites: Sequence[str] | str,
        spans: Sequence[str] | str,
        lengths: LengthRule,
        same_concept: Sequence[InspectedPrompt] | None,
        seed: int,
        window: int = 1,
    ) -> None:
        if window < 1:
            raise InvalidInputError(f"Expected a window of at least one layer, got {window}.")
        self.sites = patchable_sites(sites, model.sites)
        self._transfers = parse_transfers(spans, lengths)
        self._windows = {site: window_of(site, window, model.sites) for site in self.sites}
        used = {name for names in self._windows.values() for name in names}
        self.used_sites = tuple(site for site in model.sites if site in used)
        self.pairs = PromptPairs(
            model, prompts, sources, concepts, same_concept=same_concept, seed=seed
        )
        if lengths == "equal":
            self.pairs.check_lengths(self._transfers, self.sites)
        self._model, self._seed = model, seed
        self._lengths: LengthRule = lengths
        self.reader = AnswerReader(model)
        self.places = tuple(Place(site, str(t)) for site in self.sites for t in self._transfers)
        reference = SELF if same_concept is None else SAME
        self.conditions = (PATCHED, reference, NOISE, OTHER, BOS)

    def changes(
        self,
        pair: int,
        layout: PromptLayout,
        base: Mapping[str, Tensor],
        sources: SourceStates,
        site: str,
    ) -> list[PlannedChange]:
        """Return the changes of a pair at a site and its window, those that are defined.

        Args:
            pair: index of the pair.
            layout: layout of the base prompt.
            base: states of all positions of the base, by site.
            sources: states of the other prompts.
            site: one of `sites`.
        """
        first = self.sites.index(site) * len(self._transfers)
        names = self._windows[site]
        planned: list[PlannedChange] = []

        def copied(role: str, transfer: SpanTransfer) -> Change | None:
            return self._copied(layout, sources.get(role), transfer, names)

        def add(condition: str, place: int, change: Change | None, n_places: int = 1) -> None:
            if change is not None:
                places = tuple(range(place, place + n_places))
                planned.append(PlannedChange(condition, places, change))

        for place, transfer in enumerate(self._transfers, first):
            patched = copied(SOURCE, transfer)
            add(PATCHED, place, patched)
            add(OTHER, place, copied(OTHER, transfer))
            add(SAME, place, copied(SAME, SpanTransfer(transfer.base, transfer.base)))
            if patched is None:
                continue
            if SELF in self.conditions:
                add(SELF, place, {name: new.undone(base[name]) for name, new in patched.items()})
            seeds = {n: self.pairs.seed_of(pair, f"{self._seed}|{n}|{transfer}") for n in names}
            add(NOISE, place, {n: new.noisy(base[n], seeds[n]) for n, new in patched.items()})
        add(BOS, first, copied(SOURCE, _BOS), len(self._transfers))
        return planned

    def run(
        self,
        compute: Callable[[int, Item, SourceStates], PairValues],
        *,
        stage: str,
        progress: ProgressCallback,
    ) -> PlanResults:
        """Compute the values of each pair; a pair that fails does not stop the others.

        Args:
            compute: function of the index of a pair, its base prompt, and the states of the others.
            stage: name of the stage for `progress`.
            progress: called after every pair.
        """
        n_pairs = self.pairs.n_pairs
        results = PlanResults(n_pairs)
        for pair in range(n_pairs):
            self._run_pair(pair, compute, results)
            n_failed = len(results.failures)
            progress(ProgressEvent(stage=stage, done=pair + 1, total=n_pairs, n_failed=n_failed))
        return results

    def values(
        self, rows: Sequence[tuple[PlannedChange, Float64Array]], n_measures: int
    ) -> dict[str, Float64Array]:
        """Return values by condition, shape (n_places, n_measures); NaN where a place has none.

        Args:
            rows: changes with the values of the measures, shape (n_measures,).
            n_measures: number of measures.
        """
        values = {c: np.full((len(self.places), n_measures), np.nan) for c in self.conditions}
        for planned, row in rows:
            values[planned.condition][list(planned.places)] = row
        return values

    def curves(self, results: PlanResults, measures: Sequence[str]) -> list[SiteCurve]:
        """Return the curve of each measure; pairs that failed are NaN."""
        shape = (self.pairs.n_pairs, len(self.places), len(measures))
        arrays = {condition: np.full(shape, np.nan) for condition in self.conditions}
        for number, pair in results.pairs.items():
            for condition, values in pair.values.items():
                arrays[condition][number] = values
        return [
            SiteCurve(
                measure=measure,
                places=self.places,
                concepts=self.pairs.concepts,
                values=arrays[PATCHED][..., n],
                controls={name: arrays[name][..., n] for name in self.conditions[1:]},
                items=self.pairs.names(),
            )
            for n, measure in enumerate(measures)
        ]

    def _run_pair(
        self,
        pair: int,
        compute: Callable[[int, Item, SourceStates], PairValues],
        results: PlanResults,
    ) -> None:
        """Add the values of a pair, or the cause of its failure."""
        roles = self.pairs.roles(pair)
        spans = [name for t in self._transfers for name in (t.source, t.base)]
        read = partial(read_spans, self.reader, sites=self.used_sites, spans=(*spans, "bos"))
        others = in_batches(
            self._model, self.pairs, read, numbers=list(roles.values()), batch_size=len(roles)
        )
        states = {role: others.values[n] for role, n in roles.items() if n in others.values}
        causes = {role: others.failures[n] for role, n in roles.items() if n in others.failures}
        if SOURCE in causes:
            results.failures[pair] = f"source: {causes[SOURCE]}"
            return
        results.control_failures.update({(pair, role): cause for role, cause in causes.items()})

        def compute_base(items: Sequence[Item]) -> list[PairValues]:
            return [compute(pair, items[0], states)]

        run = in_batches(self._model, self.pairs, compute_base, numbers=[pair], batch_size=1)
        results.pairs.update(run.values)
        results.failures.update(run.failures)

    def _copied(
        self,
        layout: PromptLayout,
        source: PromptStates | None,
        transfer: SpanTransfer,
        sites: Sequence[str],
    ) -> Change | None:
        """Return the states of a source for some sites; None if a prompt does not have the span."""
        change = {}
        for site in sites:
            states = None if source is None else source.states.get((site, transfer.source))
            positions = layout.positions(site, transfer.base)
            new = None if states is None else replacement(states, positions, self._lengths)
            if new is None:
                return None
            change[site] = new
        return change
