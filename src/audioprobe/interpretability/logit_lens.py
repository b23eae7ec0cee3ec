"""Logit lens: states inside the model, read as if they were those of the last layer.

The states of each position are converted by the final norm and the unembedding (nostalgebraist
2020), or by a tuned lens first. Each position of a span is read, and the measures are combined
afterwards; the lens never reads a mean state.

Measures of the right word of a prompt (see `lens_reading.measures_of` for ties and for words of
several tokens): "log-probability", "reciprocal rank" and "first" (1 if no other word is as likely,
else 0) compare the candidate words alone. "vocabulary log-probability" and "vocabulary reciprocal
rank" compare all tokens.

Controls: "shuffled targets" is the mean, over the other concepts, of the measure of the targets of
their prompts, so that a lens that prefers some words has no advantage. "random weights" is the
measure in a copy of the model whose weights are permuted, without tuned lens.

If a lens finds nothing, something may still be represented: see `nearest_texts`.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.batches import BatchResults, Item, in_batches
from audioprobe.interpretability.lens_places import (
    ItemName,
    check_concepts,
    item_names,
    places_of,
    read_places,
    sites_of,
    spans_of,
)
from audioprobe.interpretability.lens_reading import (
    MEASURES,
    SpanReading,
    check_lens_sites,
    read_site,
)
from audioprobe.interpretability.lens_result import LensResult, curves_of, target_measures
from audioprobe.interpretability.lens_words import TokenRule, WordTokens
from audioprobe.interpretability.site_curve import Place
from audioprobe.interpretability.tuned_lens import TunedLens
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt
from audioprobe.types import Float64Array

Readings: TypeAlias = Mapping[Place, SpanReading]
"""What a lens reads from a prompt, by place; places that the prompt does not have are absent."""


def logit_lens(
    model: Inspectable,
    prompts: Sequence[InspectedPrompt],
    concepts: Sequence[Hashable],
    *,
    words: Sequence[str],
    targets: Sequence[str],
    sites: str | Sequence[str] = "lm.resid.*",
    spans: Sequence[str] = ("audio", "last"),
    tokens: TokenRule = "first",
    lens: TunedLens | None = None,
    n_top: int = 5,
    random_weights: bool = True,
    batch_size: int = 8,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> LensResult:
    """Read activations as words, at each site and span.

    Args:
        model: the model.
        prompts: the prompts.
        concepts: concept of each prompt; the unit of intervals and tests.
        words: candidate words, written as the model would write them at these positions.
        targets: the right one of `words` for each prompt.
        sites: "lm.embed", "lm.resid.*", "lm.norm", "lm.logits", or patterns.
        spans: spans whose positions are read.
        tokens: "first" reads the first token that distinguishes a word from all other words, "mean"
            all its tokens.
        lens: tuned lens of this model, trained at these spans; None for the logit lens.
        n_top: number of most likely tokens in the table of readings.
        random_weights: whether to compute this control, which needs memory for a second model.
        batch_size: prompts per forward pass.
        seed: random seed of the permuted weights.
        progress: called after every batch.

    Raises:
        InvalidInputError: if numbers of prompts, concepts and targets differ, a target is not among
            the words, words cannot be distinguished, a lens cannot read a site, or the tuned lens
            belongs to another model or to other spans.
        UnsupportedInputError: if weights are quantized, and cannot be permuted.
    """
    check_concepts(len(prompts), concepts=concepts, targets=targets)
    places = places_of(model, sites, spans)
    check_lens_sites(sites_of(places))
    if lens is not None:
        lens.check(model, sites_of(places), spans_of(places))
    reader = _Reader.of(WordTokens.of(model, words, tokens), targets, places, lens, n_top)
    results = reader.read(model, prompts, batch_size, progress)
    random: BatchResults[Readings] | None = None
    if random_weights:
        copy, callback = model.randomized(seed), prefixed(progress, "random weights")
        random = replace(reader, lens=None, n_top=0).read(copy, prompts, batch_size, callback)
    return _result(model, reader, concepts, results, random)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Reader:
    """Settings of a lens.

    Attributes:
        words: the candidate words.
        chosen: indices of the words that are a target of any prompt.
        targets: index of the target of each prompt in `chosen`.
        places: sites and spans that are read.
        lens: tuned lens; None for the logit lens.
        n_top: number of most likely tokens.
    """

    words: WordTokens
    chosen: tuple[int, ...]
    targets: tuple[int, ...]
    places: tuple[Place, ...]
    lens: TunedLens | None
    n_top: int

    @classmethod
    def of(
        cls,
        words: WordTokens,
        targets: Sequence[str],
        places: tuple[Place, ...],
        lens: TunedLens | None,
        n_top: int,
    ) -> "_Reader":
        for target in targets:
            if target not in words.words:
                raise InvalidInputError(
                    f"Expected targets among the {len(words.words)} words, got {target!r}."
                    f"{did_you_mean(target, words.words)}"
                )
        chosen = list(dict.fromkeys(targets))
        return cls(
            words=words,
            chosen=tuple(words.words.index(word) for word in chosen),
            targets=tuple(chosen.index(target) for target in targets),
            places=places,
            lens=lens,
            n_top=n_top,
        )

    def read(
        self,
        model: Inspectable,
        prompts: Sequence[InspectedPrompt],
        batch_size: int,
        progress: ProgressCallback,
    ) -> BatchResults[Readings]:
        """Return what the lens reads from each prompt."""

        def compute(batch: Sequence[Item]) -> list[Readings]:
            states = read_places(model, batch, self.places)
            readings: list[dict[Place, SpanReading]] = [{} for _ in batch]
            for site in sites_of(self.places):
                keys = [(n, p) for n, each in enumerate(states) for p in each if p.site == site]
                if not keys:
                    continue
                for (n, place), reading in zip(
                    keys, self._read(model, site, [states[n][p] for n, p in keys]), strict=True
                ):
                    readings[n][place] = reading
            return list(readings)

        return in_batches(
            model, prompts, compute, batch_size=batch_size, stage="lens", progress=progress
        )

    def _read(self, model: Inspectable, site: str, spans: list[States]) -> list[SpanReading]:
        return read_site(
            model, site, spans, self.words, chosen=self.chosen, lens=self.lens, n_top=self.n_top
        )

    def values(
        self, results: BatchResults[Readings], concepts: Sequence[Hashable]
    ) -> tuple[Float64Array, Float64Array]:
        """Return the measures of the right words, and of those of other concepts."""
        readings = {
            n: {place: reading.values for place, reading in by_place.items()}
            for n, by_place in results.values.items()
        }
        return target_measures(len(MEASURES), readings, self.places, self.targets, concepts)

    @property
    def name(self) -> str:
        """Name of the lens and the rule by which it reads words."""
        kind = "logit" if self.lens is None else "tuned"
        rule = "first distinguishing token" if self.words.rule == "first" else "mean over tokens"
        return f"{kind} lens, words by {rule}"


def _result(
    model: Inspectable,
    reader: _Reader,
    concepts: Sequence[Hashable],
    results: BatchResults[Readings],
    random: BatchResults[Readings] | None,
) -> LensResult:
    """Return the curves and the table of tokens; `random` are the readings with random weights."""
    items = item_names(results, concepts)
    values, shuffled = reader.values(results, concepts)
    controls, failures = {"shuffled targets": shuffled}, dict(results.failures)
    if random is not None:
        controls["random weights"], _ = reader.values(random, concepts)
        for n, cause in random.failures.items():
            failures.setdefault(n, f"control with random weights: {cause}")
    return LensResult(
        lens=reader.name,
        curves=curves_of(MEASURES, reader.places, items, values, controls),
        readings=_top_tokens(model, results.values, items),
        words=reader.words.data(),
        failures=failures,
    )


def _top_tokens(
    model: Inspectable, readings: Mapping[int, Readings], items: Sequence[ItemName]
) -> DataTable:
    """Return a table of the most likely tokens at each place of each prompt."""
    rows = [
        (*items[n].texts, place.site, place.span, rank, *token)
        for n, prompt_readings in sorted(readings.items())
        for place, reading in prompt_readings.items()
        for rank, token in enumerate(
            zip(
                reading.top_ids,
                model.token_texts(reading.top_ids),
                reading.top_means,
                reading.top_bests,
                strict=True,
            ),
            1,
        )
    ]
    names = ("item", "concept", "site", "span", "rank", "token_id", "token")
    return DataTable.from_rows((*names, "mean_probability", "best_probability"), rows)
