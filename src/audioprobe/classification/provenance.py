"""What results of classifiers record about their making."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.windowing import Windowing
from audioprobe.inference.clips import InferenceResult, Output
from audioprobe.protocols import Component
from audioprobe.results import Provenance
from audioprobe.results.provenance import combined_digest, now, versions
from audioprobe.types import Clip, ComponentInfo, Option


def provenance_of(
    components: Mapping[str, ComponentInfo],
    options: Mapping[str, Option],
    reading: Windowing,
    clips: Sequence[Clip],
    record: InferenceResult[Output],
    *,
    heard_by: Component,
    seed: int = 0,
) -> Provenance:
    """Where a result comes from that was made just now.

    Args:
        components: what took part, by role.
        options: of the study; those of `reading` are added.
        reading: how recordings became windows.
        clips: all that were asked for.
        record: what came of them.
        heard_by: the model, which may know what it was trained on.
        seed: for whatever samples.
    """
    return Provenance(
        components=components,
        options={**options, **_policy(reading)},
        seed=seed,
        # Only of clips that were heard: how far a failed one was read depends on the batch.
        data=combined_digest(
            (clip.id, record.digests[clip.id] if clip.id in record.outputs else "failed")
            for clip in clips
        ),
        versions=versions(),
        created=now(),
        training_clips=training_clips(clips, heard_by),
    )


def _policy(reading: Windowing) -> dict[str, Option]:
    """Return the policy as options; `incomplete` is among them only where it is "accept"."""
    policy: dict[str, Option] = asdict(reading)
    if reading.incomplete == "refuse":
        del policy["incomplete"]
    return policy


def truth_of(clips: Sequence[Clip]) -> dict[str, tuple[str, ...]]:
    """Labels by clip id, of the clips that came with labels."""
    return {clip.id: clip.labels for clip in clips if clip.labels is not None}


def groups_of(clips: Sequence[Clip]) -> dict[str, str]:
    """Groups by clip id, of the clips that have one."""
    return {clip.id: clip.group for clip in clips if clip.group is not None}
