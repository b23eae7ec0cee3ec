"""What results of classifiers record about their making."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from audioprobe.audio.reading import Reading
from audioprobe.classifiers.windows import Kept, Record
from audioprobe.results import Provenance
from audioprobe.results.provenance import now, versions
from audioprobe.types import Clip, ComponentInfo, Option


def provenance_of(
    components: Mapping[str, ComponentInfo],
    options: Mapping[str, Option],
    reading: Reading,
    clips: Sequence[Clip],
    record: Record[Kept],
    *,
    seed: int = 0,
) -> Provenance:
    """Where a result comes from that was made just now.

    Args:
        components: what took part, by role.
        options: of the study; those of `reading` are added.
        reading: how recordings became windows.
        clips: all that were asked for.
        record: what came of them.
        seed: for whatever samples.
    """
    return Provenance(
        components=components,
        options={**options, **_policy(reading)},
        seed=seed,
        data=_digest(clips, record),
        versions=versions(),
        created=now(),
    )


def _policy(reading: Reading) -> dict[str, Option]:
    """The policy as options; taking incomplete files is told of where it was done."""
    policy: dict[str, Option] = asdict(reading)
    if reading.incomplete == "refuse":
        del policy["incomplete"]
    return policy


def truth_of(clips: Sequence[Clip]) -> dict[str, tuple[str, ...]]:
    """Labels by clip id, of the clips that came with labels."""
    return {clip.id: clip.labels for clip in clips if clip.labels is not None}


def _digest(clips: Sequence[Clip], record: Record[Kept]) -> str:
    data = hashlib.sha256()
    for clip in clips:
        # Only of clips that were heard: how far a failed one was read depends on the batch.
        digest = record.digests[clip.id] if clip.id in record.kept else "failed"
        data.update(f"{clip.id}\t{digest}\n".encode("utf-8", "surrogatepass"))
    return data.hexdigest()
