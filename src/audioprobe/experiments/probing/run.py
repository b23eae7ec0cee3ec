"""A run of concept probes: every question kept as it is answered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.audio.training_clips import training_clips
from audioprobe.errors import located
from audioprobe.experiments.probing.build import PlannedProbe, planned
from audioprobe.experiments.probing.config import ProbeConfig
from audioprobe.experiments.run_metadata import (
    RESULTS,
    Say,
    clip_digests,
    read_results,
    refuse_familiar,
    same_config,
    sound_digests,
    started,
    tell_changes,
    tell_reuse,
)
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import RunFolder, open_run
from audioprobe.models.cached import CachedModel
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.runner import run_probe
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import LanguageModel
from audioprobe.registry import load
from audioprobe.training_data import training_notes

FORMAT = 1


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

    def __init__(self, config: ProbeConfig, text: str) -> None:
        self.config = config
        self._text = text
        self.planned: Sequence[PlannedProbe] = planned(config)

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        say: Say = lambda _: None,
    ) -> list[ProbeCell]:
        """Ask everything that was not answered yet.

        Args:
            folder: of this run; one that was stopped goes on.
            progress: called with the progress of each stage.
            say: gets notices: changed sounds, clips that a model was trained on, answers kept.

        Returns:
            A cell for each listener and each part of its sounds, in order.

        Raises:
            InvalidInputError: if the folder holds another run, another process works in it, or
                sounds that are called unfamiliar have clips that a model was trained on.
            AudioProbeError: for what no single question is the cause of, such as missing weights.
        """
        models: dict[str, LanguageModel] = {
            listener.name: load("language_model", listener.model.name, **listener.model.options)
            for listener in self.config.listeners
        }
        judge = self._judge()
        digests = {one.sounds: sound_digests(one.heard.clips) for one in self.planned if one.heard}
        known = self._training_clips(models)
        with open_run(
            folder,
            self._text,
            self._pinned(models, judge),
            {**started(), "training clips": known},
            audio_digests=digests,
            incompatibility=lambda older: same_config(older, self.config),
        ) as run:
            n_before = len(run.response_log)
            tell_changes(run, digests, say)
            self._tell_training_clips(known, say)
            asked, cells = [], []
            for one in self.planned:
                model = models[one.listener.name]
                if self.config.cache:
                    model = CachedModel(model, Path(self.config.cache).expanduser())
                asked.append(CachedModel(model, run.response_log))
                outcome = run_probe(
                    asked[-1],
                    one.questionnaire,
                    one.asked,
                    one.listener.options,
                    self.config.bootstrap,
                    judge=judge and CachedModel(judge, run.response_log),
                    progress=prefixed(progress, f"{one.listener.name}, {one.sounds}"),
                )
                familiar = one.heard.familiar if one.heard else None
                cells.append(ProbeCell(one.listener.name, one.sounds, familiar, outcome))
                _keep(run, cells[-1])
            tell_reuse(asked, n_before, say)
            return cells

    def _judge(self) -> LanguageModel | None:
        if self.config.judge is None:
            return None
        return load("language_model", self.config.judge.name, **self.config.judge.options)

    def _training_clips(
        self, models: dict[str, LanguageModel]
    ) -> dict[str, dict[str, tuple[str, ...]]]:
        """Ids of the clips that a model was trained on, by the name of the sounds and the model.

        Raises:
            InvalidInputError: if some are among sounds that are called unfamiliar.
        """
        allowed = {played.name: played.allow_training_clips for played in self.config.sounds}
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for one in self.planned:
            if one.heard is None:
                continue
            clips = one.heard.clips
            known = training_clips(clips, models[one.listener.name])
            if not allowed[one.sounds]:
                refuse_familiar(one.sounds, one.heard.familiar, known, len(clips))
            found.setdefault(one.sounds, {}).update(known)
        return found

    def _tell_training_clips(self, known: dict[str, dict[str, tuple[str, ...]]], say: Say) -> None:
        for name, n_clips in {
            one.sounds: len(one.heard.clips) for one in self.planned if one.heard
        }.items():
            for note in training_notes(known[name], n_clips):
                say(f"{name}: {note}.")

    def read(self, folder: str | Path) -> list[ProbeCell]:
        """The cells that a finished run left in its folder, without asking a model.

        Raises:
            InvalidInputError: if some are missing or damaged.
        """
        texts = read_results(Path(folder), [one.name for one in self.planned])
        cells = []
        for one, text in zip(self.planned, texts, strict=True):
            with located(f"{folder}: {one.name}.json"):
                outcome = ProbeOutcome.from_json(text)
            familiar = one.heard.familiar if one.heard else None
            cells.append(ProbeCell(one.listener.name, one.sounds, familiar, outcome))
        return cells

    def _pinned(
        self, models: dict[str, LanguageModel], judge: LanguageModel | None
    ) -> dict[str, object]:
        """What, besides the configuration's text, a result depends on."""
        sounds = {one.sounds: one.heard for one in self.planned if one.heard}
        return {
            "format": FORMAT,
            "models": {name: json.loads(to_json(model.info)) for name, model in models.items()},
            "data": {name: json.loads(to_json(heard.info)) for name, heard in sounds.items()},
            "clips": {name: clip_digests(heard.clips) for name, heard in sounds.items()},
            "questions": {one.name: one.asked.digest() for one in self.planned},
            "options": {one.name: _plain(one.questionnaire.options) for one in self.planned},
            "seed": self.config.seed,
            **({} if judge is None else {"judge": json.loads(to_json(judge.info))}),
        }


def _plain(options: object) -> object:
    return json.loads(json.dumps(options))


def _keep(run: RunFolder, cell: ProbeCell) -> None:
    (run.path / RESULTS).mkdir(exist_ok=True)
    run.write(f"{RESULTS}/{cell.name}.json", cell.outcome.to_json())
