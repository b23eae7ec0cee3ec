"""Pairs of a base prompt and a source prompt, with the prompts of controls, for patching."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import overload

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.answer_logits import AnswerReader, check_same_options
from audioprobe.interpretability.batches import Item, in_batches
from audioprobe.interpretability.recording_plan import digest_of
from audioprobe.interpretability.span_transfer import SpanTransfer, check_lengths
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, PromptLayout
from audioprobe.texts import stable_hash
from audioprobe.types import Prompt

SOURCE, OTHER, SAME = "source", "other concept", "same concept"
"""Roles of prompts whose states are copied into a base prompt: source and two controls."""


@dataclass(frozen=True, slots=True, eq=False)
class _Description:
    """What is known of a prompt before the model runs; its audio is not stored."""

    prompt: InspectedPrompt
    digest: str
    layout: PromptLayout


class PromptPairs(Sequence[InspectedPrompt]):
    """All prompts of the pairs in one sequence: bases, sources, same-concept prompts.

    A prompt is read when it is used, and is continued by the tokens that its options share. All
    prompts are read once at the start, so that arguments that do not fit are refused early.

    Args:
        model: the model.
        prompts: base prompts.
        sources: source of each base prompt, with the same options.
        concepts: concept of each pair.
        same_concept: for each pair, a prompt like the base with another clip of the concept; None
            for no such prompts.
        seed: seed of the choice of sources of other concepts.

    Attributes:
        concepts: concept of each pair.
        failures: cause of the failure of each prompt that cannot be read, by its index.

    Raises:
        InvalidInputError: if the numbers of prompts or concepts differ, there are none, or the
            prompts of a pair have different options.
    """

    def __init__(
        self,
        model: Inspectable,
        prompts: Sequence[InspectedPrompt],
        sources: Sequence[InspectedPrompt],
        concepts: Sequence[Hashable],
        *,
        same_concept: Sequence[InspectedPrompt] | None = None,
        seed: int = 0,
    ) -> None:
        self._lists = (prompts, sources) + (() if same_concept is None else (same_concept,))
        lengths = [len(concepts), *(len(part) for part in self._lists)]
        if len(set(lengths)) > 1 or not concepts:
            raise InvalidInputError(
                "Expected as many base prompts, sources and concepts, at least one, got "
                f"{lengths[1]} prompts, {lengths[2]} sources and {lengths[0]} concepts"
                f"{f', {lengths[3]} same-concept prompts' if same_concept is not None else ''}."
            )
        self.concepts, self._reader = tuple(concepts), AnswerReader(model)
        self.failures: dict[int, str] = {}
        self._described = self._describe(model)
        for part in range(1, len(self._lists)):
            check_same_options(self._options(0, part), self._options(part, 0))
        self._others = [self._other(n, seed) for n in range(self.n_pairs)]

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.concepts)

    def __len__(self) -> int:
        return self.n_pairs * len(self._lists)

    @overload
    def __getitem__(self, index: int) -> InspectedPrompt: ...
    @overload
    def __getitem__(self, index: slice) -> list[InspectedPrompt]: ...
    def __getitem__(self, index: int | slice) -> InspectedPrompt | list[InspectedPrompt]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        part, number = divmod(range(len(self))[index], self.n_pairs)
        return self._reader.prompt(self._lists[part][number])

    def roles(self, pair: int) -> dict[str, int]:
        """Return the index of each prompt of a pair but the base; controls may be absent."""
        roles = {SOURCE: self.n_pairs + pair}
        other = self._others[pair]
        if other is not None:
            roles[OTHER] = other
        if len(self._lists) > 2:
            roles[SAME] = 2 * self.n_pairs + pair
        return roles

    def names(self) -> tuple[str, ...]:
        """Return the name of each pair: the id of its base prompt, or its index."""
        bases = (self._described.get(n) for n in range(self.n_pairs))
        ids = [base.prompt.id if base else "" for base in bases]
        return tuple(name or str(n) for n, name in enumerate(ids))

    def seed_of(self, pair: int, key: str) -> int:
        """Return a seed that depends on the base prompt and a key, not on the order of pairs."""
        return stable_hash(f"{self._described[pair].digest}|{key}")

    def check_lengths(self, transfers: Sequence[SpanTransfer], sites: Sequence[str]) -> None:
        """Raise `InvalidInputError` if the spans of a pair have different lengths at a site."""
        for n in range(self.n_pairs):
            base, source = (self._described.get(k) for k in (n, self.n_pairs + n))
            if base is None or source is None:
                continue
            for transfer in transfers:
                for site in sites:
                    check_lengths(transfer, site, source.layout, base.layout)

    def _describe(self, model: Inspectable) -> dict[int, _Description]:
        """Return a description of each prompt that can be read, and store the failures."""

        def describe(items: Sequence[Item]) -> list[_Description]:
            return [
                _Description(_without_audio(prompt), digest_of(prompt), layout)
                for prompt, layout in items
            ]

        described: dict[int, _Description] = {}
        for number in range(len(self)):  # one by one, so that audio is not kept
            results = in_batches(model, self, describe, numbers=[number], batch_size=1)
            described |= results.values
            self.failures |= results.failures
        return described

    def _options(self, part: int, partner: int) -> list[InspectedPrompt]:
        """Return the prompts of a list without audio; empty ones if one of a pair is unreadable."""
        size, empty = self.n_pairs, InspectedPrompt(Prompt(""))
        numbers = [(part * size + n, partner * size + n) for n in range(size)]
        known = self._described
        return [known[a].prompt if a in known and b in known else empty for a, b in numbers]

    def _other(self, pair: int, seed: int) -> int | None:
        """Return the index of a source of another concept with the same options, if any.

        The choice depends on the prompts and the seed, not on the order of the pairs.
        """
        base = self._described.get(pair)
        if base is None:
            return None
        candidates = {
            source.digest: number
            for n, concept in enumerate(self.concepts)
            if concept != self.concepts[pair]
            and (source := self._described.get(number := self.n_pairs + n)) is not None
            and source.prompt.options == base.prompt.options
        }
        if not candidates:
            return None
        digests = sorted(candidates)
        return candidates[digests[stable_hash(f"{seed}|{base.digest}") % len(digests)]]


def _without_audio(prompt: InspectedPrompt) -> InspectedPrompt:
    """Return a prompt without its audio, which needs little memory."""
    return replace(prompt, prompt=Prompt(prompt.prompt.text))
