"""Contracts of what takes prompts to text."""

import operator
from collections.abc import Iterable, Iterator, Sequence

from audioprobe.errors import UnsupportedInputError
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.testing.rules import (
    check_info,
    check_laziness,
    check_refusal,
    check_stream,
    example_sounds,
    require,
    within_rounding,
)
from audioprobe.types import LogLikelihood, Prompt, Response

QUESTION = "Write an audio caption describing the sound."
TEXTS = ("Is a crow a bird?", "What is rain?", "Name an animal.")


def check_language_model(model: LanguageModel, *, with_sound: bool = True) -> None:
    """One response per prompt, in order, alone as in company.

    Args:
        model: a model that is greedy by default.
        with_sound: whether it takes sound; a model of text alone must refuse it.

    Raises:
        ContractError: names the broken rule.
    """
    check_info(model, "language_model")
    sounds = example_sounds()
    prompts = [Prompt(f"{QUESTION} ({n})", sound) for n, sound in enumerate(sounds)]
    if not with_sound:
        check_refusal(
            lambda: list(model.generate(prompts[:1])),
            UnsupportedInputError,
            "generate: a model of text alone refuses sound with UnsupportedInputError",
        )
        prompts = [Prompt(text) for text in TEXTS]
    for response in check_stream("generate", model.generate, prompts, operator.eq):
        require(isinstance(response, Response), "generate: yields Response")
        require(response.finish in ("stop", "length"), 'finish: is "stop" or "length"')
    check_laziness("generate", model.generate, prompts[0])


def check_likelihood_model(model: LikelihoodModel, *, with_sound: bool = True) -> None:
    """As `check_language_model`, and log-likelihoods that do not depend on their neighbours.

    Raises:
        ContractError: names the broken rule.
    """
    check_language_model(model, with_sound=with_sound)
    sound = example_sounds()[0] if with_sound else None
    prompts = [Prompt(QUESTION, sound), Prompt("What is heard?", sound)]
    continuations = [" a crow", " rain on a roof", " a dog"]

    def ask(items: Iterable[Prompt]) -> Iterator[Sequence[LogLikelihood]]:
        return model.log_likelihood(items, continuations)

    answers = check_stream("log_likelihood", ask, prompts, _same_likelihoods)
    for row in answers:
        require(len(row) == len(continuations), "log_likelihood: one per continuation")
        require(
            all(isinstance(item, LogLikelihood) for item in row),
            "log_likelihood: yields LogLikelihood, finite and at most 0 nats",
        )
    reverse = next(iter(model.log_likelihood(prompts[:1], continuations[::-1])))
    require(
        _same_likelihoods(answers[0], reverse[::-1]),
        "log_likelihood: the order of continuations does not matter",
    )


def _same_likelihoods(one: Sequence[LogLikelihood], other: Sequence[LogLikelihood]) -> bool:
    return len(one) == len(other) and all(
        a.n_tokens == b.n_tokens and within_rounding(a.total, b.total)
        for a, b in zip(one, other, strict=True)
    )
