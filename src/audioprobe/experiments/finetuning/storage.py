"""Results of a study: one file per training run, which are read as one tidy table.

The tidy table has one row per measurement; its columns are the fields of `MeasurementRow`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.json_codec import read_json
from audioprobe.io.run_folder import CONFIG, MANIFEST
from audioprobe.metrics.answers import most_likely_option
from audioprobe.parsing import parse_json

BEFORE = "before"
"""Name of the run that evaluates the model before fine-tuning."""

AUDIO_CONCEPTS = "audio_concepts"
"""Key of the manifest (JSON file of a study) for `StudyRecord.audio_concepts`."""

RUNS = "runs"
IN_AUDIO, NOT_IN_AUDIO = "trained in audio", "not trained in audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Measurement of one item in a run; an item is a clip, passage, question, step or layer.

    Attributes:
        measure: name of the measure: one of `comparison.MEASURES`, "novel-class text accuracy",
            "novel-class audio accuracy", "training loss", "weight change: MODULE" (norm of the
            change divided by the norm before) or "similarity: CONDITION" (linear CKA of the hidden
            states of a layer with those before).
        item: name of the item, which is the same in all runs.
        cluster: name of the group of items that the bootstrap resamples together: the concept of a
            question; for all other items, the item.
        value: for an AUC, the score of each label; for a passage, its negative log-likelihood in
            nats; for a yes/no question, the log-odds of yes in nats; None if undefined.
        reference: value to compare with: for an AUC, 1 for each label of the clip, else 0; for a
            passage, its number of tokens; for a question, 1 if yes is correct, else 0; for weights,
            the norm of their change.
        text: caption, clip of a question, or cause of a failure.
    """

    measure: str
    item: str = ""
    cluster: str = ""
    value: float | tuple[float, ...] | None
    reference: float | tuple[float, ...] = 1.0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Result of a training run, or of the model before fine-tuning.

    Attributes:
        name: name of the run.
        trainable: name of the level of trainable modules; "" before fine-tuning.
        regularization: name of the level of regularization.
        alignment: name of the level of alignment.
        arm: for runs on novel classes, what was trained, see `TrainingRun`; "" for other runs.
        seed: random seed of the training; None before fine-tuning.
        labels: labels that captions were scored against, keyed by the name of the AUC measure.
        measurements: all measurements; empty if the run failed.
        stopped_early: whether the training ended before its last step.
        seconds: duration of training and evaluation, in seconds.
        failure: cause of a failure; "" if the run succeeded.
    """

    name: str
    trainable: str = ""
    regularization: str = ""
    alignment: str = ""
    arm: str = ""
    seed: int | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    stopped_early: bool = False
    seconds: float = 0.0
    failure: str = ""

    @classmethod
    def of(cls, run: TrainingRun) -> "RunResult":
        """Return an empty result: name, levels, arm and seed of a run, no measurements."""
        columns = ("name", "trainable", "regularization", "alignment", "arm", "seed")
        return cls(**{column: getattr(run, column) for column in columns})

    @property
    def strategy(self) -> tuple[str, str, str]:
        """Levels of the three factors: trainable modules, regularization and alignment."""
        return self.trainable, self.regularization, self.alignment


class MeasurementRow(NamedTuple):
    """A row of the tidy table: one measurement, with the columns of its run.

    The `value` of a question is 1 for a correct and 0 for a wrong answer; other values are those of
    `Measurement`. `phase` is "before" or "after" fine-tuning. `subset` is the group
    of concepts that a question belongs to, where such groups are compared; "" otherwise.
    """

    run: str
    trainable: str
    regularization: str
    alignment: str
    arm: str
    seed: int | None
    phase: str
    measure: str
    item: str
    cluster: str
    subset: str
    value: float | tuple[float, ...]
    reference: float | tuple[float, ...]


StudyTable: TypeAlias = Sequence[MeasurementRow]


@dataclass(frozen=True, slots=True)
class StudyRecord(TidyData):
    """Stored results of a study, from which reports are computed.

    Attributes:
        study: configuration of the study.
        before: result of the model before fine-tuning.
        runs: results of the finished training runs, in the order of the design.
        audio_concepts: ids of the concepts (sound sources) that paired questions are about; in
            training on novel classes, only the audio questions are limited to them.
        manifest: content of the manifest of the study: what must not change between its starts
            (key "pinned"), and the time and versions of each start (key "starts").
    """

    study: StudyConfig
    before: RunResult
    runs: tuple[RunResult, ...]
    audio_concepts: frozenset[str]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_planned(self) -> int:
        """Number of training runs in the complete study."""
        return len(training_runs(self.study))

    def data(self) -> DataTable:
        """Return the tidy table for pandas, Arrow and Parquet.

        The scores and labels of a clip, from which AUCs are computed, are in the columns
        value_by_label and reference_by_label, all other values in value and reference.
        """
        rows = self.table()
        names = MeasurementRow._fields
        columns: dict[str, list[object]] = {n: [getattr(row, n) for row in rows] for n in names}
        for name in ("value", "reference"):
            values = columns[name]
            columns[name] = [None if isinstance(v, tuple) else v for v in values]
            columns[f"{name}_by_label"] = [
                list(v) if isinstance(v, tuple) else None for v in values
            ]
        return DataTable(columns)

    def table(self) -> StudyTable:
        """Return the tidy table: one row per measurement with a value, including modality gaps."""
        return [
            row
            for result in (self.before, *self.runs)
            for row in _rows(result, self.audio_concepts)
        ]


def result_path(folder: Path, name: str) -> Path:
    """Return the path of the result of a run in the folder of a study."""
    return folder / RUNS / f"{name}.json"


def read_result(path: Path) -> RunResult:
    """Return the result of a finished run.

    Raises:
        InvalidInputError: if the file is not a result that this version of audioprobe can read.
    """
    try:
        return read_json(RunResult, path, path.name)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"{path}: expected the result of a training run ({error}). Remove the file and run the "
            "study again to repeat this training."
        ) from error


def read_finished(folder: Path, runs: Sequence[TrainingRun]) -> tuple[RunResult, ...]:
    """Return the results of all runs that are finished, in the order of `runs`."""
    paths = [result_path(folder, run.name) for run in runs]
    return tuple(read_result(path) for path in paths if path.is_file())


def read_record(folder: str | Path) -> StudyRecord:
    """Read the results of a study from its folder; audio files and models are not needed.

    Args:
        folder: folder of a study. If the study is incomplete, the finished runs are read.

    Raises:
        InvalidInputError: if the folder does not contain a study, or the model before fine-tuning
            has not been evaluated yet.
    """
    folder = Path(folder)
    try:
        config = (folder / CONFIG).read_text(encoding="utf-8")
        manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        audio_concepts = frozenset[str](manifest["pinned"][AUDIO_CONCEPTS])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{folder}: expected the folder of a fine-tuning study ({error}). Pass the folder that "
            "was the --out of `audioprobe run`."
        ) from error
    study, before = parse_study(config, str(folder / CONFIG)), result_path(folder, BEFORE)
    if not before.is_file():
        raise InvalidInputError(
            f"{folder}: no model has been evaluated yet. Continue with `audioprobe run`."
        )
    runs = read_finished(folder, training_runs(study))
    return StudyRecord(study, read_result(before), runs, audio_concepts, manifest)


def select(table: StudyTable, **columns: object) -> StudyTable:
    """Return the rows with the given column values; a tuple accepts any of its values."""
    values = {name: v if isinstance(v, tuple) else (v,) for name, v in columns.items()}
    return [row for row in table if all(getattr(row, name) in v for name, v in values.items())]


def group(table: StudyTable, by: Iterable[str]) -> dict[tuple[str | int | None, ...], StudyTable]:
    """Group the rows, keyed by their values in the columns `by`, in order of appearance."""
    indices = [MeasurementRow._fields.index(name) for name in by]
    groups: dict[tuple[object, ...], list[MeasurementRow]] = {}
    for row in table:
        groups.setdefault(tuple(row[index] for index in indices), []).append(row)
    return dict(groups)  # type: ignore[arg-type]


def _rows(result: RunResult, audio_concepts: frozenset[str]) -> Iterator[MeasurementRow]:
    """Yield the rows of a run; a question answered in text and audio also gives a modality gap."""
    phase = "before" if result.name == BEFORE else "after"
    run = (result.name, *result.strategy, result.arm, result.seed, phase)
    in_text = {m.item: _correct(m) for m in result.measurements if m.measure == "text accuracy"}
    for m in result.measurements:
        is_answer = m.measure.endswith("accuracy")
        value = _correct(m) if is_answer else m.value
        if value is None:
            continue
        subset = ""
        if m.measure.startswith("novel-class"):
            subset = IN_AUDIO if m.cluster in audio_concepts else NOT_IN_AUDIO
        reference = 1.0 if is_answer else m.reference
        row = MeasurementRow(*run, m.measure, m.item, m.cluster, subset, value, reference)
        yield row
        text = in_text.get(m.item)
        if m.measure == "audio accuracy" and isinstance(value, float) and text is not None:
            yield row._replace(measure="modality gap", value=text - value)


def _correct(answer: Measurement) -> float | None:
    """Return 1 if the more likely answer (yes or no) is correct, else 0; None if undefined."""
    if not isinstance(answer.value, float):
        return None
    option = most_likely_option((answer.value, 0.0))
    return None if option is None else float((option == 0) == bool(answer.reference))
