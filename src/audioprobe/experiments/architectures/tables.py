"""Tables of a study of architectures.

Accuracies are means over seeds. Invalid answers and failures are counted next to each of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from audioprobe.experiments.architectures.agent_analysis import ALL_TOOLS
from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.claim_rules import kind_of
from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.items import (
    PRIMARY,
    RECOGNITION,
    ROLES,
    SCENE_MEASURES,
    QuestionGroup,
)
from audioprobe.experiments.architectures.run_tables import (
    codes_table,
    costs_table,
    locations_table,
    rates_table,
)
from audioprobe.experiments.architectures.seed_means import SeedMean
from audioprobe.io.text_table import Table, columns
from audioprobe.types import Estimate

NONE = "–"
BOTH_SETS = "both"
INPUTS = {
    "tokens": "audio tokens",
    "tags": "tags as text",
    "true tags": "true labels as text",
    "tools": "results of tools",
    "nothing": "nothing",
}
"""Inputs of the arms for readers."""

_COUNTS = ("questions", "invalid", "failed")


def all_tables(summary: ArchitecturesSummary) -> dict[str, Table]:
    """Return all tables with rows, by title."""
    tables = {
        "Primary": primary_table(summary),
        "Claims": claims_table(summary),
        "Gap": gap_table(summary),
        "Transfer": transfer_table(summary),
        "Scenes": scenes_table(summary),
        "Accuracy": accuracy_table(summary),
        "Agreement": agreement_table(summary),
        "Tools": tools_table(summary),
        "Costs": costs_table(summary),
        "Rates": rates_table(summary),
        "Codes": codes_table(summary),
        "Locations": locations_table(summary),
        "Runs": runs_table(summary),
        "Failures": failures_table(summary),
        "Missing": missing_table(summary),
    }
    return {title: table for title, table in tables.items() if table.rows}


def primary_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm: primary measure, and difference from the first arm."""
    first = summary.record.config.arms[0].name
    rows = []
    for arm in summary.arms:
        mean, difference = summary.primary(arm.name), summary.difference(arm.name)
        compared = (NONE, NONE, NONE)
        if difference is not None:
            p_values = (_p(difference.p_value), _p(difference.corrected))
            compared = (without_counts(difference.mean.estimate), *p_values)
        seeds = f"{len(mean.by_seed)} of {summary.record.config.n_seeds(arm)}"
        cells = (without_counts(mean.estimate), _number(mean.sd), *compared)
        rows.append((arm.name, INPUTS[arm.input], *cells, seeds, *_counts(mean)))
    header = ("arm", "input", PRIMARY.name, "SD over seeds", f"minus {first}", "p, concepts")
    return Table((*header, "p (Holm), arms", "seeds", *_COUNTS), tuple(rows), (3, 5, 6, 8, 9, 10))


def claims_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per claim of the literature and pair of arms."""
    rows = tuple(
        (
            claim.claim,
            claim.arms,
            claim.measure,
            f"equal {claim.budget}" if claim.budget else NONE,
            claim.expected,
            NONE if claim.estimate is None else str(claim.estimate),
            claim.outcome,
            claim.note or NONE,
        )
        for claim in summary.claims
    )
    header = ("claim", "arms", "measure", "budget", "expected", "value", "outcome", "note")
    return Table(header, rows)


def gap_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm and role: text minus audio, and its parts."""
    rows = []
    for arm in summary.arms:
        for role, name in ROLES.items():
            if role == "identity":
                continue
            text, audio = (
                summary.accuracies[arm.name, QuestionGroup(role, condition)]
                for condition in ("text", "audio")
            )
            gaps = [
                summary.gaps[arm.name, role, part]
                for part in ("difference", "perception", "reasoning", "unknown")
            ]
            values = (without_counts(mean.estimate) for mean in (text, audio, *gaps))
            rows.append((arm.name, name, *values, *_counts(gaps[0])))
    header = ("arm", "relations", "text", "audio", "text minus audio", "perception", "reasoning")
    return Table((*header, "unknown", "pairs of questions", *_COUNTS[1:]), tuple(rows), (8, 9, 10))


def transfer_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm: accuracy in audio by what was trained."""
    rows = []
    for name, result in summary.transfers.items():
        means = [
            summary.accuracies[name, QuestionGroup(role, "audio")]
            for role in ("held_out", "text_only", "audio_and_text")
        ]
        both = (result.from_text, result.from_audio)
        cells = (without_counts(mean.estimate) for mean in (*means, *both))
        rows.append((name, *cells, *_sums(means)))
    header = (
        *("arm", "held out", "trained in text only", "trained in audio and text"),
        *("text only minus held out", "audio and text minus text only", *_COUNTS),
    )
    return Table(header, tuple(rows), (6, 7, 8))


def scenes_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm and task of questions about scenes."""
    rows = tuple(
        (
            name,
            task,
            without_counts(mean.estimate),
            _number(summary.chance.get(task)),
            _number(summary.constant.get(task)),
            _number(mean.sd),
            *_counts(mean),
        )
        for (name, task), mean in summary.scenes.items()
        if mean.n_items
    )
    header = ("arm", "task", "accuracy", "chance", "most frequent answer", "SD over seeds")
    return Table((*header, *_COUNTS), rows, columns((*header[3:], *_COUNTS), 3))


