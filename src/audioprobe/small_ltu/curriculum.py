"""From a LLaMA to an LTU: an encoder learns to classify, then the model learns to answer.

Every part is kept in its own folder as soon as it is done, so a training that was stopped anywhere
goes on there, to the weights that it would have reached.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from audioprobe.datasets.debian import DebianSounds, fetch_command
from audioprobe.datasets.leakage import refuse_leaks
from audioprobe.datasets.synthetic import (
    BlendedPalette,
    Palette,
    ProceduralPalette,
    RecordedPalette,
    Synthetic,
)
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import to_json
from audioprobe.models.ltu.adapters import save_adapter
from audioprobe.models.ltu.audio_prefix import CavMaePrefix
from audioprobe.models.ltu.checkpoint import LTUCheckpoint, init_ltu
from audioprobe.models.ltu.model import LTU
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import Dataset
from audioprobe.small_ltu.encoder_training import new_classifier, train_encoder
from audioprobe.small_ltu.qa_sampler import QASampler
from audioprobe.small_ltu.questions import CAPTION
from audioprobe.small_ltu.recipe import Recipe, RecipeAudio, RecipeStage
from audioprobe.training.objectives import AnswerLoss, LabelLoss
from audioprobe.training.sequences import Batch, collate
from audioprobe.training.spectrogram_cache import SpectrogramCache
from audioprobe.training.trainable import set_trainable
from audioprobe.training.trainer import train, training_lock
from audioprobe.types import Decoding, Prompt

RECIPE, MODEL, CAPTIONS = "recipe.json", "ltu", "captions.jsonl"
TRAIN = "train"  # split of scenes and recordings
_BRIEF = Decoding(max_new_tokens=40)  # twice a caption of the curriculum; the untaught ramble

"""Called with what is being done, what of it is done, and all of it."""


class Curriculum:
    """The training of a recipe in a folder.

    Args:
        recipe: what to do.
        folder: of this training alone.
        recordings: folder of `DebianSounds`; needed where the recipe wants recordings.
        workers: processes that make scenes.
        progress: called with the progress of each stage.

    Raises:
        InvalidInputError: if the folder holds a training of another recipe, or there are no
            recordings where some are wanted.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: str | Path,
        *,
        recordings: str | Path | None = None,
        workers: int = 1,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self.recipe = recipe
        self.folder = Path(folder)
        self._recordings = DebianSounds(recordings) if recipe.sounds.recordings else None
        self.scenes = scenes_of(recipe.sounds, self._recordings)
        self._workers = workers
        self._progress = progress
        self._pin()

    def train(self) -> Path:
        """All of it, or what is left of it.

        Returns:
            The folder of the model, for `LTU.from_pretrained`.

        Raises:
            InvalidInputError, TrainingError: as `train`; if recordings to train with are missing,
                or a sound or package is in two splits; if another process trains here.
            WeightsError: if the base is not there.
        """
        with training_lock(self.folder):
            return self._train()

    def pool(self) -> SpectrogramCache:
        """Spectrograms of the training scenes."""
        return SpectrogramCache(
            self.scenes,
            TRAIN,
            self.folder / "scenes",
            workers=self._workers,
            progress=prefixed(self._progress, "scenes"),
        )

    def teach_encoder(self, pool: SpectrogramCache) -> LabelLoss:
        """The encoder with its head, after all lessons."""
        recipe = self.recipe
        objective = new_classifier(recipe.encoder, pool.labels.shape[1], recipe.seed)
        for number, lesson in enumerate(recipe.lessons, 1):
            train_encoder(
                objective,
                pool,
                lesson,
                self.folder / f"encoder-{number}",
                progress=prefixed(self._progress, "encoder"),
            )
        return objective

    def begin(self, encoder: LabelLoss) -> LTUCheckpoint:
        """The model before its first stage: an encoder that hears, a LLaMA that reads."""
        files = untaught(self.recipe)
        prefix = files.net.prefix
        assert isinstance(prefix, CavMaePrefix)  # noqa: S101 - of the recipe's sizes
        prefix.encoder.load_state_dict(encoder.encoder.state_dict())
        return files

    def material(self, split: str, n_scenes: int) -> QASampler:
        """What can be asked about the scenes of a split."""
        recipe = self.recipe
        return QASampler(self.scenes, split, n_scenes, held_out=recipe.held_out, seed=recipe.seed)

    def teach(
        self, files: LTUCheckpoint, material: QASampler, pool: SpectrogramCache, stage: RecipeStage
    ) -> None:
        """One stage; changes the model."""
        set_trainable(files.net, stage.parts)
        objective = AnswerLoss(files.net)

        def batch_at(step: int, process: int, n_processes: int) -> Batch:
            number = stage.plan.seed * 1_000_000 + step * n_processes + process
            examples = material.examples(stage, number, files.tokenizer)
            names = sorted({e.audio_id for e in examples if e.audio_id})
            rows = torch.tensor([int(name) for name in names], dtype=torch.long)
            heard = dict(zip(names, pool.spectrograms(rows), strict=True))
            return collate(examples, heard, loss=stage.loss, pad=files.tokenizer.eos_token_id)

        train(
            objective,
            batch_at,
            stage.plan,
            self.folder / stage.name,
            progress=prefixed(self._progress, stage.name),
        )

    def look(self, files: LTUCheckpoint, stage: RecipeStage) -> None:
        """Let the model caption scenes that it does not train on, into the stage's folder.

        A line of JSON per scene: its id, what is in it, and the caption.
        """
        path = self.folder / stage.name / CAPTIONS
        if path.is_file():
            return
        n_scenes = self.recipe.sounds.n_validation
        made = self.scenes.clips("validation")
        clips = [made[number] for number in range(n_scenes)]
        model = LTU(files.net, files.tokenizer, files.info({}))
        prompts = (Prompt(CAPTION, audio=clip.waveform) for clip in clips)
        lines = []
        for clip, answer in zip(clips, model.generate(prompts, _BRIEF), strict=True):
            said = {"clip": clip.id, "labels": clip.labels, "caption": answer.text}
            lines.append(json.dumps(said) + "\n")
            self._progress(
                ProgressEvent(stage=f"captions after {stage.name}", done=len(lines), total=n_scenes)
            )
        atomic_write(path, "".join(lines))

    def _train(self) -> Path:
        if self._recordings is not None:
            _refuse_missing(self._recordings)
            refuse_leaks(self._recordings)
        pool = self.pool()
        encoder = self.teach_encoder(pool)
        files = self.begin(encoder)
        material = self.material(TRAIN, len(pool))
        for stage in self.recipe.stages:
            self.teach(files, material, pool, stage)
            self.look(files, stage)
        out = self.folder / MODEL
        if out.exists():
            return out
        clips = () if self._recordings is None else RecordedPalette(self._recordings, TRAIN).clips
        return save_adapter(files, out, name=self.folder.name, training_clips=clips)

    def _pin(self) -> None:
        """One folder, one recipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, text = self.folder / RECIPE, to_json(self.recipe) + "\n"
        if not path.is_file():
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            raise InvalidInputError(
                f"{self.folder}: holds a training of another recipe. Go on with that one, or name "
                "another folder."
            )


def untaught(recipe: Recipe) -> LTUCheckpoint:
    """The model of a recipe that has learned nothing: its LLaMA reads, its adapters do nothing.

    Raises:
        WeightsError: if the base is not there.
    """
    lora = {f"lora_{name}": value for name, value in asdict(recipe.lora).items()}
    return init_ltu(recipe.base, {"audio": recipe.encoder, **lora}, seed=recipe.seed)


def scenes_of(sounds: RecipeAudio, recordings: Dataset | None = None) -> Synthetic:
    """The scenes of a recipe.

    Args:
        sounds: what they are made of.
        recordings: those of its split for training are sources too; None takes none.
    """
    palette: Palette = ProceduralPalette(sounds.sources or None)
    if recordings is not None:
        palette = BlendedPalette(palette, RecordedPalette(recordings, TRAIN))
    return Synthetic(
        n_clips=sounds.n_train,
        most=sounds.most,
        palette=palette,
        bare=sounds.bare,
        seed=sounds.seed,
    )


def _refuse_missing(recordings: DebianSounds) -> None:
    """A training of hours that lacks what its recipe names would be another one."""
    lost = recordings.missing_from(TRAIN)
    if lost:
        name, why = next(iter(lost.items()))
        names = {sound.package for sound in recordings.recordings if sound.id in lost}
        raise InvalidInputError(
            f"{recordings.folder}: {len(lost)} recordings to train with are missing, the first is "
            f"{name}: {why}. Fetch them with: {fetch_command(recordings.folder, names)}"
        )
