"""Measure an agent with tools in parts: its plan, its tools, and its answers.

An agent can fail because it calls the wrong tools, because a tool is wrong, or because it does not
use the result. The parts are measured on the calls in `Response.details`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.tool_calls import CallRequest, ToolCall, calls_of
from audioprobe.types import Estimate, Response

Agrees: TypeAlias = Callable[[ToolCall, str], bool]
"""Function that states whether the result of a call agrees with the expected result."""

_DETAILS = re.compile(r" \([^()]*\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUseItem:
    """A question to an agent, what was expected, and the response.

    Attributes:
        concept: concept (or clip) of the question; intervals resample concepts.
        plan: calls that the question needs.
        results: true result of each call of the plan; () if unknown.
        response: response of the agent; None if it failed.
        correct: whether the answer is correct; None if there is no valid answer.

    Raises:
        InvalidInputError: if there are results, but not one for each call of the plan.
    """

    concept: str
    plan: tuple[CallRequest, ...]
    results: tuple[str, ...] = ()
    response: Response | None
    correct: bool | None

    def __post_init__(self) -> None:
        if self.results and len(self.results) != len(self.plan):
            raise InvalidInputError(
                f"Expected one result for each of {len(self.plan)} planned calls, got "
                f"{len(self.results)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class ToolUse(TidyData, Displayed):
    """How often plan, tools and answers are right; intervals resample concepts.

    Attributes:
        plan: share of items whose calls are exactly those of the plan. Order, repetition and
            malformed steps do not count.
        tool: share with the true result of every planned call, among items with the right plan.
        answer: share of correct answers, among items with the right plan and true results.
        answer_without_tool: share of correct answers, among items with the right plan, but a false
            result: answers that do not follow the tool.
        answer_without_plan: share of correct answers, among items with a wrong plan.
        accuracy: share of correct answers among all valid answers.
        n_items: number of items.
        n_failed: number of items without a response.
        n_unanswered: number of responses that abstain.
        n_calls: number of calls, malformed steps included.
        n_failed_calls: number of calls without a result, malformed steps included.
        n_malformed: number of steps that could not be parsed.
    """

    plan: Estimate
    tool: Estimate
    answer: Estimate
    answer_without_tool: Estimate
    answer_without_plan: Estimate
    accuracy: Estimate
    n_items: int
    n_failed: int
    n_unanswered: int
    n_calls: int
    n_failed_calls: int
    n_malformed: int

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The estimates by the name of the measure."""
        return {
            "plan right": self.plan,
            "tool right, given the plan": self.tool,
            "answer right, given plan and tool": self.answer,
            "answer right, tool wrong": self.answer_without_tool,
            "answer right, plan wrong": self.answer_without_plan,
            "accuracy": self.accuracy,
        }

    def data(self) -> DataTable:
        """Return a table with one row per measure."""
        return estimates_table("measure", self.estimates)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table of the measures, and the counts."""
        cells = tuple((name, str(e), str(e.n)) for name, e in self.estimates.items())
        sentences = (
            f"{self.n_items} items, {self.n_failed} failed, {self.n_unanswered} unanswered; "
            f"{self.n_calls} calls, {self.n_failed_calls} without a result, of which "
            f"{self.n_malformed} malformed steps",
        )
        return (Table(("measure", "value", "n"), cells, (1, 2)),), sentences


def same_result(call: ToolCall, expected: str) -> bool:
    """Return whether a result equals the expected text, without case and details in brackets.

    "yes (0.93)" agrees with "yes", and "2 (a dog, rain)" with "2".
    """
    return _DETAILS.sub("", call.result).casefold().strip() == expected.casefold().strip()


def tool_use(
    items: Sequence[ToolUseItem],
    bootstrap: Bootstrap | None = None,
    *,
    agrees: Agrees = same_result,
) -> ToolUse:
    """Measure plan, tools and answers of an agent.

    An item whose part is unknown (no response, no true result, or no valid answer) is left out of
    an estimate and counted in `Estimate.n_undefined`.

    Args:
        items: questions with the responses of the agent.
        bootstrap: how confidence intervals are computed; None uses the default.
        agrees: whether the result of a call agrees with the true result.

    Raises:
        InvalidInputError: if the details of a response are damaged.
    """
    rows = [parts_of(item, agrees) for item in items]
    right_plan = [row for row in rows if row.plan]

    def estimate(selected: Sequence[ToolUseParts], part: str) -> Estimate:
        values = [(row.concept, getattr(row, part)) for row in selected]
        defined = [(concept, float(value)) for concept, value in values if value is not None]
        n_left_out = len(values) - len(defined)
        if not defined:
            return Estimate(value=None, n=0, n_undefined=n_left_out, method="no such items")
        result = (bootstrap or Bootstrap()).estimate(
            mean([value for _, value in defined]),
            len(defined),
            groups=[concept for concept, _ in defined],
            unit="concepts",
        )
        return replace(result, n_undefined=result.n_undefined + n_left_out)

    calls = [call for row in rows for call in row.calls]
    return ToolUse(
        plan=estimate(rows, "plan"),
        tool=estimate(right_plan, "tool"),
        answer=estimate([row for row in right_plan if row.tool], "correct"),
        answer_without_tool=estimate([r for r in right_plan if r.tool is False], "correct"),
        answer_without_plan=estimate([row for row in rows if row.plan is False], "correct"),
        accuracy=estimate(rows, "correct"),
        n_items=len(items),
        n_failed=sum(item.response is None for item in items),
        n_unanswered=sum(item.response is not None and item.response.abstained for item in items),
        n_calls=len(calls),
        n_failed_calls=sum(bool(call.error) for call in calls),
        n_malformed=sum(bool(call.malformed) for call in calls),
    )


def estimates_table(name: str, estimates: dict[str, Estimate]) -> DataTable:
    """Return a table of estimates, whose first column `name` contains their names."""
    names = (name, "value", "low", "high", "n", "n_undefined", "method")
    rows = (
        (key, e.value, e.low, e.high, e.n, e.n_undefined, e.method) for key, e in estimates.items()
    )
    return DataTable.from_rows(names, rows)


@dataclass(frozen=True, slots=True)
class ToolUseParts:
    """Which parts of an item are right; None is unknown.

    Attributes:
        concept: concept (or clip) of the question.
        calls: calls of the agent.
        plan: whether the calls are exactly those of the plan.
        tool: whether all planned calls have the true result; unknown with another plan.
        correct: whether the answer is correct.
    """

    concept: str
    calls: tuple[ToolCall, ...]
    plan: bool | None
    tool: bool | None
    correct: bool | None


def parts_of(item: ToolUseItem, agrees: Agrees = same_result) -> ToolUseParts:
    """Return which parts of an item are right; see `tool_use`."""
    calls = None if item.response is None else calls_of(item.response)
    if calls is None:
        return ToolUseParts(item.concept, (), None, None, item.correct)
    by_key = {call.request.key: call for call in calls if not call.malformed}
    plan = set(by_key) == {request.key for request in item.plan}
    tool = None
    if plan and (item.results or not item.plan):
        pairs = [(by_key[r.key], true) for r, true in zip(item.plan, item.results, strict=True)]
        tool = all(not call.error and agrees(call, true) for call, true in pairs)
    return ToolUseParts(item.concept, calls, plan, tool, item.correct)
