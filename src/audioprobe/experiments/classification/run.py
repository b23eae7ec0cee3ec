"""In-context classification: every rung asked of every clip, kept as it is answered."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from audioprobe.audio.training_clips import training_clips
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.classification.build import (
    EvaluationClips,
    PromptQuestion,
    heard,
    question_of,
    refuse_changed,
    refuse_leaking,
    rung_of,
    templates,
)
from audioprobe.experiments.classification.config import ClassificationConfig
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
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.models.cached import CachedModel
from audioprobe.models.remote.budget import Budget
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import LanguageModel, Scorer
from audioprobe.registry import load
from audioprobe.results import ClassificationResult
from audioprobe.training_data import training_notes

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ClassificationCell:
    """One rung asked of one data set.

    Attributes:
        sounds: name of the data set's part of the run.
        rung: name of the rung.
        familiar: whether the model learned from such sound.
        result: captions and scores, with truth and failures.
        groups: of the clips that have one, by id: what intervals resample.
        hierarchy: of the labels, where the data set has one.
    """

    sounds: str
    rung: str
    familiar: bool | None
    result: ClassificationResult
    groups: Mapping[str, str]
    hierarchy: Hierarchy | None = None


class ClassificationRun:
    """A run, prepared: what will be asked is known before any model is loaded.

    Args:
        config: what is wanted.
        text: the configuration as it was written, which goes into the folder.

    Attributes:
        questions: for each part of the sounds, what is asked of it.

    Raises:
        InvalidInputError: if data, labels, prompts or examples are not there.
    """

    def __init__(self, config: ClassificationConfig, text: str) -> None:
        self.config = config
        self._text = text
        self._sounds = [heard(sound) for sound in config.sounds]
        known = templates(config)
        self._rungs = [(asked, rung_of(asked, known)) for asked in config.rungs]
        names = [rung.name for _, rung in self._rungs]
        if len(set(names)) < len(names):
            raise InvalidInputError(f"Two rungs are the same: {', '.join(names)}.")
        self.questions: list[tuple[EvaluationClips, Sequence[PromptQuestion]]] = [
            (
                sounds,
                [question_of(asked, rung, sounds, config.seed) for asked, rung in self._rungs],
            )
            for sounds in self._sounds
        ]

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        on: str = "",
        n_workers: int = 2,
        say: Say = lambda _: None,
    ) -> list[ClassificationCell]:
        """Ask everything that was not answered yet.

        Args:
            folder: of this run; one that was stopped goes on.
            progress: called with the progress of each stage.
            on: a Ray cluster that asks, see `cluster.answer_on`; "" asks in this process.
            n_workers: actors of the cluster that hold the model.
            say: told in sentences what a user should know: sounds that have changed since the last
                start, and how many answers were kept.

        Returns:
            A cell for each part of the sounds and each rung, in order.

        Raises:
            InvalidInputError: if the folder holds another run, another process works in it, or
                splits leak into each other.
            AudioProbeError: for what no single clip is the cause of, such as missing weights.
            MissingDependencyError: if a cluster is named and the extra `ray` is not installed.
        """
        refuse_leaking(self.config, self._sounds)
        source = load("language_model", self.config.model.name, **self.config.model.options)
        model = source
        scorer = load("scorer", self.config.scorer.name, **self.config.scorer.options)
        known = self._training_clips(source)
        with self._opened(folder, source, scorer, known, say) as run:
            n_before = len(run.response_log)
            if on:
                from audioprobe.experiments.ray_cluster import answer_on  # noqa: PLC0415 - an extra

                answer_on(
                    on,
                    self.config.model,
                    self.questions,
                    run.response_log,
                    n_workers=n_workers,
                    progress=progress,
                )
            if self.config.cache:
                model = CachedModel(model, Path(self.config.cache).expanduser())
            model = asked = CachedModel(model, run.response_log)
            cells = []
            for sounds, questions in self.questions:
                for question in questions:
                    classifier = CaptionClassifier(
                        model, scorer, question=question.text, examples=question.examples
                    )
                    report = _with_costs(progress, f"{sounds.name}: {question.name}", source)
                    cells.append(_cell(classifier, sounds, question, report))
                    _keep(run, cells[-1])
            tell_reuse([asked], n_before, say)
            return cells

    @contextmanager
    def _opened(
        self,
        folder: str | Path,
        model: LanguageModel,
        scorer: Scorer,
        known: Mapping[str, Mapping[str, tuple[str, ...]]],
        say: Say,
    ) -> Iterator[RunFolder]:
        """The folder of the run; says what a user should know of the sounds."""
        digests = self._digests()
        with open_run(
            folder,
            self._text,
            self._pinned(model, scorer),
            {**started(), "training clips": known},
            audio_digests=digests,
            incompatibility=lambda older: same_config(older, self.config),
        ) as run:
            tell_changes(run, digests, say)
            for sounds in self._sounds:
                for note in training_notes(known[sounds.name], len(sounds.clips)):
                    say(f"{sounds.name}: {note}.")
            yield run

    def _training_clips(self, model: LanguageModel) -> dict[str, dict[str, tuple[str, ...]]]:
        """Ids of the clips that the model was trained on, by the name of the sounds and the model.

        Raises:
            InvalidInputError: if some are among sounds that are called unfamiliar.
        """
        found = {}
        for sounds, configured in zip(self._sounds, self.config.sounds, strict=True):
            found[sounds.name] = training_clips(sounds.clips, model)
            if not configured.allow_training_clips:
                refuse_familiar(sounds.name, sounds.familiar, found[sounds.name], len(sounds.clips))
        return found

    def _digests(self) -> dict[str, dict[str, str]]:
        """Digests of all sounds: of clips by id, and of examples by their position."""
        found = {sounds.name: sound_digests(sounds.clips) for sounds in self._sounds}
        for sounds, questions in self.questions:
            for question in questions:
                heard_in = {
                    str(n): example.audio.digest()
                    for n, example in enumerate(question.examples, 1)
                    if example.audio is not None
                }
                if heard_in:
                    found[f"{sounds.name}, examples of {question.name}"] = heard_in
        return found

    def read(self, folder: str | Path) -> list[ClassificationCell]:
        """The cells that a finished run left in its folder, without asking a model.

        Raises:
            InvalidInputError: if some are missing or damaged, or of other clips, labels or
                questions than there are now.
        """
        parts = [(sounds, question) for sounds, asked in self.questions for question in asked]
        names = [_file_name(sounds.name, question.name) for sounds, question in parts]
        texts = read_results(Path(folder), names)
        cells = []
        for name, text, (sounds, question) in zip(names, texts, parts, strict=True):
            with located(f"{folder}: {name}.json"):
                cells.append(_cell_of(ClassificationResult.from_json(text), sounds, question))
                refuse_changed(cells[-1].result, sounds, question)
        return cells

    def _pinned(self, model: LanguageModel, scorer: Scorer) -> dict[str, object]:
        """What, besides the configuration's text, a result depends on."""
        asked = {
            f"{sounds.name}: {question.name}": _hash(question)
            for sounds, questions in self.questions
            for question in questions
        }
        return {
            "format": FORMAT,
            "model": json.loads(to_json(model.info)),
            "scorer": json.loads(to_json(scorer.info)),
            "data": {s.name: json.loads(to_json(s.dataset.info)) for s in self._sounds},
            "clips": {sounds.name: clip_digests(sounds.clips) for sounds in self._sounds},
            "questions": asked,
            "prompts": {rung.name: asdict(rung.template) for _, rung in self._rungs},
            "seed": self.config.seed,
        }


