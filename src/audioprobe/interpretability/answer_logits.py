"""Logits of the possible answers to a prompt, and their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.protocols import Inspectable
from audioprobe.sites import InspectedPrompt, SiteHook, canonical_site

NO_HOOKS: Mapping[str, SiteHook] = MappingProxyType({})
"""No hooks."""


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The first token of each option of a prompt that no other option shares.

    Attributes:
        ids: id of the token of each option; the first option is correct.
        shared: ids of the tokens that all options begin with, which come before it.
    """

    ids: tuple[int, ...]
    shared: tuple[int, ...]

    @classmethod
    def of(cls, model: Inspectable, prompt: InspectedPrompt) -> "AnswerTokens":
        """Return the tokens of the options of a prompt.

        Raises:
            InvalidInputError: if the prompt has fewer than two options, or two of them do not
                differ in their first token after the beginning that all share.
        """
        if len(prompt.options) < 2:
            raise InvalidInputError(
                "Expected a prompt with at least two options, the first of which is correct, got "
                f"options {prompt.options}."
            )
        ids = [tuple(model.continuation_ids(text)) for text in prompt.options]
        n_shared = 0
        while all(len(each) > n_shared for each in ids) and len({i[n_shared] for i in ids}) == 1:
            n_shared += 1
        firsts = tuple(each[n_shared] for each in ids if len(each) > n_shared)
        if len(set(firsts)) < len(ids):
            raise InvalidInputError(
                f"Expected options that differ in their first token, got {prompt.options}. Write "
                "options whose texts begin differently."
            )
        return cls(firsts, ids[0][:n_shared])

    def difference(self, logits: Tensor) -> Tensor:
        """Return the logit of the correct option minus the mean logit of the other options.

        Args:
            logits: logits of the vocabulary, shape (..., n_vocabulary).

        Returns:
            Shape (...). A positive value favours the correct option; with two options, it is the
            log of their odds.
        """
        values = logits[..., list(self.ids)].float()
        return values[..., 0] - values[..., 1:].mean(dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class AnswerReader:
    """Reads the logits at the position where the options of a prompt begin to differ.

    Attributes:
        model: the model.
    """

    model: Inspectable

    def prompt(self, prompt: InspectedPrompt) -> InspectedPrompt:
        """Return the prompt, continued by the tokens that all its options begin with."""
        shared = AnswerTokens.of(self.model, prompt).shared
        return replace(prompt, continuation="".join(self.model.token_texts(shared)))

    def logits(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Mapping[str, SiteHook] = NO_HOOKS,
        options: ForwardOptions = NO_OPTIONS,
    ) -> list[Tensor]:
        """Return the logits after each prompt of a batch, shape (n_vocabulary,) each.

        Args:
            prompts: prompts from `prompt`.
            hooks: hooks of the forward pass, none of them at "lm.logits".
            options: options of the forward pass.
        """
        states: dict[int, Tensor] = {}

        def read(number: int, values: Tensor) -> None:
            states[number] = values[-1]

        # Logits of a large vocabulary are expensive, so they are computed for one position only.
        normalized = all(canonical_site(name) != "lm.norm" for name in hooks)
        site = "lm.norm" if normalized else "lm.logits"
        self.model.run_with_hooks(prompts, {**hooks, site: read}, options)
        last = [states[n] for n in range(len(prompts))]
        if not normalized:
            return last
        with torch.set_grad_enabled(options.gradients):
            return list(self.model.vocabulary_logits(torch.stack(last), normalized=True))


def log_probabilities(logits: Tensor) -> Tensor:
    """Return log-probabilities of logits, shape (..., n_vocabulary), in float32.

    Raises:
        NonFiniteError: if a logit is NaN or infinite.
    """
    if not torch.isfinite(logits).all():
        raise NonFiniteError(
            f"Expected finite logits, got NaN or infinity. {NonFiniteError.ADVICE}"
        )
    return logits.float().log_softmax(dim=-1)


def check_same_options(first: Sequence[InspectedPrompt], second: Sequence[InspectedPrompt]) -> None:
    """Raise `InvalidInputError` unless the prompts of each pair have the same options."""
    if len(first) != len(second):
        raise InvalidInputError(
            f"Expected two prompts per pair, got {len(first)} and {len(second)} prompts."
        )
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.options != b.options:
            raise InvalidInputError(
                f"Expected pairs of prompts with the same options in the same order, got "
                f"{a.options} and {b.options} in pair {number}. Pair questions with equal answers."
            )
