"""Plan, tools and answers of an agent, measured apart from its calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audioprobe.experiments.architectures.evaluation import ANSWERS
from audioprobe.experiments.architectures.questions import SceneQuestion
from audioprobe.experiments.architectures.storage import AgentResponse, ArmResult
from audioprobe.experiments.architectures.tool_plans import plan_of
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.tool_use import ToolUse, ToolUseItem, parts_of, same_result, tool_use
from audioprobe.probing.trial import ProbeQuestion
from audioprobe.tool_calls import ToolCall
from audioprobe.types import Estimate, Response

ALL_TOOLS = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUse:
    """How an agent uses its tools, for questions of all seeds.

    Attributes:
        by_tool: results by the planned tool, and "all".
        strict_accuracy: share of correct answers among all questions; failures and questions
            without an answer count as wrong.
        tool_minus_plan: share of questions with the right plan but a false result, minus the share
            with a wrong plan: positive if tools cause more errors than plans.
    """

    by_tool: Mapping[str, ToolUse]
    strict_accuracy: Estimate
    tool_minus_plan: Estimate


def agent_use(results: Mapping[int, ArmResult], bootstrap: Bootstrap) -> AgentUse | None:
    """Measure the calls of an agent; None if it has none.

    The true result of a call follows from the question: whether a sound is present, which sound is
    the first, last or loudest, and how many there are. For "tags", the most probable label must be
    the concept of the clip. Intervals resample concepts (or scenes), not seeds.
    """
    items = [item for result in results.values() for item in tool_use_items(result)]
    if not items:
        return None
    by_tool = {ALL_TOOLS: items}
    for item in items:
        by_tool.setdefault(item.plan[0].tool, []).append(item)
    parts = [parts_of(item, agrees) for item in items]
    known = [(p.concept, _cause(p.plan, p.tool)) for p in parts]
    causes = [(concept, cause) for concept, cause in known if cause is not None]
    return AgentUse(
        by_tool={
            tool: tool_use(of_tool, bootstrap, agrees=agrees) for tool, of_tool in by_tool.items()
        },
        strict_accuracy=_mean([(i.concept, float(bool(i.correct))) for i in items], 0, bootstrap),
        tool_minus_plan=_mean(causes, len(known) - len(causes), bootstrap),
    )


def tool_use_items(result: ArmResult) -> Iterator[ToolUseItem]:
    """Yield the questions of a training run with the expected plan and results, and the response.

    Responses to questions that are not among the answers of the run are left out.
    """
    probe = {
        (trial.question.clip, trial.question.text): trial.question
        for trial in result.trials
        if trial.question.condition == "audio"
    }
    scenes = {(f"scene {t.question.scene}", t.question.text): t.question for t in result.scenes}
    for each in result.responses:
        key = each.clip, each.question
        if key in probe:
            yield _about_clip(each, probe[key])
        elif key in scenes:
            yield _about_scene(each, scenes[key])


def agrees(call: ToolCall, expected: str) -> bool:
    """Return whether the result of a call is the expected one.

    Of a list of tags, such as "a dog (0.93), rain (0.41)", the first one must be expected.
    """
    if call.tool == "tags":
        return call.result.partition(" (")[0].casefold() == expected.casefold()
    return same_result(call, expected)


def _about_clip(each: AgentResponse, question: ProbeQuestion) -> ToolUseItem:
    plan, pair = plan_of(each.question), question.pair
    results: tuple[str, ...] = ()
    if len(plan) == 1 and plan[0].tool == "tags":
        results = (pair.phrase,)
    elif len(plan) == 1 and pair.relation == "identity":
        results = ("yes" if pair.holds else "no",)
    return ToolUseItem(
        concept=pair.concept,
        plan=plan,
        results=results,
        response=each.response,
        correct=_is_correct(each.response, ANSWERS, question.correct),
    )


def _about_scene(each: AgentResponse, question: SceneQuestion) -> ToolUseItem:
    answer = question.options[question.correct]
    expected = str(question.correct + 1) if question.task == "number" else answer.rstrip(".")
    return ToolUseItem(
        concept=each.clip,
        plan=plan_of(each.question),
        results=(expected,),
        response=each.response,
        correct=_is_correct(each.response, question.options, question.correct),
    )


def _is_correct(response: Response | None, options: tuple[str, ...], correct: int) -> bool | None:
    """Return whether a response is the correct option; None if it is none of the options."""
    if response is None or response.abstained or response.text not in options:
        return None
    return options.index(response.text) == correct


def _cause(plan: bool | None, tool: bool | None) -> float | None:
    """Return 1 for a false result after the right plan, -1 for a wrong plan, 0 for neither."""
    if plan is False:
        return -1.0
    return None if tool is None else float(not tool)


def _mean(values: list[tuple[str, float]], n_undefined: int, bootstrap: Bootstrap) -> Estimate:
    if not values:
        return Estimate(value=None, n=0, n_undefined=n_undefined, method="no such items")
    groups = [group for group, _ in values]
    statistic = mean([value for _, value in values])
    return bootstrap.estimate(statistic, len(values), groups=groups, unit="concepts")
