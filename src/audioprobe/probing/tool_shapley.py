"""Shapley values of the tools of an agent: what each tool contributes to its accuracy."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from audioprobe.errors import InvalidInputError
from audioprobe.inference import Infer, PromptFailure, map_prompts
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
    answers = [
        _responses(partial(model.generate, decoding=decoding), prompts, stage, progress)
        for stage, model in _agents(agent, wrap)
    ]
    correct = [
        [float(r is not None and is_correct(n, r)) for n, r in enumerate(responses)]
        for responses in answers
    ]
    settings = bootstrap or Bootstrap()
    estimates = [
        settings.estimate(mean(row), len(row), groups=groups)
        # The Shapley value of the accuracy is the mean over items of the values of single items.
        for row in (*shapley_values(correct), correct[-1], correct[0])
    ]
    return ToolShapley(
        tools=dict(zip(names, estimates[:-2], strict=True)),
        full=estimates[-2],
        empty=estimates[-1],
        n_subsets=len(answers),
        n_failed=sum(response is None for responses in answers for response in responses),
    )


def _agents(
    agent: AgentWithTools, wrap: Callable[[LanguageModel], LanguageModel] | None
) -> Iterator[tuple[str, LanguageModel]]:
    """Yield the agent with each subset of its tools, and the name of the subset.

    The order is that of `shapley_values`: tool n belongs to the subsets whose index has bit n set.
    """
    for subset in range(1 << len(agent.tools)):
        tools = [name for position, name in enumerate(agent.tools) if subset >> position & 1]
        model = agent.with_tools(tools)
        yield f"tools {', '.join(tools) or '(none)'}", model if wrap is None else wrap(model)


def _responses(
    generate: Infer[Prompt, Response],
    prompts: Sequence[Prompt],
    stage: str,
    progress: ProgressCallback,
) -> list[Response | None]:
    """Return the response to each prompt; None if it failed."""
    makers = [partial(_same, prompt) for prompt in prompts]
    responses = map_prompts(generate, makers, progress, stage=stage)
    return [None if isinstance(r, PromptFailure) else r for r in responses]


def _same(prompt: Prompt) -> Prompt:
    return prompt