def _with_costs(progress: ProgressCallback, stage: str, model: LanguageModel) -> ProgressCallback:
    """Return a callback that notes what a paid service has cost so far."""
    budget = getattr(model, "budget", None)

    def callback(event: ProgressEvent) -> None:
        note = ""
        if isinstance(budget, Budget):
            note = f"{budget.n_requests} requests, {budget.usd_spent:.2f} USD"
        progress(replace(event, stage=stage, note=note))

    return callback


def _cell(
    classifier: CaptionClassifier,
    sounds: EvaluationClips,
    question: PromptQuestion,
    progress: ProgressCallback,
) -> ClassificationCell:
    return _cell_of(classifier(sounds.clips, sounds.labels, progress=progress), sounds, question)


def _cell_of(
    result: ClassificationResult, sounds: EvaluationClips, question: PromptQuestion
) -> ClassificationCell:
    groups = {clip.id: clip.group for clip in sounds.clips if clip.group is not None}
    hierarchy = getattr(sounds.dataset, "hierarchy", None)
    return ClassificationCell(
        sounds.name, question.name, sounds.familiar, result, groups, hierarchy
    )


def _file_name(sounds: str, rung: str) -> str:
    return f"{sounds}, {rung}".replace(", ", "--").replace(" ", "-")


def _keep(run: RunFolder, cell: ClassificationCell) -> None:
    name = _file_name(cell.sounds, cell.rung)
    (run.path / RESULTS).mkdir(exist_ok=True)
    run.write(f"{RESULTS}/{name}.json", cell.result.to_json())
    run.write(f"{RESULTS}/{name}.csv", cell.result.to_csv())


def _hash(question: PromptQuestion) -> str:
    content = hashlib.sha256(question.text.encode())
    for example in question.examples:
        content.update(f"\n{example.question}\n{example.answer}".encode())
    return content.hexdigest()[:16]
