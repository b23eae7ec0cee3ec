"""Made-up findings of a study: complete, and the same each time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audioprobe.experiments.classification.config import ComponentSpec
from audioprobe.experiments.finetuning.config import ClipSubset, StudyConfig, TransferConfig
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.levels import (
    AlignmentLevel,
    RegularizationLevel,
    TrainableLevel,
)
from audioprobe.experiments.finetuning.run_result import (
    BEFORE,
    CaptionEvaluation,
    ModelEvaluation,
    QuestionResult,
    RunResult,
)
from audioprobe.experiments.finetuning.study_results import StudySummary, synthesised
from audioprobe.finetuning.evaluation import TextLoss, WeightDrift
from audioprobe.finetuning.strategy import EWC, ContrastiveAlignment
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.trainer import TrainingArguments
from audioprobe.types import Float64Array

LABELS = ("bell", "crow", "rain")
N_CLIPS, N_LAYERS, N_STEPS = 12, 4, 16
CONCEPTS = ("bell", "crow", "dog", "flute", "owl", "rain", "siren", "violin")
HALVES = frozenset(CONCEPTS[::2])
CAUSE = "The loss was not finite at step 7."

_HERE = ClipSubset(ComponentSpec("recordings"))
STUDY = StudyConfig(
    "finetuning",
    taught=_HERE,
    inside=_HERE,
    outside=_HERE,
    earlier=_HERE,
    trained=(
        TrainableLevel("projector", 2e-3),
        TrainableLevel("projector+lora", 1e-3),
        TrainableLevel("all+llm", 5e-5),
    ),
    plan=TrainingArguments(steps=N_STEPS, learning_rate=1e-3),
    holding=(RegularizationLevel(), RegularizationLevel((EWC(100.0),))),
    alignment=(AlignmentLevel(), AlignmentLevel((ContrastiveAlignment(),))),
    transfer=TransferConfig("projector+lora"),
    seeds=(0, 1),
    bootstrap=Bootstrap(50),
)
CELLS = training_runs(STUDY)
FAILED = CELLS[3].name
"""A training without values; its strategy has another seed."""


def captioned(seed: int, skill: float = 0.5) -> CaptionEvaluation:
    """Clips of each label in turn; the better the skill, the higher the right label's score."""
    rng = np.random.default_rng(seed)
    truth = tuple((LABELS[n % len(LABELS)],) for n in range(N_CLIPS))
    right = np.array([[label in own for label in LABELS] for own in truth])
    scores = rng.normal(size=right.shape) + skill * right
    clips = tuple(f"clip {n}" for n in range(N_CLIPS))
    return CaptionEvaluation(LABELS, clips, ("a sound",) * N_CLIPS, truth, _rows(scores))


def texts(worse: float = 0.0) -> tuple[TextLoss, ...]:
    """Passages of different length, each worse by so many nats per token."""
    return tuple(TextLoss(n * (3.0 + 0.1 * (n % 3) + worse), n) for n in (8, 12, 20, 31))


def answers(
    seed: int, words: float, sound: float, *, target: str = "animal"
) -> tuple[QuestionResult, ...]:
    """A right and a wrong question about each concept, in words and in sound."""
    rng = np.random.default_rng(seed)
    found = []
    for match, concept in enumerate(CONCEPTS):
        for condition, skill in (("text", words), ("audio", sound)):
            for holds in (True, False):
                lead = (1 if holds else -1) * skill + float(rng.normal())
                clip = f"{concept}.flac" if condition == "audio" else ""
                wanted = target if holds else f"no {target}"
                found.append(
                    QuestionResult(concept, wanted, "hypernym", holds, match, condition, clip, lead)
                )
    return tuple(found)


def measured(seed: int = 0, *, gain: float = 0.0, worse: float = 0.0) -> ModelEvaluation:
    """What a model does that gained and forgot so much."""
    heard = {
        name: captioned(seed + n, 0.5 + gain)
        for n, name in enumerate(("inside", "outside", "earlier"))
    }
    probe = answers(seed, 1.0 - worse, 0.2 + gain / 2)
    return ModelEvaluation(heard, texts(worse), probe, answers(seed + 9, 0.0, 0.0, target="wug"))


def before() -> RunResult:
    """The model as it was."""
    return RunResult(BEFORE, BEFORE, measured=measured(), seconds=60.0)


def after(cell: TrainingRun) -> RunResult:
    """What a cell could have given: more that trains gains more, and forgets more unless held."""
    whole = 0 if cell.transfer else [level.label for level in STUDY.trained].index(cell.trained)
    seed = 1 + CELLS.index(cell)
    rng = np.random.default_rng(seed)
    worse = 0.2 * whole * (0.4 if cell.holding == "ewc" else 1.0) + 0.02 * float(rng.normal())
    came = measured(seed, gain=0.6 * whole, worse=worse)
    if cell.transfer:
        skills = {"words": (2.0, 0.2), "sound": (0.2, 1.5), "words+sound": (2.0, 1.5)}
        came = ModelEvaluation(
            quiz=answers(seed, *skills.get(cell.alignment, (0.0, 0.0)), target="wug")
        )
    found = replace(
        named(cell),
        measured=came,
        losses=tuple((4 * np.exp(-np.arange(N_STEPS) / 6) + rng.normal(0, 0.1, N_STEPS)).tolist()),
        stopped=cell.holding == "ewc" and cell.seed == 1,
        drift=(WeightDrift("projector", 0.2, 0.01 * (1 + whole) + 0.001 * cell.seed, 100),),
        seconds=600.0,
    )
    if cell.transfer:
        return found
    alike = tuple((1 - 0.02 * (whole + 1) * np.arange(N_LAYERS + 1) ** 0.5).tolist())
    return replace(found, similarity={"sound": alike, "text": (*alike[:-1], None)})


def failed(cell: TrainingRun, cause: str = CAUSE) -> RunResult:
    """A training without values."""
    return replace(named(cell), failure=cause, seconds=5.0)


def named(cell: TrainingRun) -> RunResult:
    """A training before it began."""
    return RunResult(
        cell.name,
        cell.configuration,
        cell.trained,
        cell.holding,
        cell.alignment,
        cell.seed,
        cell.transfer,
    )


def everything(cells: Sequence[TrainingRun] = CELLS) -> list[RunResult]:
    """All of a study, with one training that failed."""
    return [before(), *(failed(c) if c.name == FAILED else after(c) for c in cells)]


def found(findings: Sequence[RunResult]) -> StudySummary:
    """What a study says of them."""
    return synthesised(STUDY, findings, HALVES, len(CELLS))


def _rows(scores: Float64Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in scores.tolist())
