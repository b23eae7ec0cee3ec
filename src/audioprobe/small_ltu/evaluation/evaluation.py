"""The exam of a training: everything that is measured, part by part, each kept when it is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from audioprobe.audio.filterbank import LTU as FILTERBANK
from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.datasets.debian import DebianSounds
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.pairs import ConceptPair
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.small_ltu.curriculum import MODEL, RECIPE, build_scenes, untrained_model
from audioprobe.small_ltu.encoder_training import load_classifier
from audioprobe.small_ltu.evaluation import audio_metrics, evaluation_clips, yes_no
from audioprobe.small_ltu.evaluation.measures import EvaluationResult, Measure, table_of
from audioprobe.small_ltu.qa_sampler import QASampler
from audioprobe.small_ltu.recipe import Recipe
from audioprobe.small_ltu.relations import RelationPair, hypernym_pairs
from audioprobe.types import Clip

SPLIT = "test"  # of scenes and recordings
PARTS = ("encoder", "words", "sound", "labels", "captions", "recordings")
LABELS = "labels.txt"  # names of what the training has taught

"""Called with the part, what of it is done, and all of it."""


@dataclass(frozen=True, slots=True)
class EvaluationScope:
    """How much is asked.

    Attributes:
        n_each: clips with a single source, for each concept.
        n_scenes: scenes of one and more sources.
        n_asked: of the single-source clips of a concept, how many each relation is asked of.
    """

    n_each: int = 4
    n_scenes: int = 200
    n_asked: int = 2


class SmallLTUEvaluation:
    """What a training has made, measured on scenes and packages that it never saw.

    Args:
        folder: of a training by `Curriculum` that has ended.
        out: folder for what is found; parts that are there are not measured again.
        scorer: compares captions with labels.
        recordings: folder of `DebianSounds`; as for the training.
        scope: how much is asked.
        bootstrap: how intervals are computed.
        progress: called with the progress of each stage.

    Raises:
        InvalidInputError: if the folder holds no such training.
    """

    def __init__(
        self,
        folder: str | Path,
        out: str | Path,
        scorer: Scorer,
        *,
        recordings: str | Path | None = None,
        scope: EvaluationScope | None = None,
        bootstrap: Bootstrap | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._folder, self._out = Path(folder), Path(out)
        self._recipe = _recipe_of(self._folder)
        self._scorer = scorer
        self._scope = scope or EvaluationScope()
        self._bootstrap = bootstrap or Bootstrap()
        self._progress = progress
        self._recordings = DebianSounds(recordings) if self._recipe.scenes.recordings else None
        self._known = build_scenes(self._recipe.scenes, self._recordings)
        self._scenes = evaluation_clips.unseen(self._recipe.scenes)
        self._numbers = evaluation_clips.alone(self._scenes, SPLIT, self._scope.n_each)

    def __call__(self) -> tuple[EvaluationResult, ...]:
        """All parts; writes each as JSON, and all of them as a table in Markdown."""
        ways = (
            self._encoder,
            self._words,
            self._sound,
            self._labels,
            self._captions,
            self._unfamiliar,
        )
        parts = dict(zip(PARTS, ways, strict=True))
        if self._recordings is None:
            del parts["recordings"]
        self._out.mkdir(parents=True, exist_ok=True)
        known = "".join(f"{label}\n" for label in self._known.labels)
        (self._out / LABELS).write_text(known, encoding="utf-8")
        found = tuple(self._kept(name, measure) for name, measure in parts.items())
        text = table_of(found).to_markdown()
        (self._out / "exam.md").write_text(text + "\n", encoding="utf-8")
        return found

    def _kept(self, name: str, measure: Callable[[], Sequence[Measure]]) -> EvaluationResult:
        path = self._out / f"{name}.json"
        if path.is_file():
            return from_json(EvaluationResult, path.read_text(encoding="utf-8"))
        found = EvaluationResult(name, tuple(measure()))
        atomic_write(path, to_json(found) + "\n")
        return found

    def _encoder(self) -> list[Measure]:
        """The classifier that it was before it met a language model."""
        recipe, labels = self._recipe, self._known.labels
        last = self._folder / f"encoder-{len(recipe.encoder_stages)}"
        classifier = load_classifier(recipe.encoder, len(labels), last)
        groups = {"single sources": self._alone, f"up to {recipe.scenes.max_sources}": self._mixed}
        if self._recordings is not None:
            groups["recordings of other packages"] = self._strange()
        measures = []
        for what, clips in groups.items():
            rows = []
            for done, clip in enumerate(clips, 1):
                heard = FILTERBANK.of(read_waveform(clip))[None]
                with torch.inference_mode():
                    rows.append(classifier.logits(heard)[0].double().numpy())
                self._report("encoder", done, len(clips))
            present = [[label in (clip.labels or ()) for label in labels] for clip in clips]
            estimate = audio_metrics.auc_of(np.array(present), np.array(rows), self._bootstrap)
            measures.append(Measure(f"its own labels, macro AUC, {what}", estimate))
        return measures

    def _words(self) -> list[Measure]:
        """Before and after, of relations that were taught and that were not."""
        pairs = self._pairs
        heard = self._known.palette.concepts
        asked: dict[str, list[ConceptPair]] = {
            "taught": _of(pairs, ("audio_and_text", "text_only"), heard),
            "never taught": _of(pairs, ("held_out",), heard),
            "of concepts never taught": self._strangers(),
        }
        measures = []
        for when, model in (("before", self._base()), ("after", self._ltu)):
            for n, (what, relations) in enumerate(asked.items(), 1):
                trials = yes_no.ask_words(model, relations, self._recipe.seed)
                name = f"yes or no, hypernyms {what}, {when}"
                measures.append(yes_no.measured(name, trials, self._bootstrap))
                self._report(f"words {when}", n, len(asked))
        return measures

    def _sound(self) -> list[Measure]:
        """Of single sources; what is held out in sound, beside the same in words."""
        heard, n = self._scenes.palette.concepts, self._scope.n_asked
        clips = {name: self._clips(numbers[:n]) for name, numbers in self._numbers.items()}
        model, pairs = self._ltu, self._pairs
        measures = []
        for done, (holding, what) in enumerate(
            (
                ("audio_and_text", "taught"),
                ("text_only", "taught in words alone"),
                ("held_out", "never taught"),
            ),
            1,
        ):
            relations = _of(pairs, (holding,), heard)
            trials = yes_no.ask_sounds(model, relations, clips, self._recipe.seed)
            words = yes_no.ask_words(model, relations, self._recipe.seed)
            name = f"yes or no, hypernyms {what}"
            measures.append(yes_no.measured(f"{name}, of sound", trials, self._bootstrap))
            measures.append(yes_no.measured(f"{name}, the same words", words, self._bootstrap))
            gap = yes_no.gap(words, trials, self._bootstrap)
            measures.append(Measure(f"{name}, words minus sound", gap))
            self._report("sound", done, 3)
        return measures

    def _labels(self) -> list[Measure]:
        """Likelihoods of all labels of the training."""
        groups = {"single sources": self._alone, "one and more sources": self._mixed}
        return [self._ranked(clips, self._known.labels, what) for what, clips in groups.items()]

    def _captions(self) -> list[Measure]:
        return self._said(self._alone, self._scenes.labels, "single sources")

    def _unfamiliar(self) -> list[Measure]:
        """Recordings of packages that were kept apart."""
        clips = self._strange()
        labels = sorted({label for clip in clips for label in clip.labels or ()})
        taught = sorted(set(labels) & set(self._known.labels))
        known = [clip for clip in clips if set(clip.labels or ()) <= set(taught)]
        return [
            self._ranked(clips, labels, "recordings, all labels"),
            self._ranked(known, taught, "recordings, labels of the training"),
            *self._said(known, taught, "recordings, labels of the training"),
        ]

    def _ranked(self, clips: Sequence[Clip], labels: Sequence[str], what: str) -> Measure:
        progress = prefixed(self._progress, f"likelihoods, {what}")
        found = audio_metrics.by_likelihood(
            self._ltu, clips, labels, self._bootstrap, progress=progress
        )
        return Measure(f"{found.name}, {what}", found.estimate)

    def _said(self, clips: Sequence[Clip], labels: Sequence[str], what: str) -> list[Measure]:
        progress = prefixed(self._progress, f"captions, {what}")
        found = audio_metrics.by_caption(
            self._ltu, clips, labels, self._scorer, self._bootstrap, progress=progress
        )
        return [Measure(f"{measure.name}, {what}", measure.estimate) for measure in found]

    def _report(self, stage: str, done: int, total: int) -> None:
        self._progress(ProgressEvent(stage=stage, done=done, total=total))

    @cached_property
    def _ltu(self) -> LTU:
        folder = self._folder / MODEL
        return LTU.from_pretrained(folder, base=self._recipe.base, batch_size=16)

    def _base(self) -> LTU:
        """Its LLaMA with adapters that do nothing yet, asked in the same way."""
        files = untrained_model(self._recipe)
        return LTU(files.net.eval(), files.tokenizer, files.info({}))

    @cached_property
    def _pairs(self) -> tuple[RelationPair, ...]:
        """All relations of what was taught; no scene is needed for them."""
        recipe = self._recipe
        known = QASampler(self._known, SPLIT, 0, held_out=recipe.held_out, seed=recipe.seed)
        return known.pairs

    def _strangers(self) -> list[ConceptPair]:
        """Hypernyms of concepts that the training never named."""
        everything, known = Concepts.shipped(), set(self._known.palette.concepts)
        others = [concept.id for concept in everything if concept.id not in known]
        pairs = hypernym_pairs(everything, others, held_out=0.0, seed=self._recipe.seed)
        return [relation for pair in pairs for relation in pair.both]

    @cached_property
    def _alone(self) -> list[Clip]:
        return self._clips([n for numbers in self._numbers.values() for n in numbers])

    @cached_property
    def _mixed(self) -> list[Clip]:
        return self._clips(range(self._scope.n_scenes))

    def _strange(self) -> list[Clip]:
        assert self._recordings is not None  # noqa: S101 - asked where the recipe has recordings
        return list(self._recordings.clips(SPLIT))

    def _clips(self, numbers: Sequence[int]) -> list[Clip]:
        return evaluation_clips.clips_at(self._scenes, SPLIT, numbers)


def _of(
    pairs: Sequence[RelationPair], holdings: Sequence[str], concepts: Sequence[str]
) -> list[ConceptPair]:
    return yes_no.relations_of(pairs, kind="hypernym", holdings=holdings, concepts=concepts)


def _recipe_of(folder: Path) -> Recipe:
    if not (folder / RECIPE).is_file() or not (folder / MODEL).is_dir():
        raise InvalidInputError(
            f"{folder}: expected a training that has ended, with {RECIPE} and the folder {MODEL}. "
            "Make one with: audioprobe train RECIPE --out FOLDER"
        )
    return from_json(Recipe, (folder / RECIPE).read_text(encoding="utf-8"))
