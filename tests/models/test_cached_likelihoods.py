"""Cached likelihoods are those of the model, computed once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from audioprobe import CachedModel, LogLikelihood, Scripted
from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.io.cache import ResponseLog, SQLiteCache
from audioprobe.models.cached import CachedLikelihoodModel
from audioprobe.types import Prompt


def rated(name: str = "one") -> Scripted:
    def likelihood(prompt: Prompt, text: str) -> LogLikelihood:
        return LogLikelihood(-float(len(prompt.text + text)), len(text))

    return Scripted("yes", likelihood=likelihood, name=name)


PROMPTS = [Prompt(f"question {n}") for n in range(40)]


def likelihoods(
    model: Scripted, cache: Path | ResponseLog | SQLiteCache, texts: Sequence[str]
) -> list[list[LogLikelihood]]:
    cached = CachedModel(model, cache)
    assert isinstance(cached, CachedLikelihoodModel)
    return [list(row) for row in cached.log_likelihood(PROMPTS, texts)]


@pytest.mark.parametrize("name", ["cache.sqlite", "responses.jsonl"])
def test_likelihoods_are_stored(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    expected = [list(row) for row in rated().log_likelihood(PROMPTS, ["yes", "no"])]
    for n_asked in (40, 0):
        inner, cache = rated(), ResponseLog(path) if name.endswith("jsonl") else path
        assert likelihoods(inner, cache, ["yes", "no"]) == expected
        assert inner.n_asked == n_asked


def test_likelihood_keys_include_continuations_and_model(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    likelihoods(rated(), path, ["yes", "no"])
    for inner, texts in ((rated(), ["no", "yes"]), (rated("two"), ["yes", "no"])):
        likelihoods(inner, path, texts)
        assert inner.n_asked == 40


class FixedCache:
    """Returns the same content for every key."""

    path = Path("cache.sqlite")

    def __init__(self, content: str) -> None:
        self._content = content.encode()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return dict.fromkeys(keys, self._content)

    def write(self, values: Mapping[bytes, bytes]) -> None:
        raise AssertionError("every key has a value")


@pytest.mark.parametrize("content", ["[[NaN, 1]]", "[[-Infinity, 3]]"])
def test_stored_likelihood_that_is_not_finite_is_an_error(content: str) -> None:
    model = CachedModel(rated(), FixedCache(content))
    assert isinstance(model, CachedLikelihoodModel)
    with pytest.raises(NonFiniteError):
        list(model.log_likelihood(PROMPTS, ["yes"]))


@pytest.mark.parametrize("content", ["[[2.0, 1]]", "[[-1.0, 0]]", '[["a", 1]]', "[[-1.0]]", "[]"])
def test_stored_likelihood_of_another_form_is_an_error(content: str) -> None:
    model = CachedModel(rated(), FixedCache(content))
    assert isinstance(model, CachedLikelihoodModel)
    with pytest.raises(InvalidInputError, match="damaged"):
        list(model.log_likelihood(PROMPTS, ["yes"]))
