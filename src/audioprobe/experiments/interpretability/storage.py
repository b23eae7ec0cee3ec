"""Stored results of a study: matched trials, and curves and tables of each measurement."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.interpretability.config import InterpretabilityConfig
from audioprobe.experiments.interpretability.trials import TrialRecord
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.interpretability.curve_files import CURVES, load_curves, save_curves
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.io.atomic import atomic_write
from audioprobe.io.config import read_config
from audioprobe.io.data_table import DataTable
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.io.run_folder import CONFIG, MANIFEST
from audioprobe.parsing import parse_json

TRIALS, TABLES, FAILURE = "trials.json", "tables.json", "failure.txt"


@dataclass(frozen=True, slots=True)
class MeasurementResult:
    """Result of a measurement.

    Attributes:
        curves: curves over sites by name.
        tables: tables by name.
    """

    curves: Mapping[str, SiteCurve]
    tables: Mapping[str, DataTable]


@dataclass(frozen=True, slots=True)
class InterpretabilityRecord:
    """Stored results of a study, from which the report is computed.

    Attributes:
        config: configuration of the study.
        trials: all matched trials with their answers.
        results: result of each finished measurement by name.
        failures: why each other measurement has no result, by name.
        manifest: what must not change between starts (key "pinned"), and time, versions and
            training clips of each start (key "starts").
    """

    config: InterpretabilityConfig
    trials: TrialRecord
    results: Mapping[str, MeasurementResult]
    failures: Mapping[str, str]
    manifest: Mapping[str, Any]

    @property
    def curves(self) -> dict[str, SiteCurve]:
        """Curves of all measurements by name."""
        return {name: c for result in self.results.values() for name, c in result.curves.items()}

    @property
    def tables(self) -> dict[str, DataTable]:
        """Tables of all measurements by name."""
        return {name: t for result in self.results.values() for name, t in result.tables.items()}


def measurement_folder(folder: Path, name: str) -> Path:
    """Return the folder of the result of a measurement in the folder of a study."""
    return folder / RESULTS / name.replace(" ", "-")


def is_finished(folder: Path, name: str) -> bool:
    """Return whether the result of a measurement is stored."""
    return (measurement_folder(folder, name) / CURVES).is_file()


def store_measurement(
    folder: Path,
    name: str,
    result: Mapping[str, SiteCurve | DataTable],
    provenance: Mapping[str, Any],
) -> None:
    """Store curves and tables of a measurement; the file that marks it as finished is the last."""
    target = measurement_folder(folder, name)
    target.mkdir(parents=True, exist_ok=True)
    tables = {
        key: dict(value.columns) for key, value in result.items() if isinstance(value, DataTable)
    }
    atomic_write(target / TABLES, json.dumps(tables, allow_nan=False))
    curves = {key: value for key, value in result.items() if isinstance(value, SiteCurve)}
    save_curves(curves, target, provenance)


def store_failure(folder: Path, name: str, cause: str) -> None:
    """Store why a measurement could not be made; the next start of the study tries it again."""
    target = measurement_folder(folder, name)
    target.mkdir(parents=True, exist_ok=True)
    atomic_write(target / FAILURE, cause)


def read_failures(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the cause of each measurement without a result; "not made yet" if there is none."""
    causes = {}
    for name in names:
        if not is_finished(folder, name):
            path = measurement_folder(folder, name) / FAILURE
            causes[name] = path.read_text(encoding="utf-8") if path.is_file() else "not made yet"
    return causes


def read_measurement(folder: Path, name: str) -> MeasurementResult:
    """Read the stored result of a measurement.

    Raises:
        InvalidInputError: if a file is missing or damaged.
    """
    target = measurement_folder(folder, name)
    try:
        tables = parse_json((target / TABLES).read_text(encoding="utf-8"))
        return MeasurementResult(
            load_curves(target), {key: DataTable(columns) for key, columns in tables.items()}
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InvalidInputError(
            f"{target}: cannot be read as the result of a measurement ({error}). Remove this "
            "folder and run the study again."
        ) from error


def store_trials(folder: Path, trials: TrialRecord) -> None:
    """Store the matched trials of a study."""
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    atomic_write(folder / RESULTS / TRIALS, to_json(trials, indent=None))


def read_record(folder: str | Path) -> InterpretabilityRecord:
    """Read the results of a study from its folder; audio files and models are not needed.

    Args:
        folder: folder of a study. If it is incomplete, the finished measurements are read.

    Raises:
        InvalidInputError: if the folder contains no study, or no question was answered yet.
    """
    path = Path(folder)
    config = read_config(InterpretabilityConfig, path / CONFIG)
    with located(str(path)):
        if not (path / RESULTS / TRIALS).is_file():
            raise InvalidInputError(
                "expected answers to the questions of the study, found none. Continue with "
                f"`audioprobe run {path / CONFIG} --out {path}`."
            )
        return InterpretabilityRecord(
            config,
            read_json(TrialRecord, path / RESULTS, TRIALS),
            {
                name: read_measurement(path, name)
                for name in config.measurements
                if is_finished(path, name)
            },
            read_failures(path, config.measurements),
            _manifest(path / MANIFEST),
        )


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return dict(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{path}: cannot be read as JSON ({error}).") from error
