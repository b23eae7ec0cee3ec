"""Made-up records of a study: complete, and the same each time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from audioprobe.experiments.components import ComponentSpec
from audioprobe.experiments.finetuning.config import (
    AlignmentLevel,
    ClipSubset,
    RegularizationLevel,
    StudyConfig,
    TrainableLevel,
    TransferConfig,
)
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.storage import BEFORE, Measurement, RunResult, StudyRecord
from audioprobe.finetuning.components import EWC, ContrastiveAlignment
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.training.arguments import TrainingArguments

LABELS = ("bell", "crow", "rain")
AUCS = ("in-domain AUC", "out-of-domain AUC", "pretraining-domain AUC")
LABELS_OF = dict.fromkeys(AUCS, LABELS)
N_CLIPS, N_LAYERS, N_STEPS = 12, 4, 16
TOKENS = (8, 12, 20, 31)
CONCEPTS = ("bell", "crow", "dog", "flute", "owl", "rain", "siren", "violin")
AUDIO_CONCEPTS = frozenset(CONCEPTS[::2])
CAUSE = "The loss was not finite at step 7."

_CLIPS = ClipSubset(dataset=ComponentSpec("recordings"))
STUDY = StudyConfig(
    train=_CLIPS,
    in_domain=_CLIPS,
    out_of_domain=_CLIPS,
    pretraining_domain=_CLIPS,
    trainable=(
        TrainableLevel("projector", 2e-3),
        TrainableLevel("projector+lora", 1e-3),
        TrainableLevel("all+llm", 5e-5),
    ),
    training_arguments=TrainingArguments(steps=N_STEPS, learning_rate=1e-3),
    regularization=(RegularizationLevel(), RegularizationLevel((EWC(strength=100.0),))),
    alignment=(AlignmentLevel(), AlignmentLevel((ContrastiveAlignment(),))),
    transfer=TransferConfig("projector+lora"),
    seeds=(0, 1),
    bootstrap=Bootstrap(50),
)
RUNS = training_runs(STUDY)
STRATEGY_RUNS = tuple(run for run in RUNS if not run.arm)
FAILED = RUNS[3].name
"""A failed run; the other seed of its strategy succeeds."""

Measurements = tuple[Measurement, ...]


def captions(measure: str, seed: int, skill: float = 0.5) -> Measurements:
    """Score clips of each label in turn; higher skill raises the score of the correct label."""
    rng = np.random.default_rng(seed)
    targets = np.eye(len(LABELS))[np.arange(N_CLIPS) % len(LABELS)]
    scores = rng.normal(size=targets.shape) + skill * targets
    return tuple(
        Measurement(
            measure=measure,
            item=f"clip {n}",
            cluster=f"clip {n}",
            value=tuple(scores[n].tolist()),
            reference=tuple(targets[n].tolist()),
            text="a sound",
        )
        for n in range(N_CLIPS)
    )


def texts(increase: float = 0.0) -> Measurements:
    """Return passages of different length whose loss is higher by `increase` nats per token."""
    return tuple(
        Measurement(
            measure="text loss",
            item=str(n),
            cluster=str(n),
            value=tokens * (3.0 + 0.1 * (tokens % 3) + increase),
            reference=float(tokens),
        )
        for n, tokens in enumerate(TOKENS)
    )


def answers(
    log_odds: Callable[[str, str, bool], float | None], *, novel: bool = False
) -> Measurements:
    """Ask a question answered by yes and one answered by no about each concept and condition.

    Args:
        log_odds: of yes, from the concept, the condition and whether yes is correct.
        novel: whether the questions are about novel classes.
    """
    return tuple(
        Measurement(
            measure=f"{'novel-class ' if novel else ''}{condition} accuracy",
            item=f"{concept} hypernym {'' if correct else 'not '}animal {match}",
            cluster=concept,
            value=log_odds(concept, condition, correct),
            reference=float(correct),
            text=f"{concept}.flac" if condition == "audio" else "",
        )
        for condition in ("text", "audio")
        for match, concept in enumerate(CONCEPTS)
        for correct in (True, False)
    )


def random_answers(seed: int, text: float, audio: float, *, novel: bool = False) -> Measurements:
    """Answer with some skill and normal noise."""
    rng = np.random.default_rng(seed)
    skills = {"text": text, "audio": audio}

    def log_odds(_: str, condition: str, correct: bool) -> float:
        return (1 if correct else -1) * skills[condition] + float(rng.normal())

    return answers(log_odds, novel=novel)


def always_yes(*, novel: bool = False) -> Measurements:
    """Answer yes to every question: half of the answers are correct."""
    return answers(lambda *_: 1.0, novel=novel)


def correct_for(condition: str, concepts: frozenset[str], *, novel: bool = False) -> Measurements:
    """Answer correctly in one condition about some concepts, and always yes otherwise."""

    def log_odds(concept: str, trial_condition: str, correct: bool) -> float:
        return 1.0 if correct or trial_condition != condition or concept not in concepts else -1.0

    return answers(log_odds, novel=novel)


def evaluated(seed: int = 0, *, gain: float = 0.0, forgetting: float = 0.0) -> Measurements:
    """Evaluate a model that improved and forgot by some amount."""
    return (
        *(m for n, measure in enumerate(AUCS) for m in captions(measure, seed + n, 0.5 + gain)),
        *texts(forgetting),
        *random_answers(seed, 1.0 - forgetting, 0.2 + gain / 2),
    )


def before(measurements: Measurements | None = None) -> RunResult:
    """Return the model before fine-tuning."""
    if measurements is None:
        measurements = (*evaluated(), *random_answers(9, 0.0, 0.0, novel=True))
    return RunResult(name=BEFORE, labels=LABELS_OF, measurements=measurements, seconds=60.0)


def result(
    run: TrainingRun, measurements: Sequence[Measurement] = (), failure: str = ""
) -> RunResult:
    """Return the result of a run with these measurements."""
    return replace(
        RunResult.of(run),
        labels=LABELS_OF,
        measurements=tuple(measurements),
        failure=failure,
        seconds=5.0 if failure else 600.0,
    )


def typical(run: TrainingRun) -> RunResult:
    """Return a plausible result: more trainable weights gain and, without EWC, forget more."""
    level = 0 if run.arm else [x.label for x in STUDY.trainable].index(run.trainable)
    seed = 1 + RUNS.index(run)
    rng = np.random.default_rng(seed)
    forgetting = 0.2 * level * (0.4 if run.regularization == "ewc" else 1) + 0.02 * rng.normal()
    if run.arm:
        skills = {"text": (2.0, 0.2), "audio": (0.2, 1.5), "text+audio": (2.0, 1.5)}
        measurements = random_answers(seed, *skills.get(run.arm, (0.0, 0.0)), novel=True)
    else:
        measurements = evaluated(seed, gain=0.6 * level, forgetting=float(forgetting))
        similarity = (1 - 0.02 * (level + 1) * np.arange(N_LAYERS + 1) ** 0.5).tolist()
        measurements += tuple(
            Measurement(measure=f"similarity: {name}", item=str(layer), value=value)
            for name in ("audio", "text")
            for layer, value in enumerate(similarity)
        )
    losses = (4 * np.exp(-np.arange(N_STEPS) / 6) + rng.normal(0, 0.1, N_STEPS)).tolist()
    training = [
        Measurement(measure="training loss", item=str(step), value=loss)
        for step, loss in enumerate(losses, 1)
    ]
    drift = Measurement(
        measure="weight change: projector", value=0.01 * (1 + level) + 0.001 * run.seed
    )
    stopped = run.regularization == "ewc" and run.seed == 1
    return replace(result(run, (*training, drift, *measurements)), stopped_early=stopped)


def record(
    runs: Sequence[RunResult], *, first: RunResult | None = None, study: StudyConfig = STUDY
) -> StudyRecord:
    """Return the record of a study with these runs."""
    return StudyRecord(study, first or before(), tuple(runs), AUDIO_CONCEPTS)


def complete() -> StudyRecord:
    """Return a complete study with one failed run."""
    return record([result(r, failure=CAUSE) if r.name == FAILED else typical(r) for r in RUNS])


def changed(
    measurements: Measurements, values: Mapping[str, Callable[[Measurement], float | None]]
) -> Measurements:
    """Replace the values of some measures."""
    return tuple(
        replace(m, value=values[m.measure](m)) if m.measure in values else m for m in measurements
    )
