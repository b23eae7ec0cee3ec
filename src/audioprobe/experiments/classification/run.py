"""Classification experiment: every prompt level is applied to every clip of every evaluation set.

A "cell" is the result of one prompt level on one evaluation set. Every response of the model is
stored, so that an interrupted run can resume.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import InvalidInputError, located
from audioprobe.experiments.classification.build import (
    LabelledClips,
    PromptQuestion,
    fill_prompt,
    load_clips,
    prompt_level,
    read_prompts,
    refuse_changed,
    refuse_leaking,
)
from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.parts import classify_set, read_set
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.run_metadata import Notify, open_experiment, result_files
from audioprobe.experiments.worker_model import model_loader
from audioprobe.io.json_codec import to_json
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.progress import ProgressCallback, ignore_progress, staged
from audioprobe.protocols import LanguageModel, Scorer
from audioprobe.registry import load
from audioprobe.results import ClassificationResult
from audioprobe.results.scores import groups_of

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationCell:
    """The result of one prompt level on one evaluation set.

    Attributes:
        evaluation_set: name of the evaluation set.
        prompt_level: name of the prompt level.
        familiar: whether the model was trained on such audio; None if unknown.
        result: captions, scores, reference labels and failures.
        repeats: results with further seeds of sampled decoding.
        groups: group (such as the recording site) by clip id; confidence intervals resample groups.
        hierarchy: hierarchy of the labels; None if the data set has no hierarchy.
    """

    evaluation_set: str
    prompt_level: str
    familiar: bool | None
    result: ClassificationResult
    groups: Mapping[str, str]
    hierarchy: Hierarchy | None = None
    repeats: tuple[ClassificationResult, ...] = ()

    @property
    def name(self) -> str:
        """Name of the evaluation set and of the prompt level."""
        return f"{self.evaluation_set}: {self.prompt_level}"

    @property
    def file_name(self) -> str:
        """Name of the files with the result, without suffix."""
        return _file_names(self.evaluation_set, self.prompt_level, 1)[0]


class ClassificationRun:
    """A prepared classification run: clips and prompts are loaded, models are not.

    Args:
        config: configuration of the run.
        text: text of the configuration, which is stored in the run's folder.

    Attributes:
        questions: clips and filled-in questions of each evaluation set.

    Raises:
        InvalidInputError: if data, labels, prompts or examples are missing.
    """

    def __init__(self, config: ClassificationConfig, text: str) -> None:
        self.config = config
        self._text = text
        self._sets = [load_clips(each) for each in config.evaluation_sets]
        prompts = read_prompts(config)
        self._levels = [(spec, prompt_level(spec, prompts)) for spec in config.prompt_levels]
        names = [level.name for _, level in self._levels]
        if len(set(names)) < len(names):
            raise InvalidInputError(
                f"Prompt levels must differ; received {', '.join(names)}. Remove the copies."
            )
        self.questions: list[tuple[LabelledClips, Sequence[PromptQuestion]]] = [
            (clips, [fill_prompt(spec, level, clips, config.seed) for spec, level in self._levels])
            for clips in self._sets
        ]

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        placement: Placement = HERE,
        notify: Notify = lambda _: None,
    ) -> list[ClassificationCell]:
        """Send every prompt that has no response yet, and score the responses.

        Args:
            folder: folder of the run; an interrupted run resumes.
            progress: called with the progress of each stage.
            placement: where the model runs; each worker loads it.
            notify: called with notices about changed audio, training clips and reused responses.

        Returns:
            One cell for each evaluation set and each prompt level, in order.

        Raises:
            InvalidInputError: if the folder contains another run, another process works in it, or
                examples or tuning clips share recordings with evaluated clips.
            AudioProbeError: for errors that are not caused by a single clip, such as missing
                weights.
            MissingDependencyError: if a cluster is named and the extra `ray` is not installed.
        """
        refuse_leaking(self.config, self._sets)
        with model_loader(placement) as load_model:
            return self._run(folder, load_model(self.config.model), progress, notify)

    def _run(
        self,
        folder: str | Path,
        source: LanguageModel,
        progress: ProgressCallback,
        notify: Notify,
    ) -> list[ClassificationCell]:
        """Send every prompt to a model, unless it has a response, and score the responses."""
        scorer = load("scorer", self.config.scorer.name, **self.config.scorer.options)
        pinned = self._pinned(source, scorer)
        cells = []
        with open_experiment(
            folder,
            self.config,
            self._text,
            [(clips, source) for clips in self._sets],
            pinned=pinned,
            examples=self._example_digests(),
            cache=self.config.cache,
            notify=notify,
        ) as run:
            model = run.logged(source)
            for clips, question in self._parts():
                names = self._result_names(clips, question)
                results = []
                for name, options in zip(names, self._classifier_options(), strict=True):
                    classifier = CaptionClassifier(
                        model, scorer, question=question.text, examples=question.examples, **options
                    )
                    report = staged(progress, name.replace("--", ": ", 1))
                    results.append(classify_set(classifier, clips, run, name, report))
                    run.store(f"{name}.json", results[-1].json_pieces())
                    run.store(f"{name}.csv", results[-1].csv_lines())
                cells.append(_cell(results, clips, question))
        return cells

    def _classifier_options(self) -> list[dict[str, Any]]:
        """Return the options of the classifier for each repetition."""
        windowing = self.config.windowing
        return [{"decoding": each, "windowing": windowing} for each in self.config.decodings]

    def _result_names(self, clips: LabelledClips, question: PromptQuestion) -> list[str]:
        """Return the names of the result files of each repetition, without suffix."""
        return _file_names(clips.name, question.name, len(self.config.decodings))

    def _parts(self) -> list[tuple[LabelledClips, PromptQuestion]]:
        return [(clips, each) for clips, questions in self.questions for each in questions]

    def _example_digests(self) -> dict[str, dict[str, str]]:
        """Return SHA-256 digests by which a resumed run detects changed audio of the examples.

        The outer key names the evaluation set and question; the inner key is the position, from 1.
        """
        digests = {}
        for clips, question in self._parts():
            examples = {
                str(n): example.audio.digest()
                for n, example in enumerate(question.examples, 1)
                if example.audio is not None
            }
            if examples:
                digests[f"{clips.name}, examples of {question.name}"] = examples
        return digests

    def read(self, folder: str | Path) -> list[ClassificationCell]:
        """Read the results of a finished run without loading a model.

        Raises:
            InvalidInputError: if a result is missing or damaged, or its clips, labels or question
                differ from those of the config.
        """
        parts = self._parts()
        names = [self._result_names(*part) for part in parts]
        files = iter(result_files(Path(folder), [name for group in names for name in group]))
        cells = []
        for group, (clips, question) in zip(names, parts, strict=True):
            results = []
            for name in group:
                with located(f"{folder}: {name}.json"):
                    results.append(read_set(next(files), clips))
                    refuse_changed(results[-1], clips, question)
            cells.append(_cell(results, clips, question))
        return cells

    def _pinned(self, model: LanguageModel, scorer: Scorer) -> dict[str, object]:
        """Return JSON data about model, scorer and prompts that must not change between starts."""
        return {
            "format": FORMAT,
            "model": json.loads(to_json(model.info)),
            "scorer": json.loads(to_json(scorer.info)),
            "questions": {f"{c.name}: {q.name}": _digest(q) for c, q in self._parts()},
            "prompts": {level.name: asdict(level.template) for _, level in self._levels},
            "seed": self.config.seed,
        }


def _cell(
    results: Sequence[ClassificationResult], clips: LabelledClips, question: PromptQuestion
) -> ClassificationCell:
    return ClassificationCell(
        evaluation_set=clips.name,
        prompt_level=question.name,
        familiar=clips.familiar,
        result=results[0],
        repeats=tuple(results[1:]),
        groups=groups_of(clips.clips),
        hierarchy=getattr(clips.dataset, "hierarchy", None),
    )


def _file_names(evaluation_set: str, prompt_level: str, n_repeats: int) -> list[str]:
    """Return the name of each repetition; all names but the first one end with a number."""
    name = f"{evaluation_set}, {prompt_level}".replace(", ", "--").replace(" ", "-")
    return [name, *(f"{name}--repeat-{n}" for n in range(2, n_repeats + 1))]


def _digest(question: PromptQuestion) -> str:
    content = hashlib.sha256(question.text.encode())
    for example in question.examples:
        content.update(f"\n{example.question}\n{example.answer}".encode())
    return content.hexdigest()[:16]
