"""Results of arms with planned answers, to check the analysis against known numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from audioprobe.experiments.architectures.config import ArchitecturesConfig
from audioprobe.experiments.architectures.cost import ArmCost
from audioprobe.experiments.architectures.evaluation import ANSWERS
from audioprobe.experiments.architectures.materials import RECORDINGS, SCENES
from audioprobe.experiments.architectures.questions import SceneQuestion, SceneTask
from audioprobe.experiments.architectures.storage import (
    AgentResponse,
    ArchitecturesRecord,
    ArmResult,
    SceneTrial,
    planned_runs,
)
from audioprobe.io.config import parse_config
from audioprobe.probing.trial import ConceptPair, ProbeQuestion, Trial
from audioprobe.small_ltu.questions import FIRST, HOW_MANY, LOUDEST, NUMBERS, PRESENCE
from audioprobe.small_ltu.relations import SplitRole
from audioprobe.tool_calls import CALLS_KEY, ToolCall, calls_to_json
from audioprobe.types import Response

ROLES: Mapping[str, SplitRole] = {"0": "held_out", "1": "text_only", "2": "audio_and_text"}
"""Role of a pair by its number; the true and the false relation of a role have the same number."""
_NUMBERS = {role: int(number) for number, role in ROLES.items()}

ARMS: tuple[dict[str, Any], ...] = (
    {"name": "linear"},
    {"name": "mlp", "connector": {"kind": "mlp", "width": 8}},
    {"name": "controller", "input": "tools"},
    {"name": "cascade", "input": "tags"},
    {"name": "blind", "input": "nothing"},
    {"name": "true-tags", "input": "true tags"},
)
"""Arms of a study in the tests, as tables of TOML."""


def relation(concept: str, role: SplitRole, *, holds: bool = True) -> ConceptPair:
    target = "bird" if holds else "fish"
    return ConceptPair(
        concept=concept,
        phrase=f"a {concept}",
        relation="hypernym",
        target=target,
        target_phrase=f"a {target}",
        holds=holds,
        match=_NUMBERS[role],
    )


def identity(concept: str, target: str) -> ConceptPair:
    return ConceptPair(
        concept=concept,
        phrase=f"a {concept}",
        relation="identity",
        target=target,
        target_phrase=f"a {target}",
        holds=concept == target,
    )


def trial(
    pair: ConceptPair, clip: str = "", *, correct: bool | None = True, failure: str = ""
) -> Trial:
    """Return a question with a correct, wrong, or invalid (None) answer, or a failure.

    Args:
        pair: the relation.
        clip: id of the clip; "" asks in text.
        correct: whether the answer is correct; None makes both answers equally likely.
        failure: cause of a failure.
    """
    right = int(not pair.holds)
    text = f"Is {pair.phrase} {pair.target_phrase}?"
    if clip:
        text = f"Is the sound made by {pair.target_phrase}?"
    if pair.relation == "identity":
        text = PRESENCE[0].format(pair.target_phrase)
    question = ProbeQuestion(
        pair=pair,
        condition="audio" if clip else "text",
        clip=clip,
        audio=clip,
        text=text,
        correct=right,
    )
    chosen = right if correct else 1 - right
    values = [-1.0, -1.0] if correct is None else [-float(n != chosen) for n in (0, 1)]
    return Trial(
        question=question, log_likelihoods=() if failure else tuple(values), failure=failure
    )


_TEXTS: Mapping[SceneTask, str] = {"order": FIRST, "loudness": LOUDEST, "number": HOW_MANY}


def scene(
    number: int,
    task: SceneTask = "order",
    options: Sequence[str] = ("A crow.", "Rain."),
    *,
    correct: bool | None = True,
    failure: str = "",
) -> SceneTrial:
    """Return a question about a scene, whose first option is correct."""
    named = NUMBERS if task == "number" else tuple(options)
    question = SceneQuestion(task=task, scene=number, text=_TEXTS[task], options=named, correct=0)
    chosen = 0 if correct else 1
    values = [0.0 if n == chosen or correct is None else -1.0 for n in range(len(named))]
    return SceneTrial(
        question=question, log_likelihoods=() if failure else tuple(values), failure=failure
    )


def response(clip: str, question: str, answer: str, *calls: ToolCall) -> AgentResponse:
    details = {CALLS_KEY: calls_to_json(calls)}
    return AgentResponse(clip=clip, question=question, response=Response(answer, details=details))


def result(
    arm: str = "linear",
    seed: int = 0,
    *,
    trials: Sequence[Trial] = (),
    scenes: Sequence[SceneTrial] = (),
    **changes: Any,
) -> ArmResult:
    """Return the result of a run; the set of a clip is in its name."""
    clips = {t.question.clip for t in trials if t.question.clip}
    fields: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "trials": tuple(trials),
        "scenes": tuple(scenes),
        "roles": ROLES,
        "sets": {clip: RECORDINGS if "recording" in clip else SCENES for clip in clips},
        "cost": ArmCost(n_connector=100, n_trainable=300, n_positions=50.0, flops=2e9),
        "n_steps": 3,
        "n_questions": 30,
        "seconds_per_step": 2.0,
        "rate": 1.0,
        "rate_losses": {"0.3": 1.5, "1.0": 1.25, "3.0": None},
        "losses": (3.0, 2.0, 1.0),
        "start": {"time": "2026-01-01T00:00:00+00:00", "versions": {}, "commit": ""},
    }
    return ArmResult(**{**fields, **changes})


def config(arms: Sequence[Mapping[str, Any]] = ARMS, **changes: Any) -> ArchitecturesConfig:
    tables = {
        "kind": "architectures",
        "recipe": "architectures",
        "seeds": 2,
        "bootstrap": {"n_resamples": 200},
        "arms": [dict(arm) for arm in arms],
        **changes,
    }
    return parse_config(ArchitecturesConfig, tables, "the study")


def record(results: Sequence[ArmResult], study: ArchitecturesConfig) -> ArchitecturesRecord:
    by_run = {(each.arm, each.seed): each for each in results}
    ordered = {run: by_run[run] for run in planned_runs(study) if run in by_run}
    starts = [{"time": "2026-01-01T00:00:00+00:00", "versions": {"audioprobe": "1"}}]
    return ArchitecturesRecord(study, ordered, {"pinned": {"data": {}}, "starts": starts})


CONCEPTS = ("crow", "owl", "duck", "dog", "cat", "cow", "rain", "wind")


def typical_trials(skill: float, seed: int, *, text: float = 1.0) -> list[Trial]:
    """Return answers to questions about all concepts, of which a planned share is correct.

    Args:
        skill: share of correct answers about clips, in [0, 1].
        seed: the answers that are wrong differ between seeds.
        text: share of correct answers in text.
    """
    trials = []
    for n, concept in enumerate(CONCEPTS):
        clips = [f"{concept} scene", f"{concept} recording"]
        for m, role in enumerate(ROLES.values()):
            for holds in (True, False):
                pair = relation(concept, role, holds=holds)
                trials.append(trial(pair, correct=_is_in(n + m, text)))
                for k, clip in enumerate(clips):
                    is_right = _is_in(3 * n + m + k + int(holds) + seed, skill)
                    trials.append(trial(pair, clip, correct=is_right))
        for k, clip in enumerate(clips):
            other = CONCEPTS[(n + 1) % len(CONCEPTS)]
            is_right = _is_in(5 * n + k + seed, skill)
            trials += [
                trial(identity(concept, t), clip, correct=is_right) for t in (concept, other)
            ]
    return trials


def typical_scenes(skill: float, seed: int) -> list[SceneTrial]:
    tasks: tuple[SceneTask, ...] = ("order", "loudness", "number")
    options = ("A crow.", "Rain."), ("A crow.", "Rain.", "A dog.")
    return [
        scene(n, task, options[n % 2], correct=_is_in(7 * n + seed, skill))
        for n in range(8)
        for task in tasks
    ]


def _is_in(number: int, share: float) -> bool:
    """Return True for a share of the numbers, spread evenly."""
    return int((number + 1) * share) > int(number * share)


def typical(arm: str, seed: int, skill: float, **changes: Any) -> ArmResult:
    trials, scenes = typical_trials(skill, seed), typical_scenes(skill, seed)
    return result(arm, seed, trials=trials, scenes=scenes, **changes)


SKILLS = {
    "linear": 0.8,
    "mlp": 0.8,
    "controller": 0.7,
    "cascade": 0.75,
    "blind": 0.5,
    "true-tags": 1.0,
}


def call(tool: str, result: str, **arguments: str) -> ToolCall:
    return ToolCall(tool=tool, arguments=arguments, result=result)


def controller_responses() -> tuple[AgentResponse, ...]:
    """Return a right answer, a false result, a wrong plan, and an answer in spite of the result."""
    yes, first = ANSWERS[0], call("tags", "a crow (0.60)")
    crow, owl = (PRESENCE[0].format(sound) for sound in ("a crow", "a owl"))
    return (
        response("crow scene", crow, yes, call("presence", "yes (0.93)", sound="a crow")),
        response("crow scene", owl, yes, call("presence", "yes (0.41)", sound="a owl")),
        response("scene 0", FIRST, "Rain.", first),
        response("scene 1", HOW_MANY, "Two.", call("count", "1 (a crow)")),
    )


def complete() -> ArchitecturesRecord:
    """Return a study with all runs."""
    study = config()
    results = []
    for arm, seed in planned_runs(study):
        more: dict[str, Any] = {}
        if arm == "controller":
            more["responses"] = controller_responses()
        if study.arm(arm).input != "tokens":
            more["rate_losses"] = {}
        results.append(typical(arm, seed, SKILLS[arm], **more))
    return record(results, study)
