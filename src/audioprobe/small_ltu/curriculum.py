"""Training of an LTU from a LLaMA: first the encoder as a classifier, then the whole model.

Each stage is stored in its own folder. A training that is interrupted and resumed ends with the
same weights as without interruption.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.leakage import refuse_leaks
from audioprobe.datasets.synthetic import (
    RecordedPalette,
)
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.model import LTU
from audioprobe.models.ltu.saving import save_adapter, save_ltu
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.small_ltu.building import (
    MODEL,
    RECIPE,
    TRAIN,
    audio_config,
    build_scenes,
    untrained_model,
)
from audioprobe.small_ltu.code_words import aligned_centroids, prepare_codes
from audioprobe.small_ltu.encoder_training import LabelLoss, init_classifier, train_encoder
from audioprobe.small_ltu.questions import QASampler
from audioprobe.small_ltu.recipe import Recipe, RecipeStage
from audioprobe.small_ltu.training_recordings import check_training_recordings
from audioprobe.small_ltu.word_alignment import train_alignment
from audioprobe.training.answer_loss import AnswerBatch, AnswerLoss, collate
from audioprobe.training.examples import CAPTION_QUESTION, QARecord, encode_record
from audioprobe.training.feature_cache import FeatureCache
from audioprobe.training.trainable import set_trainable
from audioprobe.training.trainer import get_accelerator, train, training_lock
from audioprobe.types import Decoding, Prompt

CAPTIONS, ALIGNMENT = "captions.jsonl", "alignment"
CONNECTOR = ".prefix.projection."  # part of the names of the connector's parameters
_SHORT = Decoding(max_new_tokens=40)  # twice the length of a training caption


class Curriculum:
    """Training of a small LTU in several stages, as described by a recipe.

    Args:
        recipe: settings of the training.
        folder: folder of this training.
        recordings: folder of `DebianSounds`; required if the recipe uses recordings.
        workers: number of processes that synthesise scenes.
        features: folder of the encoder's features of the training scenes, and of codebooks that are
            fitted on them. Trainings with the same scenes can share it; None means a folder in
            `folder`.
        rewrite: function of the questions of a step that returns the questions to train, such as
            questions with labels in text instead of audio; it must depend on the questions alone.
            None trains them as they are.
        progress: called with the progress of each stage.

    Raises:
        InvalidInputError: if the folder contains the training of another recipe, or the recipe uses
            recordings and their folder is not valid.
        BackendNotFoundError: if the pretrained encoder of the recipe is not installed.
        WeightsError: if the weights of the frozen encoder are missing.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: str | Path,
        *,
        recordings: str | Path | None = None,
        workers: int = 1,
        features: Path | None = None,
        rewrite: Callable[[Sequence[QARecord]], Sequence[QARecord]] | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self.recipe = recipe
        self.folder = Path(folder)
        self._recordings = DebianSounds(recordings) if recipe.scenes.recordings else None
        self.scenes = build_scenes(recipe.scenes, self._recordings)
        self._audio = audio_config(recipe)
        self._workers = workers
        self._features = features or self.folder / "scenes"
        self._rewrite = rewrite
        self._progress = progress
        self._check_same_recipe()

    def train(self) -> Path:
        """Run all stages that are not finished, and return the folder of the model.

        `LTU.from_pretrained` reads this folder. If accelerate started several processes, all of
        them train the model together, with the scenes and questions of a step in each process.

        Raises:
            InvalidInputError: if training recordings are missing, or a recording or package is in
                two splits, or for the reasons of `training.trainer.train`.
            TrainingError: if another process trains in the folder, or for the reasons of
                `training.trainer.train`.
            WeightsError: if the base model is missing.
        """
        processes, out = get_accelerator(), self.folder / MODEL
        is_main = processes.is_main_process
        with training_lock(self.folder) if is_main else nullcontext():
            checkpoint = self.train_stages()
            if is_main and not out.exists():
                recorded = self._recordings and RecordedPalette(self._recordings, TRAIN)
                clips = recorded.clips if recorded else ()
                save = save_ltu if _trains_base(self.recipe) else save_adapter
                save(checkpoint, out, name=self.folder.name, training_clips=clips)
            processes.wait_for_everyone()
        return out

    def train_stages(self) -> LTUCheckpoint:
        """Run all stages that are not finished, and return the model, which is not saved.

        Raises:
            InvalidInputError: see `train`.
            TrainingError: see `train`.
            WeightsError: if the base model is missing.
        """
        processes = get_accelerator()
        if self._recordings is not None:
            check_training_recordings(self._recordings, TRAIN)
            refuse_leaks(self._recordings)
        with processes.main_process_first():
            cache = self.features()
        checkpoint = self.init_model(cache)
        sampler = self.qa_sampler(TRAIN, len(cache))
        for stage in self.recipe.stages:
            self.train_stage(checkpoint, sampler, cache, stage)
            if processes.is_main_process:
                self.write_captions(checkpoint, stage)
        return checkpoint

    def features(self) -> FeatureCache:
        """Compute the encoder's inputs for the training scenes, or read those that are stored."""
        return FeatureCache(
            self.scenes.clips(TRAIN),
            self.scenes.labels,
            self._features,
            load_frontend(self._audio),
            source={"dataset": json.loads(to_json(self.scenes.info)), "split": TRAIN},
            workers=self._workers,
            progress=prefixed(self._progress, "scenes"),
        )

    def init_model(self, cache: FeatureCache) -> LTUCheckpoint:
        """Return the base LLaMA joined to the encoder, before the first model stage.

        If the recipe trains the encoder, has a codebook, or aligns audio tokens with words, this is
        done first.
        """
        checkpoint = untrained_model(self.recipe, self._audio)
        if isinstance(self._audio, CavMaeConfig):
            classifier = self._train_encoder(self._audio, cache)
            checkpoint.net.prefix.encoder.load_state_dict(classifier.encoder.state_dict())
        prepare_codes(checkpoint, cache, self.recipe, self._features)
        if self.recipe.alignment is not None:
            folder, progress = self.folder / ALIGNMENT, prefixed(self._progress, ALIGNMENT)
            labels, stage = self.scenes.labels, self.recipe.alignment
            with aligned_centroids(checkpoint, self.recipe.seed):
                train_alignment(checkpoint, cache, labels, stage, folder, progress=progress)
        return checkpoint

    def _train_encoder(self, config: CavMaeConfig, cache: FeatureCache) -> LabelLoss:
        """Train the encoder in all encoder stages and return it with its classification head."""
        classifier = init_classifier(config, cache.labels.shape[1], self.recipe.seed)
        for number, stage in enumerate(self.recipe.encoder_stages, 1):
            folder = self.folder / f"encoder-{number}"
            progress = prefixed(self._progress, "encoder")
            train_encoder(classifier, cache, stage, folder, progress=progress)
        return classifier

    def qa_sampler(self, split: str, n_scenes: int) -> QASampler:
        """Return the sampler of questions about the first `n_scenes` scenes of a split."""
        held_out, seed = self.recipe.held_out, self.recipe.seed
        return QASampler(self.scenes, split, n_scenes, held_out=held_out, seed=seed)

    def train_stage(
        self,
        checkpoint: LTUCheckpoint,
        sampler: QASampler,
        cache: FeatureCache,
        stage: RecipeStage,
    ) -> None:
        """Train `checkpoint` in one stage; its weights are changed in place.

        The sampler draws the questions of each step; the cache holds the encoder's inputs.
        """
        model, prompts = TrainableLTU(checkpoint.net), LTUPrompts(checkpoint.tokenizer)
        set_trainable(model, stage.train)

        def batch_at(step: int, process: int, n_processes: int) -> AnswerBatch:
            records = step_records(sampler, stage, step * n_processes + process)
            records = records if self._rewrite is None else tuple(self._rewrite(records))
            examples = [encode_record(r, prompts, max_tokens=stage.max_tokens) for r in records]
            ids = sorted({example.audio_id for example in examples if example.audio_id})
            rows = torch.tensor([int(audio_id) for audio_id in ids], dtype=torch.long)
            audio = dict(zip(ids, cache.features(rows), strict=True))
            return collate(examples, audio, targets=stage.targets, pad_id=prompts.eos_token_id)

        train(
            AnswerLoss(model),
            batch_at,
            stage.arguments,
            self.folder / stage.name,
            rate_factor=lambda name: stage.connector_rate if CONNECTOR in name else 1.0,
            progress=prefixed(self._progress, stage.name),
        )

    def write_captions(self, checkpoint: LTUCheckpoint, stage: RecipeStage) -> None:
        """Caption the validation scenes, and write id, labels and caption as one JSON line each.

        If the file of this stage exists, nothing is done.
        """
        path = self.folder / stage.name / CAPTIONS
        if path.is_file():
            return
        n_scenes = self.recipe.scenes.n_validation
        scenes = self.scenes.clips("validation")
        clips = [scenes[number] for number in range(n_scenes)]
        model = LTU(checkpoint.net, checkpoint.tokenizer, checkpoint.info({}))
        prompts = (Prompt(CAPTION_QUESTION, audio=clip.waveform) for clip in clips)
        lines = []
        for clip, response in zip(clips, model.generate(prompts, _SHORT), strict=True):
            entry = {"clip": clip.id, "labels": clip.labels, "caption": response.text}
            lines.append(json.dumps(entry) + "\n")
            name = f"captions after {stage.name}"
            self._progress(ProgressEvent(stage=name, done=len(lines), total=n_scenes))
        atomic_write(path, "".join(lines))

    def _check_same_recipe(self) -> None:
        """Write the recipe into the folder, or raise if the folder contains another recipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, text = self.folder / RECIPE, to_json(self.recipe) + "\n"
        if not path.is_file():
            path.write_text(text, encoding="utf-8")
        elif read_json(Recipe, path, RECIPE) != self.recipe:
            raise InvalidInputError(
                f"{self.folder} contains the training of another recipe. Use that recipe to resume "
                "the training, or choose another folder."
            )


def step_records(sampler: QASampler, stage: RecipeStage, number: int) -> tuple[QARecord, ...]:
    """Return the questions of the step with a number, counted over all processes."""
    return sampler.records(stage, stage.arguments.seed * 1_000_000 + number)


def _trains_base(recipe: Recipe) -> bool:
    """Return whether a stage changes weights of the base, which an adapter does not contain."""
    parts = {part for stage in recipe.stages for part in stage.train.split("+")}
    return any(part == "llm" or part.startswith("last-") for part in parts)
