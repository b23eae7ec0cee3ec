"""Numbers of a study of architectures, from answers with known results."""

from itertools import product

import pytest
from tests.experiments.architectures.arm_results import (
    CONCEPTS,
    ROLES,
    call,
    complete,
    config,
    identity,
    record,
    relation,
    response,
    result,
    scene,
    trial,
    typical,
)

from audioprobe.experiments.architectures.agent_analysis import agent_use, tool_use_items
from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.comparison import differences_from_first, kappa, transfer
from audioprobe.experiments.architectures.evaluation import ANSWERS
from audioprobe.experiments.architectures.items import (
    PRIMARY,
    READING,
    RECOGNITION,
    SCENE_MEASURES,
    AnswerItem,
    GapPart,
    QuestionGroup,
    constant_accuracy,
    gap_measure,
    scene_chance,
    scene_floor,
)
from audioprobe.experiments.architectures.materials import RECORDINGS, SCENES
from audioprobe.experiments.architectures.seed_means import (
    arm_difference,
    paired_items,
    seed_contrast,
    seed_mean,
    sign_flip_p_value,
)
from audioprobe.experiments.architectures.storage import AgentResponse, ArmResult
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import sign_flips
from audioprobe.metrics.significance import holm
from audioprobe.probing.agreement import model_agreement
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.scores import accuracy
from audioprobe.probing.trial import Trial
from audioprobe.small_ltu.questions import FIRST, PRESENCE
from audioprobe.tool_calls import CALLS_KEY, calls_to_json
from audioprobe.types import Response

FEW = Bootstrap(200)
PARTS: tuple[GapPart, ...] = ("difference", "perception", "reasoning", "unknown")


@pytest.fixture(scope="module")
def summary() -> ArchitecturesSummary:
    return summarize(complete())


def test_questions_are_selected_by_role_condition_and_set() -> None:
    crow, clip = relation("crow", "held_out"), "crow recording"
    other = trial(relation("owl", "text_only"), "owl scene")
    trials = [trial(crow), trial(crow, clip), other, trial(identity("crow", "crow"), clip)]
    run = result(trials=trials)
    assert QuestionGroup("held_out", "text").trials(run) == trials[:1]
    assert QuestionGroup("held_out", "audio").trials(run) == trials[1:2]
    assert QuestionGroup("relations", "audio").trials(run) == trials[1:3]
    assert QuestionGroup("relations", "audio", SCENES).trials(run) == [other]
    assert QuestionGroup("relations", "audio", RECORDINGS).trials(run) == trials[1:2]
    assert QuestionGroup("identity", "audio").trials(run) == trials[3:]


def test_accuracy_is_balanced_and_averaged_over_seeds() -> None:
    """Seed 0: 1 of 1 with the answer yes, 1 of 3 with the answer no; seed 1: 0 of 1, and 1 of 1."""
    yes = trial(relation("crow", "held_out"), "crow scene")
    no = [
        trial(relation(c, "held_out", holds=False), f"{c} scene", correct=c == "owl")
        for c in ("owl", "dog", "cat")
    ]
    wrong = trial(relation("crow", "held_out"), "crow scene", correct=False)
    runs = {0: result(trials=[yes, *no]), 1: result(seed=1, trials=[wrong, no[0]])}
    mean = seed_mean({seed: PRIMARY.items(run) for seed, run in runs.items()}, FEW)
    assert mean.by_seed == {0: pytest.approx(2 / 3), 1: 0.5}
    assert mean.estimate.value == pytest.approx(7 / 12)
    assert mean.sd == pytest.approx((2 / 3 - 0.5) / 2**0.5)
    assert (mean.n_items, mean.estimate.n) == (6, 6)
    assert "resamples are undefined" in mean.estimate.method  # crow has the only answer yes


def test_failures_and_ties_are_counted_and_not_wrong() -> None:
    trials = [
        trial(relation("crow", "held_out"), "crow scene"),
        trial(relation("owl", "held_out"), "owl scene", correct=None),
        trial(relation("cat", "held_out"), "cat scene", failure="no audio"),
        trial(relation("dog", "held_out", holds=False), "dog scene", correct=False),
    ]
    mean = seed_mean({0: PRIMARY.items(result(trials=trials))}, FEW)
    assert mean.estimate.value == 0.5
    assert (mean.n_items, mean.n_invalid, mean.n_failed) == (4, 1, 1)
    assert (mean.estimate.n, mean.estimate.n_undefined) == (2, 2)


