"""Size of a study before it starts: steps, questions, and an estimate of the duration."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.architectures.config import shared_stages
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import evaluation_questions
from audioprobe.experiments.architectures.run import ArchitecturesRun
from audioprobe.experiments.architectures.training import trial_arm
from audioprobe.progress import ignore_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySize:
    """Size of a study.

    Attributes:
        remaining: number of runs without a result, by arm.
        n_steps: number of training steps of an arm after the shared stages.
        shared_steps: number of steps of each stage that all arms share.
        n_trials: number of trials of learning rates for the runs without a result.
        n_questions: number of questions of the first seed; None if recordings are missing.
        missing: what is missing; "" otherwise.
        seconds: estimated duration of training and evaluation of the runs without a result, in one
            process. Arms with the budget "compute" count like the others.
    """

    remaining: Counter[str]
    n_steps: int
    shared_steps: Mapping[str, int]
    n_trials: int
    n_questions: int | None
    missing: str
    seconds: float


def study_size(prepared: ArchitecturesRun, folder: Path) -> StudySize:
    """Return the size of a study; no file is written.

    Args:
        prepared: the study.
        folder: folder of the study, which may not exist.
    """
    config, remaining = prepared.config, prepared.remaining(folder)
    shared = {s.name: s.arguments.steps for s in shared_stages(prepared.recipe)}
    n_all = sum(stage.arguments.steps for stage in prepared.recipe.stages)
    n_steps = n_all - sum(shared.values())
    arms = (trial_arm(config, config.arm(arm)) for arm, _ in remaining)
    n_trials = len({arm.name for arm in arms if arm is not None}) * len(config.rates.factors)
    n_questions, missing = None, ""
    try:
        questions = evaluation_questions(ArmMaterials(config, folder, ignore_progress), 0)
        n_questions = len(questions.probe) + len(questions.scenes)
    except InvalidInputError as error:
        missing = str(error)
    n_shared = len({seed for _, seed in remaining}) * sum(shared.values())
    n_trained = len(remaining) * n_steps + n_shared + n_trials * config.rates.steps
    n_asked = len(remaining) * (n_questions or 0)
    return StudySize(
        remaining=Counter(arm for arm, _ in remaining),
        n_steps=n_steps,
        shared_steps=shared,
        n_trials=n_trials,
        n_questions=n_questions,
        missing=missing,
        seconds=n_trained * config.seconds_per_step + n_asked * config.seconds_per_question,
    )
