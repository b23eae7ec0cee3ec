"""Plan, tool and answer of an agent are measured apart; Shapley values of tools sum to the gain."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.tool_agent.agents import FrameLevels, FunctionTool, frozen_clock, scene

from audioprobe import Bootstrap, CachedModel, Scripted, ToolAgent
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.tool_agent.text_controllers import PlannedController
from audioprobe.probing import ToolUse, ToolUseItem, tool_shapley, tool_use
from audioprobe.probing.tool_use import same_result
from audioprobe.protocols import LanguageModel
from audioprobe.tool_calls import CALLS_KEY, CallRequest, ToolCall, calls_to_json
from audioprobe.types import Prompt, Response

DOG = CallRequest("presence", {"sound": "a dog"})
COUNT = CallRequest("count")
BOOTSTRAP = Bootstrap(n_resamples=100)


def call(request: CallRequest, result: str, error: str = "", malformed: str = "") -> ToolCall:
    return ToolCall(
        tool=request.tool,
        arguments=request.arguments,
        result=result,
        error=error,
        malformed=malformed,
    )


def response(*calls: ToolCall, abstained: bool = False) -> Response:
    return Response("yes", abstained=abstained, details={CALLS_KEY: calls_to_json(calls)})


def item(
    *calls: ToolCall, correct: bool | None = True, concept: str = "dog", results: tuple[str, ...]
) -> ToolUseItem:
    """Return an item whose plan is to ask for a dog."""
    return ToolUseItem(
        concept=concept, plan=(DOG,), results=results, response=response(*calls), correct=correct
    )


YES, NO = call(DOG, "yes (0.93)"), call(DOG, "no (0.10)")
RIGHT = item(YES, results=("yes",))
ITEMS = [
    RIGHT,
    item(YES, YES, concept="rain", results=("yes",)),  # repeated
    item(YES, correct=False, results=("yes",)),
    item(NO, correct=False, results=("yes",)),  # the tool is wrong
    item(call(COUNT, "2"), correct=True, results=("yes",)),  # the plan is wrong
    item(YES, call(COUNT, "2"), correct=False, concept="rain", results=("yes",)),
    item(YES, correct=None, results=()),  # the truth is unknown
]


def values(use: ToolUse) -> list[float | None]:
    return [estimate.value for estimate in use.estimates.values()]


def test_parts_are_measured_apart() -> None:
    use = tool_use(ITEMS, BOOTSTRAP)
    assert values(use) == pytest.approx([5 / 7, 3 / 4, 2 / 3, 0.0, 1 / 2, 3 / 6])
    assert (use.plan.n, use.tool.n, use.tool.n_undefined, use.accuracy.n_undefined) == (7, 4, 1, 1)
    assert use.plan.unit == "concepts"
    assert use.plan.n_groups == 2
    assert use.plan.low is not None
    assert (use.n_items, use.n_calls, use.n_failed_calls) == (7, 9, 0)


def test_failed_calls_malformed_steps_and_missing_responses_are_counted() -> None:
    failed = call(DOG, "failed: no", error="no")
    malformed = call(CallRequest(""), "failed: malformed", error="malformed", malformed="Hm.")
    unanswered = ToolUseItem(
        concept="dog",
        plan=(DOG,),
        results=("yes",),
        response=response(failed, abstained=True),
        correct=None,
    )
    lost = ToolUseItem(concept="dog", plan=(DOG,), response=None, correct=None)
    use = tool_use([item(malformed, YES, results=("yes",)), unanswered, lost], BOOTSTRAP)
    assert (use.n_failed, use.n_unanswered) == (1, 1)
    assert (use.n_calls, use.n_failed_calls, use.n_malformed) == (3, 2, 1)
    assert values(use)[:3] == [1.0, 0.5, 1.0]
    assert use.plan.n_undefined == 1


def test_items_without_data_give_undefined_estimates() -> None:
    use = tool_use([], BOOTSTRAP)
    assert values(use) == [None] * 6
    plain = ToolUseItem(concept="a", plan=(), response=Response("yes"), correct=True)
    assert values(tool_use([plain], BOOTSTRAP)) == [None] * 5 + [1.0]


def test_question_that_needs_no_tool() -> None:
    right = ToolUseItem(concept="a", plan=(), response=response(), correct=True)
    assert values(tool_use([right], BOOTSTRAP))[:3] == [1.0, 1.0, 1.0]


@given(st.lists(st.sampled_from(ITEMS), max_size=12))
@settings(max_examples=30)
def test_accuracy_is_the_sum_over_the_parts(items: list[ToolUseItem]) -> None:
    answered = [i for i in items if i.correct is not None]
    use = tool_use(answered, Bootstrap(n_resamples=2))
    parts = (use.answer, use.answer_without_tool, use.answer_without_plan)
    n_correct = sum(e.n * (e.value or 0) for e in parts)
    assert n_correct == pytest.approx(use.accuracy.n * (use.accuracy.value or 0))


def test_results_agree_without_case_and_details() -> None:
    assert same_result(call(COUNT, "2 (a dog, rain)"), "2")
    assert same_result(call(DOG, "Yes (0.93)"), "yes")
    assert not same_result(call(COUNT, "12"), "2")
    assert not same_result(call(COUNT, "a dog whistle"), "a dog")


def test_results_must_match_the_plan() -> None:
    with pytest.raises(InvalidInputError, match="one result for each of 1 planned calls, got 2"):
        item(YES, results=("yes", "no"))


def test_measures_are_shown_and_tabulated() -> None:
    use = tool_use(ITEMS, BOOTSTRAP)
    assert "tool right, given the plan" in repr(use)
    assert "7 items, 0 failed" in repr(use)
    assert use.data().columns["measure"] == list(use.estimates)
    assert use.data().columns["value"] == values(use)


class Needs:
    """A model that is right if it has all of some tools; fails for one prompt without tools."""

    info = Scripted("a").info

    def __init__(self, tools: Iterable[str], needs: dict[str, set[str]]) -> None:
        self.tools = tuple(tools)
        self._needs = needs

    def with_tools(self, names: Iterable[str]) -> LanguageModel:
        tools = set(names)

        def answer(prompt: Prompt) -> Response:
            if prompt.text == "fails" and not tools:
                raise UnsupportedInputError("no tools")
            return Response("right" if self._needs[prompt.text] <= tools else "wrong")

        return Scripted(answer)

    generate = Scripted("unused").generate


NEEDS = {"first": {"a"}, "second": {"a", "b"}, "third": set(), "fails": {"c"}}


def is_right(_: int, answer: Response) -> bool:
    return answer.text == "right"


def test_shapley_values_of_tools_with_known_contributions() -> None:
    prompts = [Prompt(text) for text in NEEDS]
    result = tool_shapley(Needs("abcd", NEEDS), prompts, is_right, bootstrap=BOOTSTRAP)
    expected = {"a": 1.5 / 4, "b": 0.5 / 4, "c": 1 / 4, "d": 0.0}
    assert {name: e.value for name, e in result.tools.items()} == pytest.approx(expected)
    assert (result.full.value, result.empty.value) == (1.0, 0.25)
    assert (result.n_subsets, result.n_failed) == (16, 1)
    assert result.tools["d"].low == result.tools["d"].high == 0.0
    assert result.data().columns["tool"] == ["a", "b", "c", "d", "(all)", "(none)"]
    assert "16 subsets of tools, 4 items, 1 failures" in repr(result)


subsets = st.dictionaries(st.text(min_size=1, max_size=3), st.sets(st.sampled_from("abc")))


@given(subsets.filter(bool))
@settings(max_examples=20)
def test_shapley_values_sum_to_the_gain(needs: dict[str, set[str]]) -> None:
    prompts = [Prompt(text) for text in needs]
    result = tool_shapley(
        Needs("abc", needs), prompts, is_right, bootstrap=Bootstrap(n_resamples=2)
    )
    total = sum(e.value or 0 for e in result.tools.values())
    assert total == pytest.approx((result.full.value or 0) - (result.empty.value or 0))


def test_shapley_values_of_a_real_agent_with_a_cache(tmp_path: Path) -> None:
    def answer(prompt: Prompt) -> str:
        return "yes" if "a dog" in prompt.text else "no"

    plan = PlannedController([CallRequest("tags"), CallRequest("probe")], Scripted(answer))
    probe = FunctionTool(lambda _: "a dog")
    agent = ToolAgent(plan, ["tags:yamnet", probe], clock=frozen_clock)
    prompts = [Prompt(str(n), scene(1 + n)) for n in range(3)]

    def cached(model: LanguageModel) -> LanguageModel:
        return CachedModel(model, tmp_path / "cache.sqlite")

    results = [
        tool_shapley(
            agent,
            prompts,
            lambda _, r: r.text == "yes",
            groups=["x", "x", "y"],
            bootstrap=BOOTSTRAP,
            wrap=cached,
        )
        for _ in range(2)
    ]
    assert results[0].tools == results[1].tools
    assert {name: e.value for name, e in results[0].tools.items()} == {"tags": 0.0, "probe": 1.0}
    assert results[0].full.n_groups == 2


def test_number_of_tools_and_prompts_is_checked() -> None:
    agent = ToolAgent(PlannedController([], Scripted("a")), [FrameLevels()])
    with pytest.raises(InvalidInputError, match="got 5 tools and 0 prompts"):
        tool_shapley(agent, [], is_right)
    with pytest.raises(InvalidInputError, match="got 0 tools and 1 prompts"):
        tool_shapley(agent.with_tools([]), [Prompt("a")], is_right)
