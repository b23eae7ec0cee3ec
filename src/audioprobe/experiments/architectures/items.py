"""Answers of a training run as items with a value, for means and differences over seeds."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from audioprobe.experiments.architectures.questions import SCENE_TASKS, SceneTask
from audioprobe.experiments.architectures.storage import ArmResult
from audioprobe.probing.agreement import question_key
from audioprobe.probing.modality_gap import pair_trials, recognition_by_clip
from audioprobe.probing.trial import AnswerReading, Condition, Trial
from audioprobe.small_ltu.relations import ROLE_NAMES, SplitRole

READING: AnswerReading = "likelihood"
"""How answers are read: the more likely of "Yes." and "No."."""

QuestionRole: TypeAlias = SplitRole | Literal["relations", "identity"]
"""Role of a relation in the training; "relations" are those of all roles, "identity" asks for the
concept of a clip."""
ROLES: Mapping[QuestionRole, str] = {
    "held_out": ROLE_NAMES["held_out"],
    "text_only": ROLE_NAMES["text_only"],
    "audio_and_text": ROLE_NAMES["audio_and_text"],
    "relations": "all relations",
    "identity": "recognition",
}
"""Names of the roles for readers."""

CHANCE = 0.5
"""Balanced accuracy of guesses in yes/no questions."""

GapPart: TypeAlias = Literal["difference", "perception", "reasoning", "unknown"]
GAP_PARTS: Mapping[GapPart, bool | None] = {"perception": False, "reasoning": True, "unknown": None}
"""Parts of the gap, and whether the concept of their clips was recognised."""


class AnswerItem(NamedTuple):
    """An answer, or a pair of answers, with its value.

    Attributes:
        key: equal for the same question in all arms of a seed.
        group: concept, or number of the scene; intervals resample groups.
        stratum: strata count equally in a mean, such as questions with the answers yes and no.
        value: 1 for a correct and 0 for a wrong answer, or a difference; None if it is undefined,
            such as for an invalid answer.
        failed: whether there is no answer because of a failure.
    """

    key: Hashable
    group: str
    stratum: str
    value: float | None
    failed: bool = False


Items: TypeAlias = Sequence[AnswerItem]


@dataclass(frozen=True, slots=True)
class QuestionGroup:
    """Yes/no questions of a role under a condition.

    Attributes:
        role: role of the relations, or "identity".
        condition: "text" or "audio".
        clips: name of a set of clips; "" for all. Questions in text belong to no set.
    """

    role: QuestionRole
    condition: Condition
    clips: str = ""

    def trials(self, result: ArmResult) -> list[Trial]:
        """Return the answers of a training run to these questions."""
        return [
            trial
            for trial in result.trials
            if trial.question.condition == self.condition
            and (not self.clips or result.sets.get(trial.question.clip) == self.clips)
            and self._contains(result, trial)
        ]

    def items(self, result: ArmResult) -> list[AnswerItem]:
        """Return 1 for each correct and 0 for each wrong answer.

        Questions with the answers yes and no are strata, so that a mean is the balanced accuracy.
        """
        return [
            AnswerItem(
                question_key(trial),
                trial.question.pair.concept,
                _side(trial),
                None if (is_correct := trial.is_correct(READING)) is None else float(is_correct),
                bool(trial.failure),
            )
            for trial in self.trials(result)
        ]

    def _contains(self, result: ArmResult, trial: Trial) -> bool:
        pair = trial.question.pair
        if pair.relation == "identity" or self.role == "identity":
            return pair.relation == self.role
        return self.role in ("relations", result.roles[str(pair.match)])


@dataclass(frozen=True, slots=True)
class ArmMeasure:
    """A measure of a training run, which is the mean of its items.

    Attributes:
        name: name for readers.
        items: returns the items of a training run.
        unit: plural name of the groups of the items.
        floor: returns the value without any use of the audio, such as chance; None if the measure
            has none.
    """

    name: str
    items: Callable[[ArmResult], Items]
    unit: str = "concepts"
    floor: Callable[[ArmResult], float | None] = lambda _: CHANCE


PRIMARY = ArmMeasure(
    "accuracy in audio, held-out relations", QuestionGroup("held_out", "audio").items
)
"""The primary measure, which was fixed before the study: balanced accuracy of yes/no questions
about clips of both sets, for relations that were not trained."""
RECOGNITION = ArmMeasure("recognition", QuestionGroup("identity", "audio").items)
"""Balanced accuracy of questions whether the concept of a clip, or an unrelated one, is in it."""


def gap_measure(role: QuestionRole, part: GapPart = "difference") -> ArmMeasure:
    """Return accuracy in text minus accuracy in audio on the same questions, or a part of it.

    The parts add up to the difference; see `probing.modality_gap.ModalityGap`.
    """

    def items(result: ArmResult) -> Items:
        text, audio = (QuestionGroup(role, c).trials(result) for c in ("text", "audio"))
        pairs, _ = pair_trials([*text, *audio], READING, "text", "audio")
        recognised = recognition_by_clip(result.trials, READING)
        values: dict[object, float] = {}
        for first, second in pairs:
            counts = part == "difference" or (
                recognised.get(second.question.clip) is GAP_PARTS[part]
            )
            values[question_key(second)] = _gap(first, second) if counts else 0.0
        return [
            AnswerItem(
                question_key(trial),
                trial.question.pair.concept,
                "",
                values.get(question_key(trial)),
                bool(trial.failure),
            )
            for trial in audio
        ]

    suffix = "" if part == "difference" else f", {part}"
    return ArmMeasure(f"text minus audio, {ROLES[role]}{suffix}", items, floor=lambda _: None)


def scene_measure(task: SceneTask) -> ArmMeasure:
    """Return the accuracy of questions about scenes with several sources."""

    def items(result: ArmResult) -> Items:
        return [
            AnswerItem(
                (trial.question.scene, trial.question.text),
                str(trial.question.scene),
                "",
                None if trial.is_correct is None else float(trial.is_correct),
                bool(trial.failure),
            )
            for trial in result.scenes
            if trial.question.task == task
        ]

    return ArmMeasure(f"accuracy, {task}", items, "scenes", lambda run: scene_floor(run, task))


SCENE_MEASURES: Mapping[SceneTask, ArmMeasure] = {task: scene_measure(task) for task in SCENE_TASKS}


def scene_chance(result: ArmResult, task: SceneTask) -> float | None:
    """Return the expected accuracy of guesses: the mean of 1 / number of options.

    None if there is no question of this task.
    """
    questions = [trial.question for trial in result.scenes if trial.question.task == task]
    return sum(1 / len(q.options) for q in questions) / len(questions) if questions else None


def constant_accuracy(result: ArmResult, task: SceneTask) -> float | None:
    """Return the accuracy of always giving the most frequent answer, such as "One.".

    None if there is no question of this task.
    """
    questions = [trial.question for trial in result.scenes if trial.question.task == task]
    counts = Counter(question.options[question.correct] for question in questions)
    return max(counts.values()) / len(questions) if questions else None


def scene_floor(result: ArmResult, task: SceneTask) -> float | None:
    """Return the larger one of the accuracies of guesses and of the most frequent answer."""
    chance, constant = scene_chance(result, task), constant_accuracy(result, task)
    return None if chance is None or constant is None else max(chance, constant)


def _side(trial: Trial) -> str:
    return "yes" if trial.question.pair.holds else "no"


def _gap(text: Trial, audio: Trial) -> float:
    return float(bool(text.is_correct(READING))) - float(bool(audio.is_correct(READING)))