def test_accuracy_without_a_valid_answer_of_a_kind_is_undefined() -> None:
    trials = [
        trial(relation("crow", "held_out"), "crow scene"),
        trial(relation("owl", "held_out", holds=False), "owl scene", correct=None),
    ]
    mean = seed_mean({0: PRIMARY.items(result(trials=trials))}, FEW)
    assert (mean.estimate.value, mean.by_seed, mean.sd) == (None, {0: None}, None)
    empty = seed_mean({0: PRIMARY.items(result())}, FEW)
    assert (empty.estimate.value, empty.by_seed, empty.n_items) == (None, {}, 0)


def test_balanced_questions_have_the_accuracy_of_the_probe() -> None:
    run = typical("linear", 0, 0.7)
    group = QuestionGroup("text_only", "audio")
    mean = seed_mean({0: group.items(run)}, FEW)
    expected = accuracy(group.trials(run), READING, FEW)
    assert mean.estimate.value == pytest.approx(expected.value)


@pytest.mark.parametrize("part", PARTS)
def test_gap_of_a_seed_is_the_modality_gap(part: GapPart) -> None:
    run = typical("linear", 1, 0.6)
    measured = seed_mean({0: gap_measure("relations", part).items(run)}, FEW)
    expected = modality_gap(run.trials, READING, FEW)
    assert measured.estimate.value == pytest.approx(getattr(expected, part).value)
    assert measured.estimate.low == pytest.approx(getattr(expected, part).low)


def test_parts_of_the_gap_add_up_and_count_missing_partners() -> None:
    known, unknown = "crow scene", "owl recording"
    crow, owl = relation("crow", "held_out"), relation("owl", "held_out")
    trials = [
        trial(crow),
        trial(owl),
        trial(crow, known, correct=False),
        trial(owl, unknown, correct=False),
        trial(relation("cat", "held_out"), "cat scene"),  # not asked in text
        trial(identity("crow", "crow"), known),
        trial(identity("crow", "rain"), known),
    ]
    run = result(trials=trials)
    means = {part: seed_mean({0: gap_measure("held_out", part).items(run)}, FEW) for part in PARTS}
    values = {part: mean.estimate.value for part, mean in means.items()}
    assert values == {"difference": 1.0, "perception": 0.0, "reasoning": 0.5, "unknown": 0.5}
    assert (means["difference"].n_items, means["difference"].n_invalid) == (3, 1)


def test_differences_are_paired_by_seed_and_question() -> None:
    clip = "crow scene"
    pairs = [relation("crow", "held_out"), relation("owl", "held_out", holds=False)]

    def run(arm: str, seed: int, *correct: bool | None) -> ArmResult:
        both = zip(pairs, correct, strict=True)
        return result(arm, seed, trials=[trial(pair, clip, correct=c) for pair, c in both])

    first = {
        0: run("mlp", 0, True, True),
        1: run("mlp", 1, True, False),
        2: run("mlp", 2, True, True),
    }
    second = {0: run("linear", 0, False, True), 1: run("linear", 1, True, True)}
    difference = arm_difference(first, second, PRIMARY, FEW)
    assert difference is not None
    assert difference.mean.by_seed == {0: 0.5, 1: -0.5}
    assert difference.mean.estimate.value == 0.0
    assert (difference.first, difference.second) == ("mlp", "linear")
    assert arm_difference(first, {5: first[0]}, PRIMARY, FEW) is None


def test_a_question_without_two_valid_answers_has_no_difference() -> None:
    clip = "crow scene"
    crow, owl = relation("crow", "held_out"), relation("owl", "held_out")
    first = PRIMARY.items(result(trials=[trial(crow, clip), trial(owl, clip, correct=None)]))
    second = PRIMARY.items(result(trials=[trial(crow, clip, correct=False)]))
    assert [item.value for item in paired_items(first, second)] == [1.0, None]
    assert [item.value for item in paired_items(second, first)] == [-1.0, None]


def test_p_value_of_one_balanced_seed_is_that_of_sign_flips() -> None:
    first, second = (PRIMARY.items(typical("linear", 0, skill)) for skill in (0.9, 0.4))
    items = paired_items(first, second)
    values = [item.value or 0.0 for item in items]
    expected = sign_flips(values, groups=[item.group for item in items])
    assert sign_flip_p_value({0: items}, 0, "concepts") == pytest.approx(expected.p_value)
    assert sign_flip_p_value({0: items, 1: items}, 0, "concepts") == pytest.approx(expected.p_value)
    assert sign_flip_p_value({}, 0, "concepts") is None