def accuracy_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm, role, condition and set of clips."""
    rows = []
    for (name, group), mean in summary.accuracies.items():
        if mean.n_items:
            clips = group.clips or (BOTH_SETS if group.condition == "audio" else NONE)
            seeds = ", ".join(_number(value) for value in mean.by_seed.values())
            cells = (without_counts(mean.estimate), _number(mean.sd), seeds)
            rows.append((name, ROLES[group.role], group.condition, clips, *cells, *_counts(mean)))
    header = ("arm", "relations", "condition", "clips", "balanced accuracy", "SD over seeds")
    return Table((*header, "each seed", *_COUNTS), tuple(rows), (5, 7, 8, 9))


def agreement_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm: agreement with the cascade."""
    rows = tuple(
        (
            name,
            without_counts(mean.estimate),
            ", ".join(_number(value) for value in mean.by_seed.values()),
            *_counts(mean),
        )
        for name, mean in summary.agreement.items()
    )
    return Table(("arm", "kappa with the cascade", "each seed", *_COUNTS), rows, (3, 4, 5))


def tools_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per agent and planned tool: plan, tool and answer."""
    rows = []
    for name, used in summary.agents.items():
        for tool, use in used.by_tool.items():
            cells = (without_counts(estimate) for estimate in use.estimates.values())
            strict = without_counts(used.strict_accuracy) if tool == ALL_TOOLS else NONE
            counts = (use.n_items, use.n_failed, use.n_unanswered, use.n_malformed)
            rows.append((name, tool, *cells, strict, *map(str, counts)))
    header = (
        *("arm", "planned tool", "plan right", "tool right, given the plan"),
        *("answer right, given both", "answer right, tool wrong", "answer right, plan wrong"),
        *("accuracy", "accuracy, invalid as wrong"),
        *("questions", "failed", "unanswered", "malformed steps"),
    )
    return Table(header, tuple(rows), columns(header[9:], 9))


def runs_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per run: main measures of each seed."""
    recognition = QuestionGroup("identity", "audio")
    rows = []
    for arm in summary.arms:
        means: dict[str, SeedMean] = {
            PRIMARY.name: summary.primary(arm.name),
            RECOGNITION.name: summary.accuracies[arm.name, recognition],
            "text minus audio": summary.gaps[arm.name, "relations", "difference"],
        }
        means |= {task: summary.scenes[arm.name, task] for task in SCENE_MEASURES}
        for seed in summary.record.of(arm.name):
            values = (_number(mean.by_seed.get(seed)) for mean in means.values())
            rows.append((arm.name, str(seed), *values))
    names = (PRIMARY.name, RECOGNITION.name, "text minus audio", *SCENE_MEASURES)
    return Table(("arm", "seed", *names), tuple(rows), columns(("seed", *names), 1))


def failures_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with the number of failed questions, by arm and cause."""
    rows = []
    for arm in summary.arms:
        results = summary.record.of(arm.name).values()
        failures = [trial.failure for result in results for trial in result.trials]
        failures += [trial.failure for result in results for trial in result.scenes]
        causes = Counter(filter(None, failures))
        rows += [(arm.name, cause, str(n)) for cause, n in causes.items()]
    return Table(("arm", "cause", "questions"), tuple(rows), (2,))


def missing_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with the runs without a result."""
    rows = tuple((arm, str(seed)) for arm, seed in summary.record.missing)
    return Table(("arm", "seed"), rows, (1,))


def without_counts(estimate: Estimate) -> str:
    """Return value and interval as text; the counts have columns of their own."""
    return str(replace(estimate, n_undefined=0, n_groups=None))


def arm_text(arm: Arm) -> str:
    """Return what an arm receives of the audio, by which connector, and its budget."""
    kind = kind_of(arm).replace("_", " ")
    connector = f", connector {kind}" if arm.input == "tokens" else ""
    budget = ", equal compute" if arm.budget == "compute" else ""
    return f"{INPUTS[arm.input]}{connector}{budget}"


def _counts(mean: SeedMean) -> tuple[str, str, str]:
    return str(mean.n_items), str(mean.n_invalid), str(mean.n_failed)


def _sums(means: Sequence[SeedMean]) -> tuple[str, ...]:
    counts = [(mean.n_items, mean.n_invalid, mean.n_failed) for mean in means]
    return tuple(str(sum(column)) for column in zip(*counts, strict=True))


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
