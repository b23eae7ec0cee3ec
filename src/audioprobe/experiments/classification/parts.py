"""Classification of large evaluation sets in parts, so that a run resumes within seconds.

An evaluation set with more than `PART_SIZE` clips is classified in parts of this size. Each part is
stored in a Parquet file; see `results.result_parts`. A resumed run does not read the audio of the
clips in finished parts.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.errors import optional_import
from audioprobe.experiments.classification.build import LabelledClips
from audioprobe.experiments.run_metadata import ExperimentFolder, read_result
from audioprobe.progress import ProgressCallback, ProgressEvent
from audioprobe.results import ClassificationResult
from audioprobe.results.provenance import combined_digest, versions

PART_SIZE = 5_000
"""Number of clips of a part. A killed run reads the audio of at most this number of clips again."""


class ResultParts:
    """The parts of the result of one prompt level on one evaluation set.

    Args:
        folder: folder of the files; each has the number of its part as name.
        clips: clips of the evaluation set, with their labels.
    """

    def __init__(self, folder: Path, clips: LabelledClips) -> None:
        self._folder = folder
        self._labels = clips.labels
        self._n_clips = len(clips.clips)
        self._parts = [
            (folder / f"{n:05}.parquet", clips.clips[start : start + PART_SIZE])
            for n, start in enumerate(range(0, self._n_clips, PART_SIZE))
        ]
        self._files = optional_import("audioprobe.results.result_parts", "data")

    def classify(
        self,
        classifier: CaptionClassifier,
        digests: Mapping[str, str],
        progress: ProgressCallback,
    ) -> int:
        """Write the parts that are missing, and those whose inputs changed.

        A part is made again if the audio of a clip or the version of a library changed, or if a
        clip failed for a reason other than its file, such as a service that did not respond.

        Args:
            classifier: classifier of the clips.
            digests: digest of the audio of each clip, by clip id.
            progress: called with the progress over all parts.

        Returns:
            Number of captions in the finished parts that were not made again.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        n_done = n_failed = n_reused = 0
        for path, clips in self._parts:
            inputs = combined_digest(
                [*((clip.id, digests.get(clip.id, "")) for clip in clips), *versions().items()]
            )
            header = self._files.read_header(path) if path.is_file() else None
            if header and header.inputs == inputs and not set(header.failures) - {"read"}:
                n_reused += header.n_captions
            else:
                report = _shifted(progress, n_done, n_failed, self._n_clips)
                result = classifier(clips, self._labels, progress=report)
                header = self._files.write_part(path, clips, result, inputs)
            n_done += len(clips)
            n_failed += sum(header.failures.values())
        return n_reused

    def read(self) -> ClassificationResult:
        """Return the joined result of all parts.

        Raises:
            InvalidInputError: if a part is missing or damaged, or has other clips.
        """
        result: ClassificationResult = self._files.read_parts(self._parts)
        return result


def classify_set(
    classifier: CaptionClassifier,
    clips: LabelledClips,
    run: ExperimentFolder,
    name: str,
    progress: ProgressCallback,
) -> ClassificationResult:
    """Return the scores of an evaluation set, which is classified in parts if it is large.

    Args:
        classifier: classifier of the clips.
        clips: clips of the evaluation set, with their labels.
        run: folder of the run, to which the parts are written.
        name: name of the result.
        progress: called with the progress.
    """
    if len(clips.clips) <= PART_SIZE:
        return classifier(clips.clips, clips.labels, progress=progress)
    parts = ResultParts(run.results / name, clips)
    run.n_reused += parts.classify(classifier, run.audio_digests[clips.name], progress)
    return parts.read()


def read_set(file: Path, clips: LabelledClips) -> ClassificationResult:
    """Read the result of an evaluation set from its parts; if there are none, from a JSON file.

    Args:
        file: the JSON file; the folder of the parts has the same name without suffix.
        clips: clips of the evaluation set.
    """
    folder = file.with_suffix("")
    if len(clips.clips) > PART_SIZE and folder.is_dir():
        return ResultParts(folder, clips).read()
    return ClassificationResult.from_json(read_result(file))


def _shifted(
    progress: ProgressCallback, n_done: int, n_failed: int, total: int
) -> ProgressCallback:
    """Return a callback that adds the clips of earlier parts to an event."""

    def callback(event: ProgressEvent) -> None:
        failed = n_failed + event.n_failed
        progress(replace(event, done=n_done + event.done, total=total, n_failed=failed))

    return callback
