"""A model with likelihoods behind a store: what was asked once is never asked again."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from audioprobe.errors import ContractError, NonFiniteError
from audioprobe.io.cache import ResponseCache, key_of, scope_of
from audioprobe.models.cached import CachedModel
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.types import LogLikelihood, Prompt

_AT_ONCE = 16  # prompts looked up together; a kill repeats at most so many


class CachedLikelihoodModel(CachedModel):
    """As `CachedModel`, with likelihoods kept as well, by prompt and continuations.

    Args:
        inner: the model.
        store: as for `CachedModel`.
    """

    def __init__(self, inner: LikelihoodModel, store: str | Path | ResponseCache) -> None:
        super().__init__(inner, store)
        self._likely = inner

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """For each prompt, the log-likelihood of every continuation, in order.

        Raises:
            InvalidInputError: if the store is damaged.
            NonFiniteError: if an earlier version stored a log-likelihood that is not finite.
            ContractError: if the inner model answers more or fewer prompts than it was given.
            AudioProbeError: from the inner model; finished answers are kept.
        """
        scope = f"{scope_of(self.info)}\nlikelihoods {json.dumps(list(continuations))}"
        queue = iter(prompts)
        while batch := list(islice(queue, _AT_ONCE)):
            keys = [key_of(scope, prompt.digest()) for prompt in batch]
            known = self._store.read(keys)
            new = {k: p for k, p in zip(keys, batch, strict=True) if k not in known}
            self._count(hits=len(batch) - len(new), misses=len(new))
            self._fill(new, continuations)
            for key in keys:
                yield self._kept(key, len(continuations))

    def _fill(self, new: dict[bytes, Prompt], continuations: Sequence[str]) -> None:
        """Each answer is kept as it comes."""
        answers = (
            self._likely.log_likelihood(iter(new.values()), continuations) if new else iter(())
        )
        n = 0
        for key, found in zip(new, answers, strict=False):
            self._store.write({key: json.dumps([[x.total, x.n_tokens] for x in found]).encode()})
            n += 1
        if n != len(new):
            raise ContractError(f"The language model rated {n} of {len(new)} prompts.")

    def _kept(self, key: bytes, n: int) -> list[LogLikelihood]:
        try:
            found = [LogLikelihood(*pair) for pair in json.loads(self._store.read([key])[key])]
        except NonFiniteError:
            raise
        except (KeyError, ValueError, TypeError) as error:
            raise self._store.damaged() from error
        if len(found) != n:
            raise self._store.damaged()
        return found


def cached(model: LanguageModel, store: str | Path | ResponseCache) -> CachedModel:
    """A model behind a store, with its likelihoods where it has any."""
    if isinstance(model, LikelihoodModel):
        return CachedLikelihoodModel(model, store)
    return CachedModel(model, store)
