"""Prompts whose states replace those of another prompt, and the positions that correspond.

The choice depends on the prompts and the seed, not on the order of the prompts.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np

from audioprobe.interpretability.batches import Item
from audioprobe.interpretability.recording_plan import digest_of
from audioprobe.sites import InspectedPrompt, span_range
from audioprobe.texts import stable_hash

Pairs: TypeAlias = tuple[list[int], list[int]]
"""Positions that are replaced, and the positions of the donor that replace them."""


class Donors:
    """The choice of donors among prompts.

    Args:
        items: prompts with their layouts, keyed by index.
        concepts: concept of each prompt.
        sites: sites at which a donor must have at least as many positions.
        n_donors: number of donors of a prompt.
        seed: seed of the choice.
    """

    def __init__(
        self,
        items: Mapping[int, Item],
        concepts: Sequence[Hashable],
        sites: Sequence[str],
        n_donors: int,
        seed: int,
    ) -> None:
        self.items, self.n_donors = items, n_donors
        self._concepts, self._seed = concepts, seed
        # Layers have the same positions, so that one site stands for all of them.
        self._sites = list({re.sub(r"^lm\..*|\.\d+$", "", site): site for site in sites}.values())
        self._digests = {n: digest_of(prompt) for n, (prompt, _) in items.items()}
        self._sounds = {
            n: prompt.prompt.audio.digest() if prompt.prompt.audio else ""
            for n, (prompt, _) in items.items()
        }
        self._numbers = {prompt: n for n, (prompt, _) in items.items()}  # by identity
        self._rankings: dict[int, list[int]] = {}
        self._drawn: dict[tuple[int, str, bool], tuple[int, ...]] = {}

    def number(self, prompt: InspectedPrompt) -> int:
        """Return the index of a prompt object."""
        return self._numbers[prompt]

    def draw(self, number: int, span: str, *, same_concept: bool) -> tuple[int, ...]:
        """Return the indices of up to `n_donors` donors for a prompt.

        Args:
            number: index of the prompt.
            span: span whose states are replaced. If it is audio, donors have other audio.
            same_concept: whether donors have the same concept or another one.
        """
        key = number, span, same_concept
        if key not in self._drawn:
            contents = self._digests if span_range(span) is None else self._sounds
            usable = (
                n
                for n in self._ranking(number)
                if (self._concepts[n] == self._concepts[number]) == same_concept
                if contents[n] != contents[number] and self._has_enough(number, n, span)
            )
            self._drawn[key] = tuple(islice(usable, self.n_donors))
        return self._drawn[key]

    def pairs(self, number: int, donor: int | None, site: str, span: str) -> Pairs | None:
        """Return the positions of a span, aligned from its start; None without span or donor."""
        positions = list(self._positions(number, site, span))
        if donor is None or not positions:
            return None
        return positions, list(self._positions(donor, site, span)[: len(positions)])

    def others(self, number: int, donor: int | None, site: str, span: str) -> Pairs | None:
        """Return as many random positions outside a span; None if there are not enough.

        They are positions of the audio if it has enough, otherwise any before the span "last".
        """
        replaced = set(self._positions(number, site, span))
        if donor is None or not replaced:
            return None
        sounds, lasts = (
            [self._positions(n, site, name) for n in (number, donor)] for name in ("audio", "last")
        )
        pool = [(a, b) for a, b in zip(*sounds, strict=False) if a not in replaced]
        if len(pool) < len(replaced) and all(lasts):
            pool = [(n, n) for n in range(min(*lasts)[0]) if n not in replaced]
        if len(pool) < len(replaced):
            return None
        rng = np.random.default_rng(self._hash(number, donor, span))
        drawn = sorted(rng.choice(len(pool), size=len(replaced), replace=False).tolist())
        return [pool[n][0] for n in drawn], [pool[n][1] for n in drawn]

    def _positions(self, number: int, site: str, span: str) -> tuple[int, ...]:
        return self.items[number][1].positions(site, span)

    def _ranking(self, number: int) -> list[int]:
        """Return all prompts in a random order for one prompt."""
        if number not in self._rankings:
            self._rankings[number] = sorted(self.items, key=lambda n: (self._hash(number, n), n))
        return self._rankings[number]

    def _hash(self, number: int, donor: int, span: str = "") -> int:
        return stable_hash(f"{self._seed}|{self._digests[number]}|{self._digests[donor]}|{span}")

    def _has_enough(self, number: int, donor: int, span: str) -> bool:
        """Return whether the span of the donor is at least as long, at all sites that have it."""
        lengths = [
            (len(self._positions(number, site, span)), len(self._positions(donor, site, span)))
            for site in self._sites
        ]
        return any(n for n, _ in lengths) and all(n <= n_donor for n, n_donor in lengths)