def test_p_value_of_unequal_seeds_tests_the_mean_over_seeds() -> None:
    """Concept a: +1 in seed 0 (one question) and -1 in seed 1 (three questions): the mean is 0."""
    single = [trial(relation("a", "held_out"), "a scene")]
    three = [trial(relation("a", "held_out"), f"a{n} scene") for n in range(3)]

    def differences(trials: list[Trial], *, sign: float) -> list[AnswerItem]:
        items = PRIMARY.items(result(trials=trials))
        return [item._replace(value=sign) for item in items]

    other = differences([trial(relation("b", "held_out"), "b scene")], sign=0.0)
    items = {
        0: [*differences([*single], sign=1.0), *other],
        1: [*differences([*three], sign=-1.0), *other * 3],
    }
    assert seed_mean(items, FEW).estimate.value == 0.0
    assert sign_flip_p_value(items, 0, "concepts") == 1.0


def test_differences_from_the_first_arm_have_one_correction(summary: ArchitecturesSummary) -> None:
    differences = differences_from_first(summary.record, PRIMARY)
    assert [d.first for d in differences] == ["mlp", "controller", "cascade", "blind", "true-tags"]
    assert {d.second for d in differences} == {"linear"}
    expected = holm([d.p_value for d in differences])
    assert [d.corrected for d in differences] == list(expected)
    for each in differences:
        means = summary.primary(each.first), summary.primary("linear")
        values = [mean.estimate.value or 0.0 for mean in means]
        assert each.mean.estimate.value == pytest.approx(values[0] - values[1])
    assert summary.differences == differences


def test_recognition_asks_for_the_concept_of_a_clip() -> None:
    trials = [
        trial(identity("crow", "crow"), "crow scene"),
        trial(identity("crow", "owl"), "crow scene", correct=False),
        trial(relation("crow", "held_out"), "crow scene", correct=False),
    ]
    mean = seed_mean({0: RECOGNITION.items(result(trials=trials))}, FEW)
    assert (mean.estimate.value, mean.n_items) == (0.5, 2)


def test_accuracy_about_scenes_and_its_chance() -> None:
    scenes = [
        scene(0, "order"),
        scene(1, "order", ("A crow.", "Rain.", "A dog."), correct=False),
        scene(2, "order", correct=None),
        scene(3, "order", failure="no call"),
        scene(0, "number"),
    ]
    run = result(scenes=scenes)
    mean = seed_mean({0: SCENE_MEASURES["order"].items(run)}, FEW, "scenes")
    assert (mean.estimate.value, mean.n_items, mean.n_invalid, mean.n_failed) == (0.5, 4, 1, 1)
    assert scene_chance(run, "order") == pytest.approx((3 / 2 + 1 / 3) / 4)
    assert scene_chance(run, "number") == pytest.approx(1 / 3)
    assert scene_chance(run, "loudness") is None
    assert constant_accuracy(run, "loudness") is None
    assert scene_floor(run, "loudness") is None


def test_floor_of_scenes_is_the_better_one_of_guesses_and_one_answer() -> None:
    named = [scene(0, "order", ("A crow.", "Rain.")), scene(1, "order", ("A dog.", "Rain."))]
    named += [scene(2, "order", ("A cat.", "Rain."))]
    run = result(scenes=[*named, *(scene(n, "number") for n in range(3))])
    assert constant_accuracy(run, "order") == pytest.approx(1 / 3)
    assert scene_floor(run, "order") == 0.5
    assert scene_chance(run, "number") == pytest.approx(1 / 3)
    assert scene_floor(run, "number") == 1.0


def test_transfer_compares_roles_within_a_seed() -> None:
    def run(seed: int, **correct: bool) -> ArmResult:
        pairs = product(ROLES.values(), (True, False))
        trials = [
            trial(relation(c, role, holds=holds), f"{c} scene", correct=correct[role])
            for role, holds in pairs
            for c in CONCEPTS
        ]
        return result(seed=seed, trials=trials)

    runs = {
        0: run(0, held_out=False, text_only=True, audio_and_text=True),
        1: run(1, held_out=False, text_only=False, audio_and_text=True),
    }
    measured = transfer(runs, FEW)
    assert measured.from_text.by_seed == {0: 1.0, 1: 0.0}
    assert measured.from_audio.by_seed == {0: 0.0, 1: 1.0}
    assert measured.from_text.estimate.value == 0.5
    assert measured.from_text.n_items == 4 * len(CONCEPTS) * 2


def test_a_contrast_of_equal_items_is_zero_without_width() -> None:
    items = {
        0: PRIMARY.items(typical("linear", 0, 0.6)),
        1: PRIMARY.items(typical("linear", 1, 0.8)),
    }
    mean = seed_contrast(items, items, FEW)
    assert (mean.estimate.value, mean.estimate.low, mean.estimate.high) == (0.0, 0.0, 0.0)


