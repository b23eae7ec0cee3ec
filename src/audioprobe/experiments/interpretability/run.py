"""Run an interpretability study: ask all questions, then make all measurements, and store both."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audioprobe.experiments.interpretability.config import InterpretabilityConfig
from audioprobe.experiments.interpretability.measurement_jobs import (
    MeasurementModels,
    check_inspectable,
    measure,
)
from audioprobe.experiments.interpretability.measurements import MEASUREMENTS
from audioprobe.experiments.interpretability.questions import PlannedQuestions, plan_questions
from audioprobe.experiments.interpretability.storage import (
    InterpretabilityRecord,
    is_finished,
    read_record,
    store_failure,
    store_measurement,
    store_trials,
)
from audioprobe.experiments.interpretability.trials import (
    READING,
    MatchedTrial,
    StudyTrials,
    TrialRecord,
)
from audioprobe.experiments.job_pool import JobPool, SerialPool, WorkerSetup
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.run_metadata import (
    ExperimentFolder,
    Notify,
    open_experiment,
    run_start,
)
from audioprobe.experiments.worker_model import worker_model
from audioprobe.io.json_codec import to_json
from audioprobe.probing.modality_gap import recognition_by_clip
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import LanguageModel
from audioprobe.types import Waveform

FORMAT = 1  # version of the stored results


class InterpretabilityRun:
    """A study that is ready to start: questions exist, the model is not loaded yet.

    Args:
        config: configuration of the study.
        text: text of the configuration, which is stored in the folder of the study.

    Attributes:
        plan: all questions.

    Raises:
        InvalidInputError: see `plan_questions`.
    """

    def __init__(self, config: InterpretabilityConfig, text: str) -> None:
        self.config = config
        self._text = text
        self.plan = plan_questions(config)

    @property
    def n_passes(self) -> dict[str, int]:
        """Estimated number of forward passes over one prompt, by part of the study."""
        n_questions = sum(len(planned.probe.questions) for planned in self.plan.sets)
        n_matched = sum(planned.n_matched for planned in self.plan.sets)
        n_texts = len({q.text for p in self.plan.sets for q in p.probe.questions if not q.audio})
        limit = self.config.options.max_trials
        n_trials = min(n_matched, limit) if limit else n_matched
        # Likelihoods of two options need one prompt each, and the same without audio.
        passes = {"answers": 3 * n_questions, "states": n_matched + n_texts}
        chosen = {name: MEASUREMENTS[name].n_passes(n_trials) for name in self.config.measurements}
        return passes | {name: n for name, n in chosen.items() if n}

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        placement: Placement = HERE,
        notify: Notify = lambda _: None,
    ) -> InterpretabilityRecord:
        """Ask all questions and make all measurements that have no result in the folder yet.

        Args:
            folder: folder of the study; an interrupted study resumes.
            progress: called with the progress of each stage.
            placement: where the model runs. Workers answer questions, and then each makes one
                measurement at a time. On a cluster, all machines must share the folder and the
                audio files under the same paths.
            notify: called with notices about omitted evaluation sets, changed audio and training
                clips.

        Raises:
            InvalidInputError: if the folder contains another study, another process works in it,
                the model was trained on clips that the config calls unfamiliar, or a machine of the
                cluster does not share the folder.
            UnsupportedInputError: if the activations of the model are not accessible.
            AudioProbeError: for causes that affect all prompts, such as missing weights.
        """
        for note in self.plan.notes:
            notify(note)
        path = Path(folder)
        with _placed(placement, self.config, path, progress) as (model, pool):
            self._run(path, model, pool, progress, notify)
        return read_record(path)

    def _run(
        self,
        path: Path,
        model: LanguageModel,
        pool: JobPool[MeasurementModels],
        progress: ProgressCallback,
        notify: Notify,
    ) -> None:
        """Ask a model all questions, and make the measurements that are missing in a folder."""
        config, pinned = self.config, self._pinned(model)
        pairs = [(planned.clips, model) for planned in self.plan.sets]
        with open_experiment(
            path, config, self._text, pairs, pinned=pinned, cache=config.cache, notify=notify
        ) as run:
            trials = self._answered(run, model, progress)
            store_trials(path, trials.record)
            missing = [name for name in config.measurements if not is_finished(path, name)]
            provenance = {**pinned, "start": run_start()}
            for done, outcome in enumerate(measure(pool, trials, missing), 1):
                if outcome.failure:
                    notify(f"{outcome.name} has no result: {outcome.failure}")
                    store_failure(path, outcome.name, outcome.failure)
                else:
                    store_measurement(path, outcome.name, outcome.values, provenance)
                if pool.n_workers > 1:  # workers do not report their progress
                    event = ProgressEvent(stage="measurements", done=done, total=len(missing))
                    progress(event)

    def _answered(
        self, run: ExperimentFolder, model: LanguageModel, progress: ProgressCallback
    ) -> StudyTrials:
        """Ask all questions that have no response in the folder, and return the matched trials."""
        trials: list[MatchedTrial] = []
        sounds: dict[str, Callable[[], Waveform]] = {}
        prompting = self.config.likelihoods_only
        for planned in self.plan.sets:
            outcome = run_probe(
                run.logged(model),
                planned.probe,
                prompting,
                self.config.bootstrap,
                progress=prefixed(progress, planned.clips.name),
            )
            run.store(f"answers--{planned.clips.name}.json", outcome.to_json())
            matched = matched_trials(planned, outcome)
            trials += matched
            sounds |= {t.clip: planned.probe.sounds[t.audio.question.audio] for t in matched}
        kinds = {trial.concept: self.plan.kinds[trial.concept] for trial in trials}
        return StudyTrials(TrialRecord(tuple(trials), kinds), sounds, prompting)

    def _pinned(self, model: LanguageModel) -> dict[str, Any]:
        """Return everything that results depend on besides the config, as plain JSON data."""
        return {
            "format": FORMAT,
            "model": json.loads(to_json(model.info)),
            "questions": {p.clips.name: p.probe.digest() for p in self.plan.sets},
            "roles": {p.clips.name: p.n_by_role() for p in self.plan.sets},
            "seed": self.config.seed,
        }


@contextmanager
def _placed(
    placement: Placement, config: InterpretabilityConfig, folder: Path, progress: ProgressCallback
) -> Iterator[tuple[LanguageModel, JobPool[MeasurementModels]]]:
    """Context manager with the model of a study, and the pool that makes its measurements.

    Raises:
        UnsupportedInputError: if the activations of the model are not accessible.
    """
    if placement.is_here:
        context = MeasurementModels(config, folder, progress)
        yield context.model, SerialPool(context)
        return
    setup = WorkerSetup(MeasurementModels, (config, folder.absolute()), folder)
    with placement.workers(setup) as pool:
        pool.submit(check_inspectable, None).result()
        yield worker_model(pool, config.model), pool


def matched_trials(planned: PlannedQuestions, outcome: ProbeOutcome) -> list[MatchedTrial]:
    """Return each question about a clip with the same question in text; invalid answers remain."""
    in_text = {
        trial.question.key: trial
        for trial in outcome.trials
        if trial.question.condition == "text" and trial.question.pair.relation == "hypernym"
    }
    recognised = recognition_by_clip(outcome.trials, READING)
    return [
        MatchedTrial(
            text=in_text[trial.question.key],
            audio=trial,
            evaluation_set=planned.clips.name,
            familiar=planned.clips.familiar,
            role=planned.roles[trial.question.pair.match],
            recognised=recognised.get(trial.question.clip),
        )
        for trial in outcome.trials
        if trial.question.condition == "audio" and trial.question.key in in_text
    ]
