"""The measurements of a study as jobs, which can run at the same time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.experiments.interpretability.config import InterpretabilityConfig
from audioprobe.experiments.interpretability.measurements import MEASUREMENTS
from audioprobe.experiments.interpretability.states import record_states
from audioprobe.experiments.interpretability.trials import Modality, StudyTrials
from audioprobe.experiments.job_pool import JobPool, run_jobs
from audioprobe.experiments.worker_model import LoadedModels
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.io.data_table import DataTable
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Inspectable

ACTIVATIONS = "activations"
"""Name of the folder with intermediate files of measurements, such as recorded states."""


class MeasurementModels(LoadedModels):
    """Context of the jobs of a study: its model, and a folder for intermediate files.

    Args:
        config: configuration of the study.
        folder: folder of the study.
        progress: called with the progress of each measurement in this process.
    """

    def __init__(
        self,
        config: InterpretabilityConfig,
        folder: Path,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        super().__init__()
        self.config = config
        self.activations = folder / ACTIVATIONS
        self.progress = progress

    @property
    def model(self) -> Inspectable:
        """The model of the study.

        Raises:
            UnsupportedInputError: if its activations are not accessible.
        """
        model = self.get(self.config.model)
        if not isinstance(model, Inspectable):
            raise UnsupportedInputError(
                f"Expected a model whose activations are accessible, received {model.info.name}. "
                "Use an LTU or a chat model of transformers."
            )
        return model


@dataclass(frozen=True, slots=True)
class MeasurementJob:
    """A measurement to make.

    Attributes:
        name: name of the measurement.
        trials: the matched trials.
    """

    name: str
    trials: StudyTrials


@dataclass(frozen=True, slots=True)
class MeasurementOutcome:
    """Outcome of a measurement.

    Attributes:
        name: name of the measurement.
        values: curves and tables by name.
        failure: why the measurement could not be made; "" if it was made.
    """

    name: str
    values: Mapping[str, SiteCurve | DataTable]
    failure: str = ""


def measure(
    pool: JobPool[MeasurementModels], trials: StudyTrials, names: Sequence[str]
) -> Iterator[MeasurementOutcome]:
    """Make measurements, and yield the outcome of each when it ends.

    Args:
        pool: what runs the jobs.
        trials: the matched trials.
        names: names of the measurements.
    """
    shared = [name for name in names if MEASUREMENTS[name].uses_states]
    if shared and pool.n_workers > 1:  # otherwise several workers would record the same states
        modalities: list[tuple[StudyTrials, Modality]] = [(trials, "text"), (trials, "audio")]
        failures = [cause for cause in run_jobs(pool, _record, modalities) if cause]
        if failures:
            yield from (MeasurementOutcome(name, {}, failures[0]) for name in shared)
            names = [name for name in names if name not in shared]
    yield from run_jobs(pool, _measure, (MeasurementJob(name, trials) for name in names))


def check_inspectable(context: MeasurementModels, _: None) -> None:
    """Load the model of a study; raise `UnsupportedInputError` if its activations are hidden."""
    _model = context.model


def _record(context: MeasurementModels, item: tuple[StudyTrials, Modality]) -> str:
    """Record the states of all trials in one modality; return the cause of a failure, or ""."""
    trials, modality = item
    options, folder = context.config.options, context.activations
    try:
        record_states(
            context.model, trials, options, folder, context.progress, modalities=(modality,)
        )
    except (InvalidInputError, UnsupportedInputError) as error:
        return str(error)
    return ""


def _measure(context: MeasurementModels, job: MeasurementJob) -> MeasurementOutcome:
    try:
        values = MEASUREMENTS[job.name].compute(
            context.model,
            job.trials,
            context.config.options,
            context.activations,
            prefixed(context.progress, job.name),
        )
    except (InvalidInputError, UnsupportedInputError) as error:
        return MeasurementOutcome(job.name, {}, str(error))
    return MeasurementOutcome(job.name, values)