def test_kappa_of_a_seed_is_that_of_the_probe() -> None:
    runs = [typical(arm, 0, skill) for arm, skill in (("linear", 0.8), ("cascade", 0.6))]
    measured = kappa({0: runs[0]}, {0: runs[1]}, FEW)
    audio = [[t for t in run.trials if t.question.condition == "audio"] for run in runs]
    expected = model_agreement(audio[0], audio[1], (READING, READING), FEW).kappa
    assert measured is not None
    assert measured.estimate.value == expected.value
    assert (measured.estimate.low, measured.estimate.high) == (expected.low, expected.high)
    assert kappa({0: runs[0]}, {1: runs[1]}, FEW) is None


def test_kappa_counts_answers_without_a_valid_partner() -> None:
    crow, owl = relation("crow", "held_out"), relation("owl", "held_out", holds=False)
    clip = "a scene"
    first = result(trials=[trial(crow, clip), trial(owl, clip), trial(crow, "b scene")])
    other = [trial(crow, clip), trial(owl, clip), trial(crow, "b scene", correct=None)]
    measured = kappa({0: first}, {0: result("cascade", trials=other)}, FEW)
    assert measured is not None
    assert (measured.estimate.value, measured.n_items, measured.n_invalid) == (1.0, 3, 1)


def test_plan_tool_and_answer_of_an_agent_are_measured_apart(
    summary: ArchitecturesSummary,
) -> None:
    """Of four questions per seed, one is right, one has a false result, and one a wrong plan."""
    used = summary.agents["controller"]
    total = used.by_tool["all"]
    assert (total.plan.value, total.n_items) == (0.75, 8)
    assert total.tool.value == pytest.approx(2 / 3)
    assert total.answer.value == 0.5
    assert total.answer_without_tool.value == 0.0
    assert used.strict_accuracy.value == 0.25
    assert used.tool_minus_plan.value == 0.0  # one of each
    assert set(used.by_tool) == {"all", "presence", "order", "count"}
    assert used.by_tool["order"].plan.value == 0.0


def test_true_results_follow_from_the_question() -> None:
    clip, crow = "crow scene", relation("crow", "held_out")
    question = trial(crow, clip)
    trials = [question, trial(identity("crow", "owl"), clip)]
    scenes = [scene(0, "order"), scene(0, "loudness"), scene(0, "number")]
    texts = [(clip, question.question.text), (clip, PRESENCE[0].format("a owl"))]
    texts += [("scene 0", each.question.text) for each in scenes]
    texts += [("another clip", "Is it a bird?")]
    responses = tuple(response(*each, "") for each in texts)
    items = list(tool_use_items(result(trials=trials, scenes=scenes, responses=responses)))
    assert [item.plan[0].tool for item in items] == [
        *("tags", "presence", "order", "loudness", "count")
    ]
    assert [item.results for item in items] == [
        *(("a crow",), ("no",), ("A crow",), ("A crow",), ("1",))
    ]
    assert {item.correct for item in items} == {None}  # "" is not an option


@pytest.mark.parametrize(
    ("tags", "is_right"),
    [
        ("a crow (0.60), rain (0.20)", True),
        ("rain (0.60), a crow (0.20)", False),
        ("no sound", False),
    ],
)
def test_the_most_probable_tag_must_be_the_concept(tags: str, is_right: bool) -> None:
    question = trial(relation("crow", "held_out"), "crow scene")
    answer = response("crow scene", question.question.text, ANSWERS[0], call("tags", tags))
    used = agent_use({0: result(trials=[question], responses=(answer,))}, FEW)
    assert used is not None
    assert used.by_tool["all"].tool.value == float(is_right)


def test_an_agent_without_an_answer_counts_as_wrong_in_strict_accuracy_only() -> None:
    details = {CALLS_KEY: calls_to_json([call("order", "a crow", which="first")])}
    no_answer = Response("", abstained=True, details=details)
    abstained = AgentResponse(clip="scene 0", question=FIRST, response=no_answer)
    right = response("scene 1", FIRST, "A crow.", call("order", "a crow", which="first"))
    run = result(scenes=[scene(0), scene(1)], responses=(abstained, right))
    used = agent_use({0: run}, FEW)
    assert used is not None
    assert (used.by_tool["all"].accuracy.value, used.strict_accuracy.value) == (1.0, 0.5)
    assert agent_use({0: result()}, FEW) is None


def test_partial_studies_are_summarised() -> None:
    study = config()
    runs = [typical("mlp", 1, 0.8), typical("blind", 0, 0.5)]
    partial = summarize(record(runs, study))
    assert [arm.name for arm in partial.arms] == ["mlp", "blind"]
    assert partial.differences == ()
    assert partial.agreement == {}
    assert len(partial.record.missing) == 10
    only = summarize(record([result("cascade", 0)], study))  # without a single question
    assert only.primary("cascade").estimate.value is None
    assert only.chance == {}
