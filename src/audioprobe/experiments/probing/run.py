"""A run of concept probes: every question kept as it is answered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.experiments.materials import built
from audioprobe.experiments.probing.config import Probe
from audioprobe.experiments.probing.materials import Planned, planned
from audioprobe.experiments.record import digest_of, started
from audioprobe.language_models.cached_likelihoods import cached
from audioprobe.probes.interview import interview
from audioprobe.probes.outcome import ProbeOutcome
from audioprobe.protocols import LanguageModel
from audioprobe.runs.folder import RunFolder, open_run
from audioprobe.runs.progress import Progress
from audioprobe.serialize import to_json

FORMAT = 1
RESULTS = "results"


@dataclass(frozen=True, slots=True)
class ProbeCell:
    """One listener asked about one part of the sounds.

    Attributes:
        listener: its name.
        sounds: their name.
        familiar: whether the listener learned from such sound.
        outcome: every trial.
    """

    listener: str
    sounds: str
    familiar: bool | None
    outcome: ProbeOutcome

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.listener}--{self.sounds}"


class ProbeRun:
    """A run, prepared: what will be asked is known before any model is loaded.

    Args:
        config: what is wanted.
        text: the configuration as it was written, which goes into the folder.

    Attributes:
        planned: listener by listener, sounds by sounds.

    Raises:
        InvalidInputError: if concepts, sounds or wordings are not there, or nothing can be asked.
    """

    def __init__(self, config: Probe, text: str) -> None:
        self.config = config
        self._text = text
        self.planned: Sequence[Planned] = planned(config)

    def __call__(self, folder: str | Path, progress: Progress = lambda *_: None) -> list[ProbeCell]:
        """Ask everything that was not answered yet.

        Args:
            folder: of this run; one that was stopped goes on.
            progress: told how far it is.

        Returns:
            A cell for each listener and each part of its sounds, in order.

        Raises:
            InvalidInputError: if the folder holds another run, or another process works in it.
            AudioProbeError: for what no single question is the cause of, such as missing weights.
        """
        models: dict[str, LanguageModel] = {
            listener.name: built("language_model", listener.model)  # type: ignore[misc]
            for listener in self.config.listeners
        }
        with open_run(folder, self._text, self._pinned(models), started()) as run:
            cells = []
            for one in self.planned:
                model = models[one.listener.name]
                if self.config.cache:
                    model = cached(model, Path(self.config.cache).expanduser())
                outcome = interview(
                    cached(model, run.journal),
                    one.questionnaire,
                    one.asked,
                    one.listener.manners,
                    self.config.bootstrap,
                    progress=_told(progress, one),
                )
                familiar = one.heard.familiar if one.heard else None
                cells.append(ProbeCell(one.listener.name, one.sounds, familiar, outcome))
                _keep(run, cells[-1])
            return cells

    def _pinned(self, models: dict[str, LanguageModel]) -> dict[str, object]:
        """What, besides the configuration's text, a result depends on."""
        sounds = {one.sounds: one.heard for one in self.planned if one.heard}
        return {
            "format": FORMAT,
            "models": {name: json.loads(to_json(model.info)) for name, model in models.items()},
            "data": {name: json.loads(to_json(heard.info)) for name, heard in sounds.items()},
            "clips": {name: digest_of(heard.clips) for name, heard in sounds.items()},
            "questions": {one.name: one.asked.digest() for one in self.planned},
            "options": {one.name: _plain(one.questionnaire.options) for one in self.planned},
            "seed": self.config.seed,
        }


def _plain(options: object) -> object:
    return json.loads(json.dumps(options))


def _told(progress: Progress, one: Planned) -> Progress:
    """Stages named by who is asked about what."""

    def tell(what: str, done: int, total: int, note: str) -> None:
        progress(f"{one.listener.name}, {one.sounds}: {what}", done, total, note)

    return tell


def _keep(run: RunFolder, cell: ProbeCell) -> None:
    (run.path / RESULTS).mkdir(exist_ok=True)
    run.write(f"{RESULTS}/{cell.name}.json", cell.outcome.to_json())
