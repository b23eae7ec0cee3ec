"""Run a probing experiment: ask every model the questions about each of its evaluation sets.

Every response is stored, so that an interrupted run can resume.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.errors import located
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.probing.build import PlannedProbe, plan_probes
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.run_metadata import (
    Notify,
    open_experiment,
    read_result,
    result_files,
)
from audioprobe.experiments.worker_model import model_loader
from audioprobe.io.json_codec import to_json
from audioprobe.models.cached import CachedModel
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import LanguageModel

FORMAT = 2


@dataclass(frozen=True, slots=True)
class ProbeCell:
    """The result of one model on one evaluation set; "cell" for short.

    Attributes:
        model: name of the model.
        evaluation_set: name of the evaluation set.
        familiar: whether the model was trained on such audio; None if unknown.
        outcome: all questions with their answers.
    """

    model: str
    evaluation_set: str
    familiar: bool | None
    outcome: ProbeOutcome

    @property
    def name(self) -> str:
        """Name of the files with the result, without their suffixes."""
        return f"{self.model}--{self.evaluation_set}"


class ProbeRun:
    """A probing run that is ready to start: questions exist, models are not loaded yet.

    Args:
        config: configuration of the run.
        text: text of the configuration, which is stored in the folder of the run.

    Attributes:
        planned: questions for each model about each of its evaluation sets, model by model.

    Raises:
        InvalidInputError: if concepts, clips or wordings are missing, or there are no questions.
    """

    def __init__(self, config: ProbeConfig, text: str) -> None:
        self.config = config
        self._text = text
        self.planned: Sequence[PlannedProbe] = plan_probes(config)

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        placement: Placement = HERE,
        notify: Notify = lambda _: None,
    ) -> list[ProbeCell]:
        """Ask every question that has no response in the folder of the run yet.

        Args:
            folder: folder of the run; an interrupted run resumes.
            progress: called with the progress of each stage.
            placement: where the models run; each worker loads those that it uses.
            notify: called with notices about changed audio, training clips and reused responses.

        Returns:
            The result of each model on each of its evaluation sets, in the order of `planned`.

        Raises:
            InvalidInputError: if the folder contains another run, another process works in it, or a
                model was trained on clips that the config calls unfamiliar.
            AudioProbeError: for causes that affect all questions, such as missing weights.
        """
        with model_loader(placement) as load_model:
            models = {spec.name: load_model(spec.model) for spec in self.config.models}
            judge = load_model(self.config.judge) if self.config.judge else None
            return self._run(folder, models, judge, progress, notify)

    def _run(
        self,
        folder: str | Path,
        models: Mapping[str, LanguageModel],
        judge: LanguageModel | None,
        progress: ProgressCallback,
        notify: Notify,
    ) -> list[ProbeCell]:
        """Ask every question that has no response in the folder of the run yet."""
        pairs = [(plan.clips, models[plan.model.name]) for plan in self.planned if plan.clips]
        pinned = self._pinned(models, judge)
        cells = []
        with open_experiment(
            folder,
            self.config,
            self._text,
            pairs,
            pinned=pinned,
            cache=self.config.cache,
            notify=notify,
        ) as run:
            for plan in self.planned:
                outcome = run_probe(
                    run.logged(models[plan.model.name]),
                    plan.questions,
                    plan.model.prompting,
                    self.config.bootstrap,
                    judge=judge and CachedModel(judge, run.response_log),
                    progress=prefixed(progress, f"{plan.model.name}, {plan.evaluation_set}"),
                )
                cells.append(_cell(plan, outcome))
                run.store(f"{plan.name}.json", outcome.to_json())
        return cells

    def read(self, folder: str | Path) -> list[ProbeCell]:
        """Read the results of a finished run, in the order of `planned`; no model is loaded.

        Raises:
            InvalidInputError: if a result is missing or damaged.
        """
        files = result_files(Path(folder), [plan.name for plan in self.planned])
        texts = map(read_result, files)
        cells = []
        for plan, text in zip(self.planned, texts, strict=True):
            with located(f"{folder}: {plan.name}.json"):
                cells.append(_cell(plan, ProbeOutcome.from_json(text)))
        return cells

    def _pinned(
        self, models: Mapping[str, LanguageModel], judge: LanguageModel | None
    ) -> dict[str, object]:
        """Return models, questions, options and seed, to be stored in the folder of the run.

        An interrupted run resumes only if they have not changed.
        """
        options = {plan.name: plan.questions.options for plan in self.planned}
        return {
            "format": FORMAT,
            "models": {name: json.loads(to_json(model.info)) for name, model in models.items()},
            "questions": {plan.name: plan.questions.digest() for plan in self.planned},
            "options": json.loads(json.dumps(options)),
            "seed": self.config.seed,
            **({} if judge is None else {"judge": json.loads(to_json(judge.info))}),
        }


def _cell(plan: PlannedProbe, outcome: ProbeOutcome) -> ProbeCell:
    familiar = plan.clips.familiar if plan.clips else None
    return ProbeCell(plan.model.name, plan.evaluation_set, familiar, outcome)
