"""Run an interpretability study: ask all questions, then make all measurements, and store both."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.experiments.interpretability.config import InterpretabilityConfig
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
from audioprobe.experiments.run_metadata import (
    ExperimentFolder,
    Notify,
    open_experiment,
    run_start,
)
from audioprobe.io.json_codec import to_json
from audioprobe.probing.modality_gap import recognition_by_clip
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Inspectable
from audioprobe.registry import load
from audioprobe.types import Waveform

FORMAT = 1  # version of the stored results
ACTIVATIONS = "activations"
"""Name of the folder with intermediate files of measurements, such as recorded states."""


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
        notify: Notify = lambda _: None,
    ) -> InterpretabilityRecord:
        """Ask all questions and make all measurements that have no result in the folder yet.

        Args:
            folder: folder of the study; an interrupted study resumes.
            progress: called with the progress of each stage.
            notify: called with notices about omitted evaluation sets, changed audio and training
                clips.

        Raises:
            InvalidInputError: if the folder contains another study, another process works in it, or
                the model was trained on clips that the config calls unfamiliar.
            UnsupportedInputError: if the activations of the model are not accessible.
            AudioProbeError: for causes that affect all prompts, such as missing weights.
        """
        for note in self.plan.notes:
            notify(note)
        path, config = Path(folder), self.config
        model = load("language_model", config.model.name, **config.model.options)
        if not isinstance(model, Inspectable):
            raise UnsupportedInputError(
                f"Expected a model whose activations are accessible, received {model.info.name}. "
                "Use an LTU or a chat model of transformers."
            )
        pinned = self._pinned(model)
        pairs = [(planned.clips, model) for planned in self.plan.sets]
        with open_experiment(
            path, config, self._text, pairs, pinned=pinned, cache=config.cache, notify=notify
        ) as run:
            trials = self._answered(run, model, progress)
            store_trials(path, trials.record)
            for name in config.measurements:
                if not is_finished(path, name):
                    provenance = {**pinned, "start": run_start()}
                    try:
                        result = MEASUREMENTS[name].compute(
                            model,
                            trials,
                            config.options,
                            path / ACTIVATIONS,
                            prefixed(progress, name),
                        )
                    except (InvalidInputError, UnsupportedInputError) as error:
                        notify(f"{name} has no result: {error}")
                        store_failure(path, name, str(error))
                    else:
                        store_measurement(path, name, result, provenance)
        return read_record(path)

    def _answered(
        self, run: ExperimentFolder, model: Inspectable, progress: ProgressCallback
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

    def _pinned(self, model: Inspectable) -> dict[str, Any]:
        """Return everything that results depend on besides the config, as plain JSON data."""
        return {
            "format": FORMAT,
            "model": json.loads(to_json(model.info)),
            "questions": {p.clips.name: p.probe.digest() for p in self.plan.sets},
            "roles": {p.clips.name: p.n_by_role() for p in self.plan.sets},
            "seed": self.config.seed,
        }


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
