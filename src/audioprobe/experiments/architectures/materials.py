"""Data that all arms share: scenes, features, tags, and test clips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from audioprobe.concepts import Concepts
from audioprobe.datasets.debian import DebianSounds
from audioprobe.datasets.synthetic import RecordedPalette, Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.architectures.config import ArchitecturesConfig, recipe_of
from audioprobe.io.atomic import atomic_open
from audioprobe.io.json_codec import to_json
from audioprobe.models.encoders.linear_head import fit_linear_head
from audioprobe.models.encoders.linear_tagger import LinearTagger
from audioprobe.models.ltu.audio_frontend import (
    AudioFrontend,
    load_frontend,
    without_repetition,
)
from audioprobe.models.ltu.feature_encoder import FeatureConfig
from audioprobe.progress import ProgressCallback, prefixed
from audioprobe.small_ltu.building import TRAIN, audio_config, build_scenes
from audioprobe.small_ltu.evaluation_clips import single_source_scenes, spread_clips
from audioprobe.small_ltu.recipe import Recipe
from audioprobe.training.feature_cache import FeatureCache
from audioprobe.types import BoolArray, Clip, ComponentInfo, FloatArray

SCENES, RECORDINGS = "synthesised clips", "recordings"
"""Names of the sets of test clips: like those of the training, and unlike them."""
TAGGER = "tagger"  # folder
_LOGITS = "out-of-fold-logits.npy"
_TEST, _VALIDATION = "test", "validation"
_UNLIMITED = 10**9  # number of scenes in the data set; a scene is synthesised when it is read


@dataclass(frozen=True, eq=False)
class ArmMaterials:
    """Data of a study, computed once and stored in its folder.

    Attributes:
        config: configuration of the study.
        folder: folder of the study.
        progress: called with the progress of each stage.
        workers: number of processes that synthesise scenes.
    """

    config: ArchitecturesConfig
    folder: Path
    progress: ProgressCallback
    workers: int = 1

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of all arms."""
        return recipe_of(self.config)

    @cached_property
    def recordings(self) -> DebianSounds | None:
        """Recordings of training and test; None for a recipe without recordings."""
        if not self.recipe.scenes.recordings:
            return None
        if not self.config.recordings:
            raise InvalidInputError(
                f"The recipe {self.config.recipe!r} uses recordings: set recordings to their "
                "folder, which `audioprobe fetch-sounds --out FOLDER` makes."
            )
        return DebianSounds(self.config.recordings)

    @cached_property
    def scenes(self) -> Synthetic:
        """Scenes of the training."""
        return build_scenes(self.recipe.scenes, self.recordings)

    @cached_property
    def audio(self) -> FeatureConfig:
        """Configuration of the frozen encoder.

        Raises:
            InvalidInputError: if the recipe trains its encoder.
        """
        audio = audio_config(self.recipe)
        if not isinstance(audio, FeatureConfig) or audio.trainable:
            raise InvalidInputError(
                "Expected a recipe with a frozen, pretrained encoder, such as yamnet, because arms "
                f"share its features; received {type(audio).__name__}."
            )
        return audio

    @cached_property
    def frontend(self) -> AudioFrontend:
        """Converter from audio to features."""
        return load_frontend(self.audio)

    @property
    def feature_folder(self) -> Path:
        """Folder of the features of the training scenes."""
        return self.folder / "features" / TRAIN

    @cached_property
    def training_features(self) -> FeatureCache:
        """Features and labels of all training scenes."""
        return self._features(TRAIN, len(self.scenes.clips(TRAIN)), self.feature_folder)

    @cached_property
    def validation_features(self) -> FeatureCache:
        """Features and labels of the validation scenes."""
        n_scenes, folder = self.config.rates.n_scenes, self.folder / "features" / _VALIDATION
        return self._features(_VALIDATION, n_scenes, folder)

    @cached_property
    def training_clips(self) -> Sequence[Clip]:
        """Recordings in the training scenes."""
        return RecordedPalette(self.recordings, TRAIN).clips if self.recordings else ()

    @cached_property
    def tagger(self) -> LinearTagger:
        """Linear tagger on the features of the encoder, fitted on the training scenes."""
        folder = self.folder / TAGGER
        if not folder.is_dir():
            cache = self.training_features
            phrases = {concept.name: concept.phrase for concept in Concepts.shipped()}
            tagger = LinearTagger.fit(
                self._rows(np.ones(len(cache), dtype=np.bool_)),
                cache.labels.numpy(),
                self.scenes.labels,
                encoder=self.audio.encoder,
                encoder_options=self.audio.options,
                phrases=[phrases.get(label, label) for label in self.scenes.labels],
                seed=self.recipe.seed,
                training_clips=self.training_clips,
            )
            tagger.save_pretrained(folder)
        return LinearTagger.from_pretrained(folder)

    @cached_property
    def out_of_fold_logits(self) -> FloatArray:
        """Logits of all labels in the frames of the training scenes, shape (n, n_frames, n_labels).

        They are those of a head that was fitted on the other half of the scenes, because a head is
        too certain of the scenes that it was fitted on. Both halves share recordings.
        """
        path = self.folder / _LOGITS
        if not path.is_file():
            cache = self.training_features
            is_even = np.arange(len(cache)) % 2 == 0
            shape = (len(cache), self.audio.n_steps, cache.labels.shape[1])
            logits = np.zeros(shape, dtype=np.float16)
            for fitted in (is_even, ~is_even):
                head = fit_linear_head(
                    self._rows(fitted), cache.labels.numpy()[fitted], seed=self.recipe.seed
                )
                for row, features in zip(np.flatnonzero(~fitted), self._rows(~fitted), strict=True):
                    logits[row] = head.frame_logits(features)
            with atomic_open(path) as stream:
                np.save(stream, logits)
        loaded: FloatArray = np.load(path).astype(np.float32)
        return loaded

    def scene_logits(self, row: int) -> FloatArray:
        """Return the out-of-fold logits of a training scene, shape (n_frames, n_labels).

        They are those of the frames of the scene, as a tagger returns them, while
        `out_of_fold_logits` has repetitions that fill a clip of the encoder's length.
        """
        features = self.training_features.features(torch.tensor([row]))[0].numpy()
        logits: FloatArray = self.out_of_fold_logits[row, : len(without_repetition(features))]
        return logits

    @cached_property
    def test_scenes(self) -> Synthetic:
        """Scenes of the evaluation, whose sources are synthesised: recordings were trained on."""
        return build_scenes(replace(self.recipe.scenes, n_train=_UNLIMITED))

    @cached_property
    def test_clips(self) -> Mapping[str, Mapping[str, Sequence[Clip]]]:
        """Clips with a single source by set and concept id."""
        n_clips = self.config.evaluation.n_clips
        sets = {SCENES: single_source_scenes(self.test_scenes, _TEST, n_clips)}
        if self.recordings is not None:
            sets[RECORDINGS] = spread_clips(self.recordings.clips(_TEST), n_clips)
        return sets

    @property
    def concepts(self) -> tuple[str, ...]:
        """Ids of the concepts of the training."""
        return tuple(self.scenes.palette.concepts)

    @cached_property
    def datasets(self) -> dict[str, ComponentInfo]:
        """Descriptions of the data sets, for the manifest."""
        infos = {"scenes": self.scenes.info, SCENES: self.test_scenes.info}
        if self.recordings is not None:
            infos[RECORDINGS] = self.recordings.info
        return infos

    @cached_property
    def clips_by_id(self) -> dict[str, Clip]:
        """All test clips with a single source."""
        groups = (by_concept.values() for by_concept in self.test_clips.values())
        return {clip.id: clip for group in chain(*groups) for clip in group}

    def _features(self, split: str, n_scenes: int, folder: Path) -> FeatureCache:
        clips = self.scenes.clips(split)
        return FeatureCache(
            [clips[n] for n in range(n_scenes)] if n_scenes < len(clips) else clips,
            self.scenes.labels,
            folder,
            self.frontend,
            source={"dataset": json.loads(to_json(self.scenes.info)), "split": split},
            workers=self.workers,
            progress=prefixed(self.progress, f"features, {split}"),
        )

    def _rows(self, selected: BoolArray) -> FloatArray:
        """Return the features of some of the training scenes, shape (n, n_frames, width)."""
        features: FloatArray = self.training_features.features(
            torch.from_numpy(np.flatnonzero(selected))
        ).numpy()
        return features
