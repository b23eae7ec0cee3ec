"""Tables about the runs of arms: cost, learning rate, use of codes, where concepts are lost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.location import LOCATIONS
from audioprobe.experiments.architectures.storage import ArchitecturesRecord
from audioprobe.interpretability.locate import STAGES
from audioprobe.io.data_table import DataTable
from audioprobe.io.text_table import Table

_NONE = "–"
_SHOWN_STAGES = STAGES[:5]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCosts:
    """Cost of an arm, mean over its seeds.

    Attributes:
        n_connector: number of trainable parameters of the connector.
        n_trainable: number of all trainable parameters.
        n_positions: positions of a training question about audio.
        flops: floating-point operations of a forward pass over such a question without encoder.
        n_steps: number of training steps with audio.
        seconds_per_step: duration of a step.
        training_flops: approximate operations of the training with audio: `flops` times the number
            of questions times 2 (forward pass, gradients of the states), or times 3 if all weights
            of the language model have gradients. Gradients of LoRA and connector are left out.
        relative_flops: `training_flops` relative to the first arm of the study; None without
            results of the first arm.
    """

    n_connector: int
    n_trainable: int
    n_positions: float
    flops: float
    n_steps: float
    seconds_per_step: float
    training_flops: float
    relative_flops: float | None

    @property
    def seconds(self) -> float:
        """Duration of the training with audio, without the choice of the learning rate."""
        return self.n_steps * self.seconds_per_step


def costs_of(record: ArchitecturesRecord, arm: str) -> ArmCosts:
    """Return the cost of an arm with results."""
    results = list(record.of(arm).values())
    cost = results[0].cost
    first = record.config.arms[0].name
    training = _training_flops(record, arm)
    return ArmCosts(
        n_connector=cost.n_connector,
        n_trainable=cost.n_trainable,
        n_positions=cost.n_positions,
        flops=cost.flops,
        n_steps=mean(result.n_steps for result in results),
        seconds_per_step=mean(result.seconds_per_step for result in results),
        training_flops=training,
        relative_flops=training / _training_flops(record, first) if record.of(first) else None,
    )


def _training_flops(record: ArchitecturesRecord, arm: str) -> float:
    """Return the mean `ArmCosts.training_flops` of an arm with results."""
    passes = 3 if record.config.arm(arm).train == "llm" else 2
    return mean(r.cost.flops * r.n_questions * passes for r in record.of(arm).values())


def costs_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm: parameters, positions, operations and durations."""
    first = summary.record.config.arms[0].name
    rows = []
    for arm in summary.arms:
        cost = costs_of(summary.record, arm.name)
        relative = _NONE if cost.relative_flops is None else f"{cost.relative_flops:.2f}"
        cells = (
            f"{cost.n_connector:,}",
            f"{cost.n_trainable:,}",
            f"{cost.n_positions:.1f}",
            f"{cost.flops / 1e9:.2f}",
            f"{cost.n_steps:g}",
            f"{cost.seconds_per_step:.2f}",
            f"{cost.seconds / 60:.1f}",
            f"{cost.training_flops / 1e12:.1f}",
            relative,
        )
        rows.append((arm.name, arm.budget, *cells))
    header = (
        *("arm", "budget", "connector parameters", "trainable parameters"),
        *("positions per question", "GFLOPs per question", "steps", "seconds per step"),
        *("training with audio, min", "training TFLOPs", f"training FLOPs relative to {first}"),
    )
    return Table(header, tuple(rows), tuple(range(2, len(header))))


def rates_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm and factor of the learning rate that was tried."""
    rows = []
    for arm in summary.arms:
        result = next(iter(summary.record.of(arm.name).values()))
        for factor, loss in sorted(result.rate_losses.items(), key=lambda pair: float(pair[0])):
            shown = "diverged" if loss is None else f"{loss:.4f}"
            chosen = "yes" if float(factor) == result.rate else "no"
            rows.append((arm.name, f"{float(factor):g}", shown, chosen))
    header = ("arm", "factor of the learning rate", "validation loss, nats per token", "chosen")
    return Table(header, tuple(rows), (1, 2))


def codes_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm with a codebook: use of the codes, mean over seeds."""
    rows: list[tuple[str, ...]] = []
    header: tuple[str, ...] = ("arm",)
    for arm in summary.arms:
        books = [r.codebook for r in summary.record.of(arm.name).values() if r.codebook]
        if books:
            header = ("arm", *books[0])
            rows.append((arm.name, *(_mean([book[key] for book in books]) for key in books[0])))
    return Table(header, tuple(rows), tuple(range(1, len(header))))


def locations_table(summary: ArchitecturesSummary) -> Table:
    """Return a table with one row per arm, clips and answers: where a concept is lost.

    A cell contains whether the class of the concept is present at a stage, and the difference from
    the control.
    """
    rows: list[tuple[str, ...]] = []
    for arm, tables in summary.record.locations.items():
        cells: dict[tuple[str, ...], dict[str, str]] = {}
        for row in table_rows(tables[LOCATIONS]):
            key = tuple(str(row[name]) for name in ("group", "answers", "n_concepts", "lost"))
            cells.setdefault(key, {})[str(row["stage"])] = _stage_text(row)
        for (group, answers, n_concepts, lost), by_stage in cells.items():
            stages = (by_stage.get(stage, _NONE) for stage in _SHOWN_STAGES)
            rows.append((arm, group, answers, n_concepts, *stages, lost))
    header = ("arm", "clips", "answers", "concepts", *_SHOWN_STAGES, "lost")
    return Table(header, tuple(rows), (3,))


def table_rows(table: DataTable) -> Iterator[dict[str, object]]:
    """Yield the rows of a table as mappings."""
    for number in range(len(table)):
        yield {name: column[number] for name, column in table.columns.items()}


def floats_of(row: Mapping[str, object], names: Sequence[str]) -> list[float | None]:
    """Return cells of a row; None for those that are not numbers."""
    return [number if isinstance(number := row[name], float) else None for name in names]


def _stage_text(row: Mapping[str, object]) -> str:
    """Return the presence at a stage, with its depth or its difference from the control."""
    by_depth = row["depth"] is not None
    names = ("depth", "depth_low", "depth_high") if by_depth else ("difference", "low", "high")
    value, low, high = floats_of(row, names)
    if value is None:
        return str(row["presence"])
    interval = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{row['presence']} {'from depth ' if by_depth else ''}{value:.2f}{interval}"


def _mean(values: Sequence[float | None]) -> str:
    defined = [value for value in values if value is not None]
    return f"{mean(defined):.4g}" if defined else _NONE
