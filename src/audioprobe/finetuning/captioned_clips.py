"""Training clips with the inputs of the audio encoder, labels and captions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audioprobe.concepts import Concepts
from audioprobe.concepts.concept import with_article
from audioprobe.errors import InvalidInputError
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.relations.concept_set import from_concepts
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.texts import fingerprint
from audioprobe.training.examples import QARecord, caption_record, labels_record
from audioprobe.training.feature_cache import FeatureCache, FeatureExtractor, epoch_rows
from audioprobe.types import Clip


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedClips:
    """Training clips with features (inputs of the audio encoder) and labels.

    A clip is identified by its index.

    Attributes:
        cache: cached features of the clips.
        labels: labels of each clip.
        phrases: labels of each clip with articles, such as "a crow", from which captions are made.
        rows_by_concept: indices of the clips in which only one concept (a sound source such as a
            crow) is audible, keyed by the id of the concept; see `probing.clips`.
    """

    cache: FeatureCache
    labels: tuple[tuple[str, ...], ...]
    phrases: tuple[tuple[str, ...], ...]
    rows_by_concept: dict[str, tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.labels)

    def features(self, row: int) -> Tensor:
        """Return the features of the clip with this index, such as (n_frames, n_mels) for LTU."""
        return self.cache.features(torch.tensor([row]))[0]

    def questions(
        self, name: str, n: int, step: int, seed: int
    ) -> Iterator[tuple[int, QARecord, Tensor]]:
        """Yield (index, question with answer, features) for each clip of a training step.

        The answer alternates between epochs (passes over all clips): caption, then labels, for
        clips with an even index; labels, then caption, for the others.

        Args:
            name: start of the audio ids, which link questions to features: "NAME INDEX".
            n: number of clips per step.
            step: index of the step, from 0.
            seed: random seed of the order of the clips.
        """
        rows = epoch_rows(len(self), n, step, seed)
        features = self.cache.features(rows)
        for k, (row, clip_features) in enumerate(zip(rows.tolist(), features, strict=True)):
            epoch = (step * n + k) // len(self)
            if (epoch + row) % 2:
                record = labels_record(self.labels[row], f"{name} {row}")
            else:
                record = caption_record(self.phrases[row], f"{name} {row}")
            yield row, record, clip_features


def captioned_clips(
    name: str,
    clips: Sequence[Clip],
    folder: str | Path,
    extractor: FeatureExtractor,
    *,
    progress: ProgressCallback = ignore_progress,
) -> CaptionedClips:
    """Prepare clips for training; features are computed once and stored in a folder.

    Args:
        name: name of the set of clips.
        clips: clips with at least one label each.
        folder: folder that is used only for these clips.
        extractor: converter from audio to the input of the model's audio encoder.
        progress: called after every clip.

    Raises:
        InvalidInputError: if there are no clips, a clip has no labels, two clips have the same id,
            or the folder contains features of other clips or another extractor.
    """
    unlabelled = [clip.id for clip in clips if not clip.labels]
    if not clips or unlabelled:
        first = f", the first is {unlabelled[0]!r}" if unlabelled else ""
        raise InvalidInputError(
            f"{name}: expected clips with labels, got {len(clips)} clips, {len(unlabelled)} of "
            f"them without labels{first}. Leave these clips out, or pass a data set with labels, "
            "such as Manifest(table).clips('all')."
        )
    repeated = [clip_id for clip_id, n in Counter(clip.id for clip in clips).items() if n > 1]
    if repeated:
        raise InvalidInputError(
            f"{name}: the clip id {repeated[0]!r} occurs more than once. Give each clip its own id."
        )
    labels = tuple(tuple(clip.labels or ()) for clip in clips)
    table = [f"{c.id}\t{c.labels}\t{c.start}\t{c.duration}\t{c.group}" for c in clips]
    cache = FeatureCache(
        clips,
        sorted({label for clip_labels in labels for label in clip_labels}),
        folder,
        extractor,
        source={"name": name, "clips": fingerprint(table)},
        progress=prefixed(progress, name),
    )
    rows = {clip.id: row for row, clip in enumerate(clips)}
    rows_by_concept = {
        concept: tuple(rows[clip.id] for clip in concept_clips)
        for concept, concept_clips in clips_by_concept(clips, from_concepts()).by_concept.items()
    }
    phrase = {concept.name: concept.phrase for concept in Concepts.shipped()}
    phrases = tuple(
        tuple(phrase.get(label) or with_article(label) for label in clip_labels)
        for clip_labels in labels
    )
    return CaptionedClips(cache, labels, phrases, rows_by_concept)
