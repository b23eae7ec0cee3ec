"""Evaluation of a small LTU in several parts; each finished part is stored."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from audioprobe.audio.filterbank import LTU as FILTERBANK
from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.datasets.debian import DebianSounds
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.trial import ConceptPair
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.results import ClassificationResult
from audioprobe.small_ltu.building import audio_config, build_scenes, trained_model, untrained_model
from audioprobe.small_ltu.encoder_training import load_classifier
from audioprobe.small_ltu.evaluation_clips import (
    EvaluationScope,
    first_of_each_group,
    single_source_scenes,
    spread_clips,
)
from audioprobe.small_ltu.measures import (
    EvaluationResult,
    Measure,
    accuracy_measure,
    macro_auc,
    measure_captions,
    measure_likelihoods,
    relation_trials,
    relations_with_role,
    results_table,
    score_labels,
)
from audioprobe.small_ltu.relations import (
    ROLE_NAMES,
    RelationPair,
    hypernym_pairs,
    relations_of_other_concepts,
)
from audioprobe.types import Clip

PARTS = ("encoder", "text", "audio", "labels", "captions", "recordings")
LABELS = "labels.txt"  # file with the labels of the training clips
TABLE, SETTINGS = "evaluation.md", "settings.json"

_UNLIMITED = 10**9  # number of scenes in the data set; a scene is synthesised when it is read


class SmallLTUEvaluation:
    """Evaluation of a trained model on held-out scenes and on recordings of held-out packages.

    Args:
        folder: folder of a completed training by `Curriculum`, or of a shipped model.
        out: folder for the results; parts whose result it already contains are not repeated.
        scorer: text similarity by which a caption scores the labels.
        split: split of the scenes and recordings: "test", or "validation" to choose settings.
        parts: names of the parts to evaluate, see `PARTS`.
        recordings: folder of `DebianSounds`, the same as in training.
        scope: amount of evaluation data.
        bootstrap: settings of confidence intervals.
        progress: called with the progress of each part.

    Raises:
        InvalidInputError: if the folder does not contain a completed training, a part or split is
            unknown, or `out` contains results of another split or amount of data.
    """

    def __init__(
        self,
        folder: str | Path,
        out: str | Path,
        scorer: Scorer,
        *,
        split: str = "test",
        parts: Collection[str] = PARTS,
        recordings: str | Path | None = None,
        scope: EvaluationScope | None = None,
        bootstrap: Bootstrap | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._folder, self._out = Path(folder), Path(out)
        self._recipe, self._model_folder = trained_model(self._folder)
        self._scorer, self._progress = scorer, progress
        self._scope, self._bootstrap = scope or EvaluationScope(), bootstrap or Bootstrap()
        self._split, self._parts = split, parts
        if unknown := sorted(set(parts) - set(PARTS)):
            raise InvalidInputError(
                f"Expected parts among {', '.join(PARTS)}, got {', '.join(unknown)}."
            )
        config = self._recipe.scenes
        self._recordings = DebianSounds(recordings) if config.recordings else None
        self._training_scenes = build_scenes(config, self._recordings)
        # Scenes of the evaluation have synthesised sources only, as recordings were trained on.
        self._scenes = build_scenes(replace(config, n_train=_UNLIMITED))
        self._single_source = single_source_scenes(self._scenes, split, self._scope.n_each)
        self._single_source_clips = list(chain.from_iterable(self._single_source.values()))

    def __call__(self) -> tuple[EvaluationResult, ...]:
        """Evaluate all parts; write a JSON file per part, and a Markdown table of all parts."""
        parts: dict[str, Callable[[], Sequence[Measure]]] = {
            "encoder": self._measure_encoder,
            "text": self._measure_text,
            "audio": self._measure_audio,
            "labels": self._measure_labels,
            "captions": self._measure_captions,
            "recordings": self._measure_recordings,
        }
        if self._recordings is None:
            del parts["recordings"]
        self._check_same_settings()
        labels = "\n".join(self._training_scenes.labels) + "\n"
        (self._out / LABELS).write_text(labels, encoding="utf-8")
        results = tuple(
            self._stored(name, measure) for name, measure in parts.items() if name in self._parts
        )
        table = results_table(results).to_markdown() + "\n"
        (self._out / TABLE).write_text(table, encoding="utf-8")
        return results

    def _check_same_settings(self) -> None:
        """Write split and amount of data into the folder, or raise if it has other ones."""
        self._out.mkdir(parents=True, exist_ok=True)
        path, text = self._out / SETTINGS, to_json((self._split, self._scope)) + "\n"
        if not path.is_file():
            atomic_write(path, text)
        elif path.read_text(encoding="utf-8") != text:
            raise InvalidInputError(
                f"{self._out} contains results for another split or amount. Choose another folder."
            )

    def _stored(self, name: str, measure: Callable[[], Sequence[Measure]]) -> EvaluationResult:
        """Return the stored result of a part; if there is none, evaluate the part and store it."""
        path = self._out / f"{name}.json"
        if path.is_file():
            return read_json(EvaluationResult, path, path.name)
        result = EvaluationResult(name, tuple(measure()))
        atomic_write(path, to_json(result) + "\n")
        return result

    def _measure_encoder(self) -> list[Measure]:
        """Return the AUC of the encoder as a classifier, before the language model was trained.

        A frozen encoder has no classifier, so the result is an empty list.
        """
        recipe, labels = self._recipe, self._training_scenes.labels
        if not isinstance(recipe.encoder, CavMaeConfig):
            return []
        last = self._folder / f"encoder-{len(recipe.encoder_stages)}"
        if not last.is_dir():
            raise InvalidInputError(f"{last} is missing. Leave out the part encoder.")
        classifier = load_classifier(recipe.encoder, len(labels), last)
        groups = {
            "single sources": self._single_source_clips,
            f"up to {recipe.scenes.max_sources} sources": self._mixed_clips,
        }
        if self._recordings is not None:
            groups["recordings of held-out packages"] = self._held_out_recordings
        measures = []
        for name, clips in groups.items():
            logits = []
            for done, clip in enumerate(clips, 1):
                spectrogram = FILTERBANK.of(read_waveform(clip))[None]
                with torch.inference_mode():
                    logits.append(classifier.logits(spectrogram)[0].double().numpy())
                self._progress(ProgressEvent(stage="encoder", done=done, total=len(clips)))
            targets = np.array(
                [[label in (clip.labels or ()) for label in labels] for clip in clips]
            )
            auc = macro_auc(targets, np.array(logits), self._bootstrap)
            measures.append(Measure(f"training labels, macro AUC, {name}", auc))
        return measures

    def _measure_text(self) -> list[Measure]:
        """Return text accuracies of three groups of relations, before and after training."""
        concepts, seed = self._training_scenes.palette.concepts, self._recipe.seed
        groups = {
            "trained": relations_with_role(self._pairs, ("audio_and_text", "text_only"), concepts),
            "held out": relations_with_role(self._pairs, ["held_out"], concepts),
            "of concepts not in the training": relations_of_other_concepts(concepts, seed),
        }
        base = untrained_model(self._recipe, audio_config(self._recipe))
        untrained = LTU(base.net.eval(), base.tokenizer, base.info({}))
        measures: list[Measure] = []
        for time, model in (("before", untrained), ("after", self._model)):
            for done, (name, relations) in enumerate(groups.items(), 1):
                trials = relation_trials(model, relations, seed)
                measure = f"yes/no, hypernyms {name}, {time} training"
                measures.append(accuracy_measure(measure, trials, self._bootstrap))
                event = ProgressEvent(stage=f"text {time} training", done=done, total=len(groups))
                self._progress(event)
        return measures

    def _measure_audio(self) -> list[Measure]:
        """Return accuracies of yes/no questions in audio and in text, for each `SplitRole`.

        The audio consists of scenes with a single source, and of recordings if there are any.
        """
        n = self._scope.n_asked
        groups = {"": {name: group[:n] for name, group in self._single_source.items()}}
        if self._recordings is not None:
            groups[", recordings"] = spread_clips(self._held_out_recordings, n)
        measures = []
        for done, (role, description) in enumerate(ROLE_NAMES.items(), 1):
            for suffix, clips in groups.items():
                relations = relations_with_role(self._pairs, [role], clips)
                if relations:
                    measures += self._audio_and_text(relations, clips, description + suffix)
            self._progress(ProgressEvent(stage="audio", done=done, total=len(ROLE_NAMES)))
        return measures

    def _audio_and_text(
        self, relations: Sequence[ConceptPair], clips: Mapping[str, Sequence[Clip]], data: str
    ) -> list[Measure]:
        """Return the accuracies about relations in audio and in text, and their difference."""
        audio = relation_trials(self._model, relations, self._recipe.seed, clips)
        text = relation_trials(self._model, relations, self._recipe.seed)
        gap = modality_gap([*text, *audio], "likelihood", self._bootstrap)
        name = f"yes/no, hypernyms {data}"
        return [
            accuracy_measure(f"{name}, audio", audio, self._bootstrap),
            accuracy_measure(f"{name}, text", text, self._bootstrap),
            Measure(f"{name}, text minus audio", gap.difference),
        ]

    def _measure_labels(self) -> list[Measure]:
        labels = self._training_scenes.labels
        single, mixed = self._single_source_clips, self._mixed_clips
        return [
            measure_likelihoods(self._scores(clips, labels), self._bootstrap, data=data)
            for data, clips in (("single sources", single), ("one or more sources", mixed))
        ]

    def _measure_captions(self) -> list[Measure]:
        return self._captions(self._single_source_clips, self._scenes.labels, "single sources")

    def _measure_recordings(self) -> list[Measure]:
        clips = self._held_out_recordings
        labels = sorted({label for clip in clips for label in clip.labels or ()})
        trained = sorted(set(labels) & set(self._training_scenes.labels))
        known = [clip for clip in clips if set(clip.labels or ()) <= set(trained)]
        scores = self._scores(clips, labels)
        return [
            measure_likelihoods(scores, self._bootstrap, data="recordings, all labels"),
            measure_likelihoods(
                scores, self._bootstrap, data="recordings, training labels", labels=trained
            ),
            *self._captions(known, trained, "recordings, training labels"),
        ]

    def _scores(self, clips: Sequence[Clip], labels: Sequence[str]) -> ClassificationResult:
        progress = prefixed(self._progress, "likelihoods of labels")
        return score_labels(self._model, clips, labels, progress=progress)

    def _captions(self, clips: Sequence[Clip], labels: Sequence[str], data: str) -> list[Measure]:
        progress = prefixed(self._progress, f"captions, {data}")
        return measure_captions(
            self._model, clips, labels, self._scorer, self._bootstrap, data=data, progress=progress
        )

    @cached_property
    def _model(self) -> LTU:
        return LTU.from_pretrained(self._model_folder, base=self._recipe.base, batch_size=16)

    @cached_property
    def _pairs(self) -> tuple[RelationPair, ...]:
        held_out, seed = self._recipe.held_out, self._recipe.seed
        concepts = self._training_scenes.palette.concepts
        return hypernym_pairs(Concepts.shipped(), concepts, held_out=held_out, seed=seed)

    @cached_property
    def _mixed_clips(self) -> list[Clip]:
        return list(self._scenes.clips(self._split)[: self._scope.n_scenes])

    @cached_property
    def _held_out_recordings(self) -> list[Clip]:
        clips = () if self._recordings is None else self._recordings.clips(self._split)
        return first_of_each_group(clips, self._scope.n_recorded)
