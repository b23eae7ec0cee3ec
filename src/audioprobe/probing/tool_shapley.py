"""Shapley values of the tools of an agent: what each tool contributes to its accuracy."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.inference import PromptFailure, map_prompts
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.shapley import MAX_PLAYERS, shapley_values
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.tool_use import estimates_table
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.types import Decoding, Estimate, Prompt, Response


class AgentWithTools(LanguageModel, Protocol):
    """A language model whose tools can be limited, such as `ToolAgent`."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools."""
        ...

    def with_tools(self, names: Iterable[str]) -> LanguageModel:
        """Return the model with only these tools."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class ToolShapley(TidyData, Displayed):
    """Contribution of each tool to the accuracy, averaged over all orders of adding the tools.

    The values of the tools sum to `full` minus `empty`. Intervals resample the groups of items.

    Attributes:
        tools: Shapley value of each tool by its name.
        full: accuracy with all tools.
        empty: accuracy without tools.
        n_subsets: number of subsets of the tools.
        n_failed: number of prompts without a response, over all subsets; they count as wrong.
    """

    tools: dict[str, Estimate]
    full: Estimate
    empty: Estimate
    n_subsets: int
    n_failed: int = 0

    def data(self) -> DataTable:
        """Return a table with one row per tool, and the accuracy with all tools and without."""
        return estimates_table("tool", {**self.tools, "(all)": self.full, "(none)": self.empty})

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the Shapley values, and the accuracies."""
        cells = tuple((name, str(estimate)) for name, estimate in self.tools.items())
        sentences = (
            f"accuracy with all tools {self.full}, without tools {self.empty}",
            f"{self.n_subsets} subsets of tools, {self.full.n} items, {self.n_failed} failures",
        )
        return (Table(("tool", "Shapley value"), cells, (1,)),), sentences


def tool_shapley(
    agent: AgentWithTools,
    prompts: Sequence[Prompt],
    is_correct: Callable[[int, Response], bool],
    *,
    groups: Sequence[Hashable] | None = None,
    bootstrap: Bootstrap | None = None,
    wrap: Callable[[LanguageModel], LanguageModel] | None = None,
    decoding: Decoding | None = None,
    progress: ProgressCallback = ignore_progress,
) -> ToolShapley:
    """Run an agent with every subset of its tools, and compute the Shapley values of the tools.

    An agent with n tools is run 2**n times. The values are those of the agent as it is: a
    controller may call other tools if one is missing.

    Args:
        agent: an agent with at least one and at most 12 tools.
        prompts: the items.
        is_correct: function of the position of a prompt and the response; an invalid answer is
            wrong.
        groups: group of each item, such as its concept or clip, which intervals resample; None
            resamples items.
        bootstrap: how confidence intervals are computed; None uses the default.
        wrap: function that is applied to the agent of each subset, such as one that returns a
            `CachedModel`, so that responses are stored.
        decoding: decoding settings; None uses the default of the agent.
        progress: called after each response.

    Raises:
        InvalidInputError: for no prompts, no tools, or more than 12 tools.
        AudioProbeError: for errors that concern all prompts.
    """
    names = agent.tools
    if not 1 <= len(names) <= MAX_PLAYERS or not prompts:
        raise InvalidInputError(
            f"Expected 1 to {MAX_PLAYERS} tools and at least one prompt, got {len(names)} tools "
            f"and {len(prompts)} prompts. Limit the tools with `with_tools`."
        )
    n_failed = 0
    correct = np.zeros((1 << len(names), len(prompts)))
    for subset in range(len(correct)):
        chosen = [name for position, name in enumerate(names) if subset >> position & 1]
        model = agent.with_tools(chosen)
        model = model if wrap is None else wrap(model)
        responses = map_prompts(
            partial(model.generate, decoding=decoding),
            [partial(_same, prompt) for prompt in prompts],
            progress,
            stage=f"tools {', '.join(chosen) or '(none)'}",
        )
        for position, response in enumerate(responses):
            if isinstance(response, PromptFailure):
                n_failed += 1
            else:
                correct[subset, position] = bool(is_correct(position, response))

    def estimate(values: np.ndarray) -> Estimate:
        unit = "" if groups is None else "groups"
        settings = bootstrap or Bootstrap()
        return settings.estimate(mean(values), len(values), groups=groups, unit=unit)

    # The Shapley value of the accuracy is the mean over items of the values of single items.
    contributions = shapley_values(correct)
    return ToolShapley(
        tools={name: estimate(row) for name, row in zip(names, contributions, strict=True)},
        full=estimate(correct[-1]),
        empty=estimate(correct[0]),
        n_subsets=len(correct),
        n_failed=n_failed,
    )


def _same(prompt: Prompt) -> Prompt:
    return prompt
