"""Likelihoods behind a store are those of the model, and asked once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.errors import ContractError, InvalidInputError, NonFiniteError
from audioprobe.io.response_log import ResponseLog
from audioprobe.models.cached_likelihoods import CachedLikelihoodModel, cached


def model(name: str = "one") -> Scripted:
    def likelihood(prompt: Prompt, text: str) -> LogLikelihood:
        return LogLikelihood(-float(len(prompt.text + text)), len(text))

    return Scripted("yes", likelihood=likelihood, name=name)


PROMPTS = [Prompt(f"question {n}") for n in range(40)]


@pytest.mark.parametrize("store", ["answers.sqlite", "answers.jsonl"])
def test_what_was_asked_once_is_not_asked_again(tmp_path: Path, store: str) -> None:
    path = tmp_path / store
    for n_asked in (40, 0):
        inner = model()
        keeper = cached(inner, ResponseLog(path) if store.endswith("jsonl") else path)
        assert isinstance(keeper, CachedLikelihoodModel)
        found = list(keeper.log_likelihood(PROMPTS, ["yes", "no"]))
        assert found == [list(x) for x in model().log_likelihood(PROMPTS, ["yes", "no"])]
        assert inner.n_asked == n_asked
        assert (keeper.n_hits, keeper.n_misses) == (40 - n_asked, n_asked)


def test_other_continuations_and_other_models_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    list(CachedLikelihoodModel(model(), path).log_likelihood(PROMPTS, ["yes", "no"]))
    for inner, texts in ((model(), ["no", "yes"]), (model("two"), ["yes", "no"])):
        list(CachedLikelihoodModel(inner, path).log_likelihood(PROMPTS, texts))
        assert inner.n_asked == 40


def test_a_model_that_rates_too_few_is_told_of(tmp_path: Path) -> None:
    class Lazy(Scripted):
        def log_likelihood(self, prompts, continuations):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return iter(())

    keeper = CachedLikelihoodModel(Lazy("yes"), tmp_path / "answers.sqlite")
    with pytest.raises(ContractError, match="rated 0 of 16 prompts"):
        list(keeper.log_likelihood(PROMPTS, ["yes"]))


class Earlier:
    """A store that another version wrote."""

    path = Path("answers.sqlite")

    def __init__(self, stored: str) -> None:
        self._stored = stored.encode()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return dict.fromkeys(keys, self._stored)

    def write(self, answers: Mapping[bytes, bytes]) -> None:
        raise AssertionError("everything is there")

    def damaged(self) -> InvalidInputError:
        return InvalidInputError("damaged")


@pytest.mark.parametrize("stored", ["[[NaN, 1]]", "[[-Infinity, 3]]"])
def test_stored_numbers_that_are_not_finite_are_no_likelihoods(stored: str) -> None:
    with pytest.raises(NonFiniteError):
        list(CachedLikelihoodModel(model(), Earlier(stored)).log_likelihood(PROMPTS, ["yes"]))


@pytest.mark.parametrize("stored", ["[[2.0, 1]]", "[[-1.0, 0]]", '[["a", 1]]', "[[-1.0]]", "[]"])
def test_what_cannot_have_been_stored_is_damage(stored: str) -> None:
    with pytest.raises(InvalidInputError, match="damaged"):
        list(CachedLikelihoodModel(model(), Earlier(stored)).log_likelihood(PROMPTS, ["yes"]))
