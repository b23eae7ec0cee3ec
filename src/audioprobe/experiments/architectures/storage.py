"""Stored results of a study: one file for each arm and seed."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.architectures.config import ArchitecturesConfig, Arm
from audioprobe.experiments.architectures.cost import ArmCost
from audioprobe.experiments.architectures.questions import SceneQuestion
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.io.atomic import atomic_open, atomic_write
from audioprobe.io.config import read_config
from audioprobe.io.data_table import DataTable
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.io.run_folder import CONFIG, MANIFEST
from audioprobe.parsing import parse_json
from audioprobe.probing.trial import Trial
from audioprobe.small_ltu.relations import SplitRole
from audioprobe.types import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTrial:
    """A question about a scene, with the log-likelihood of each possible answer.

    Attributes:
        question: the question.
        log_likelihoods: mean log-likelihood of the tokens of each option in nats; () if it failed.
        failure: cause of the failure; "" otherwise.
    """

    question: SceneQuestion
    log_likelihoods: tuple[float, ...] = ()
    failure: str = ""

    @property
    def is_correct(self) -> bool | None:
        """Whether the most probable option is correct; None for a failure or a tie."""
        values = self.log_likelihoods
        if not values or sum(value == max(values) for value in values) != 1:
            return None
        return values.index(max(values)) == self.question.correct


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResponse:
    """Response of an agent with tools to a question about a clip, with its calls in the details.

    Attributes:
        clip: id of the clip, or "scene N".
        question: text of the question.
        response: the response; None if it failed.
    """

    clip: str
    question: str
    response: Response | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """Result of an arm with a seed.

    Attributes:
        arm: name of the arm.
        seed: the seed.
        trials: yes/no questions with answers.
        scenes: questions about scenes with answers.
        responses: responses of an agent with its calls; () for other arms.
        roles: role in the training of each pair of relations, by its number as text.
        sets: name of the set of each clip.
        cost: parameters and operations.
        n_steps: number of steps of the training with audio.
        n_questions: number of questions of these steps, with repetitions.
        seconds_per_step: median duration of these steps on the machine of the training.
        rate: factor of the connector's learning rate.
        rate_losses: validation loss for each factor that was tried; None if it diverged.
        codebook: use of the codes of an arm with a codebook; see `codebook_measures`.
        losses: training loss of each step of the stages with audio.
        start: time, versions and commit.
    """

    arm: str
    seed: int
    trials: tuple[Trial, ...]
    scenes: tuple[SceneTrial, ...]
    responses: tuple[AgentResponse, ...] = ()
    roles: Mapping[str, SplitRole]
    sets: Mapping[str, str]
    cost: ArmCost
    n_steps: int
    n_questions: int
    seconds_per_step: float
    rate: float
    rate_losses: Mapping[str, float | None] = field(default_factory=dict)
    codebook: Mapping[str, float | None] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    start: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArchitecturesRecord:
    """Stored results of a study, from which the report is computed.

    Attributes:
        config: configuration of the study.
        results: results of finished runs by (arm, seed), in the order of the configuration.
        manifest: what must not change between starts ("pinned"), and time, versions and commit of
            each start ("starts").
        locations: for each arm with audio tokens, tables about where a concept is lost inside the
            model of the first seed; see `location.locate_loss`.
    """

    config: ArchitecturesConfig
    results: Mapping[tuple[str, int], ArmResult]
    manifest: Mapping[str, Any]
    locations: Mapping[str, Mapping[str, DataTable]] = field(default_factory=dict)

    def of(self, arm: str) -> dict[int, ArmResult]:
        """Return the results of an arm by seed."""
        return {seed: r for (name, seed), r in self.results.items() if name == arm}

    @property
    def missing(self) -> list[tuple[str, int]]:
        """Runs without a result, as (arm, seed)."""
        return [run for run in planned_runs(self.config) if run not in self.results]


def planned_runs(config: ArchitecturesConfig) -> list[tuple[str, int]]:
    """Return all runs of a study as (arm, seed): the first seed of all arms comes first."""
    most = max(map(config.n_seeds, config.arms))
    return [
        (arm.name, seed)
        for seed in range(most)
        for arm in config.arms
        if seed < config.n_seeds(arm)
    ]


def result_name(arm: Arm | str, seed: int) -> str:
    """Return the name of the file with the result of a run."""
    name = arm if isinstance(arm, str) else arm.name
    return f"{name}-{seed}.json.gz"


def store_result(folder: Path, result: ArmResult) -> None:
    """Store the result of a run; gzip makes it twelve times smaller. Equal results, equal bytes."""
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    text = to_json(result, indent=None).encode("utf-8", "backslashreplace")
    with atomic_open(folder / RESULTS / result_name(result.arm, result.seed)) as stream:
        stream.write(gzip.compress(text, mtime=0))


def location_path(folder: Path, arm: str) -> Path:
    """Return the file with the tables about where a concept is lost inside an arm."""
    return folder / RESULTS / f"locations-{arm}.json"


def store_location(folder: Path, arm: str, tables: Mapping[str, DataTable]) -> None:
    """Store tables about where a concept is lost inside an arm."""
    columns = {name: dict(table.columns) for name, table in tables.items()}
    atomic_write(location_path(folder, arm), json.dumps(columns, allow_nan=False))


def _read_location(path: Path) -> dict[str, DataTable]:
    try:
        tables = parse_json(path.read_text(encoding="utf-8"))
        return {name: DataTable(columns) for name, columns in tables.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InvalidInputError(
            f"{path.name} cannot be read ({error}). Remove it, and run the study again."
        ) from error


def read_record(folder: str | Path) -> ArchitecturesRecord:
    """Read the results of a study from its folder; models and audio are not needed.

    Args:
        folder: folder of a study. If it is incomplete, the finished runs are read.

    Raises:
        InvalidInputError: if the folder contains no study, or no run is finished.
    """
    path = Path(folder)
    config = read_config(ArchitecturesConfig, path / CONFIG)
    with located(str(path)):
        results = {
            (arm, seed): read_json(ArmResult, path / RESULTS, result_name(arm, seed))
            for arm, seed in planned_runs(config)
            if (path / RESULTS / result_name(arm, seed)).is_file()
        }
        if not results:
            raise InvalidInputError(
                "expected results of at least one arm, found none. Continue with "
                f"`audioprobe run {path / CONFIG} --out {path}`."
            )
        try:
            manifest = dict(parse_json((path / MANIFEST).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InvalidInputError(f"{MANIFEST} cannot be read as JSON ({error}).") from error
        locations = {
            arm.name: _read_location(location_path(path, arm.name))
            for arm in config.arms
            if location_path(path, arm.name).is_file()
        }
    return ArchitecturesRecord(config, results, manifest, locations)
