"""Check that the recordings of a training are on disk."""

import warnings

from audioprobe.datasets.debian import NOT_RENDERED, DebianSounds, fetch_command
from audioprobe.errors import InvalidInputError


def check_training_recordings(recordings: DebianSounds, split: str) -> None:
    """Raise if recordings of the training split are missing on disk.

    Recordings that were not rendered because fluidsynth is not installed only cause a warning.

    Args:
        recordings: recordings to train on.
        split: name of the training split.

    Raises:
        InvalidInputError: if recordings are missing for any other reason.
    """
    missing = recordings.missing_from(split)
    not_rendered = [name for name, cause in missing.items() if cause == NOT_RENDERED]
    if not_rendered:
        warnings.warn(
            f"{recordings.folder}: training continues without {len(not_rendered)} recordings. The "
            f"first, {not_rendered[0]}, {NOT_RENDERED}.",
            stacklevel=3,
        )
    missing = {name: cause for name, cause in missing.items() if cause != NOT_RENDERED}
    if missing:
        name, cause = next(iter(missing.items()))
        packages = {sound.package for sound in recordings.recordings if sound.id in missing}
        raise InvalidInputError(
            f"{recordings.folder}: {len(missing)} training recordings are missing. The first is "
            f"{name}: {cause}. Fetch them with: {fetch_command(recordings.folder, packages)}"
        )
