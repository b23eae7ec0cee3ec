"""Clips of a probe by concept, and recordings of spoken words."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audioprobe.audio.files import open_sound
from audioprobe.audio.sources import clips_of
from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.concepts.concept import without_article
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept
from audioprobe.texts import nfc
from audioprobe.types import Clip, Waveform

ESPEAK = "espeak-ng"
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class ProbeClip:
    """A clip of a concept, and where its audio is.

    Attributes:
        concept: id of the concept that the clip belongs to.
        path: path of the file; "" for a waveform in memory.
        start: start of the clip in the file, in seconds.
        duration: duration in seconds; None if the clip ends with the file.
    """

    concept: str
    path: str
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class ClipsByConcept:
    """The clips of each concept, the clips without a concept, and the concepts without clips.

    Attributes:
        by_concept: clips of each concept, keyed by concept id; concepts without clips are absent.
        unassigned: clips without a concept, because their labels or file names match no concept or
            several: these labels or names as one string, keyed by clip id.
        without_clips: ids of concepts without a clip.
    """

    by_concept: Mapping[str, tuple[Clip, ...]]
    unassigned: Mapping[str, str]
    without_clips: tuple[str, ...]


def clips_by_concept(clips: Iterable[Clip], concepts: ConceptSet) -> ClipsByConcept:
    """Assign clips to concepts by their labels; clips without labels by their file names.

    A clip belongs to a concept if one of its labels is the concept's id, phrase, synonym or
    `ProbeConcept.label` (if no other concept has the same label). All other labels of the clip
    must be ancestors of the concept (a clip with the labels "grouse", "bird" and "animal" belongs
    to "grouse") or be in `ProbeConcept.extra_labels`. A clip without labels belongs to the concept
    that its file is named after ("crow-2.wav"; final numbers are ignored), or else its folder.

    Args:
        clips: clips in any order.
        concepts: concepts to which clips are assigned.
    """
    by_name = _unique_labels(concepts) | {
        name: concept for concept in reversed(concepts.concepts) for name in _names_of(concept)
    }
    classes = {
        _normalized(name): hypernym.id
        for concept in concepts.concepts
        for hypernym in concept.hypernyms
        for name in (hypernym.id, hypernym.phrase, without_article(hypernym.phrase))
    }
    assigned: dict[str, list[Clip]] = {}
    unassigned: dict[str, str] = {}
    for clip in clips:
        if clip.labels is None:
            names = _file_names(clip)
            matches = (by_name.get(_normalized(name)) for name in names)
            concept = next((match for match in matches if match), None)
        else:
            names = clip.labels
            concept = _most_specific([_normalized(name) for name in names], by_name, classes)
        if concept is None:
            unassigned[clip.id] = ", ".join(names) or "(nothing)"
        else:
            assigned.setdefault(concept.id, []).append(clip)
    ids = [concept.id for concept in concepts.concepts]
    return ClipsByConcept(
        {name: tuple(assigned[name]) for name in ids if name in assigned},
        unassigned,
        tuple(name for name in ids if name not in assigned),
    )


def _names_of(concept: ProbeConcept) -> tuple[str, ...]:
    """Return the normalised id, phrase and synonyms of a concept, with and without article."""
    phrases = (concept.phrase, *concept.synonyms)
    names = (concept.id, *phrases, *map(without_article, phrases))
    return tuple(dict.fromkeys(map(_normalized, names)))


def _most_specific(
    labels: Sequence[str], by_name: Mapping[str, ProbeConcept], classes: Mapping[str, str]
) -> ProbeConcept | None:
    """Return the concept of a clip with these labels, such as "grouse" for "grouse" and "bird".

    Return None if the labels name no concept, several concepts that are not above each other, or
    anything that is not a name, an ancestor or an extra label of the concept.

    Args:
        labels: normalised labels of the clip.
        by_name: concepts, keyed by their normalised names.
        classes: ids of classes, keyed by their normalised names.
    """
    named = {by_name[label].id: by_name[label] for label in labels if label in by_name}
    above = {ancestor for concept in named.values() for ancestor in concept.ancestors}
    lowest = [concept for name, concept in named.items() if name not in above]
    if len(lowest) != 1:
        return None
    (concept,) = lowest
    explained = {concept.id, *concept.ancestors}
    extra = set(map(_normalized, concept.extra_labels))
    for label in labels:
        label_id = by_name[label].id if label in by_name else classes.get(label, "")
        if label_id not in explained and label not in extra:
            return None
    return concept


def _unique_labels(concepts: ConceptSet) -> dict[str, ProbeConcept]:
    """Return the concepts, keyed by `ProbeConcept.label`, without labels of several concepts."""
    labels = [_normalized(concept.label) for concept in concepts.concepts]
    counts = Counter(labels)
    pairs = zip(labels, concepts.concepts, strict=True)
    return {label: concept for label, concept in pairs if label and counts[label] == 1}


def _file_names(clip: Clip) -> tuple[str, ...]:
    """Return the name of a clip's file without final numbers, and the name of its folder.

    Return () for a clip in memory.
    """
    if clip.path is None:
        return ()
    return re.sub(r"[\W\d_]+$", "", clip.path.stem), clip.path.parent.name


def _normalized(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", nfc(name)).strip().casefold()


def seconds_cut(
    clips: Iterable[Clip],
    played: Container[str],
    ignored: Mapping[str, float],
    windowing: Windowing,
) -> dict[str, float]:
    """Return the unused duration at the end of each clip in seconds, keyed by clip id.

    Clips that were used to their end are left out.

    Args:
        clips: the clips.
        played: ids of the clips that were sent to the model.
        ignored: seconds that the model has reported as truncated, keyed by clip id.
        windowing: how clips were read.
    """
    seconds = {}
    for clip in clips:
        cut = ignored.get(clip.id, 0.0)
        if clip.id in played:
            with suppress(AudioReadError):  # the questions about this clip are failures
                cut += _seconds_not_read(clip, windowing)
        if cut > 0:
            seconds[clip.id] = round(cut, 3)
    return seconds


def _seconds_not_read(clip: Clip, windowing: Windowing) -> float:
    """Return the seconds of a clip after those that were read; 0 for shorter clips."""
    if windowing.length == "whole":
        return 0.0
    if clip.waveform is not None:
        duration = clip.waveform.duration
    else:
        assert clip.path is not None  # noqa: S101 - a clip has a waveform or a path
        with open_sound(clip.path) as sound:
            duration = float(sound.frames / sound.samplerate)
    duration -= clip.start
    if clip.duration is not None:
        duration = min(duration, clip.duration)
    return max(0.0, round(duration - windowing.seconds, 3))


def spoken_words(source: str, concepts: ConceptSet) -> dict[str, Waveform]:
    """Return a recording of the spoken word for each concept, keyed by concept id.

    Args:
        source: "espeak-ng" to synthesise the phrases in English with the program espeak-ng; any
            other value is a folder with recordings that are named after concepts. The first
            recording of each concept is used; concepts without a recording are left out.
        concepts: concepts whose words are needed.

    Raises:
        InvalidInputError: if espeak-ng is missing or fails, or if no recording in the folder is
            named after a concept.
        AudioReadError: if a recording cannot be read.
    """
    if source != ESPEAK:
        clips = clips_by_concept(clips_of(source), concepts).by_concept
        if not clips:
            raise InvalidInputError(
                f"{source}: no recording is named after a concept. Rename the recordings "
                f"(crow.wav), or use {ESPEAK!r}."
            )
        return {name: read_waveform(recordings[0]) for name, recordings in clips.items()}
    program = shutil.which(ESPEAK)
    if program is None:
        raise InvalidInputError(
            f"The program {ESPEAK} is not installed. Install it (Debian: apt install {ESPEAK}), or "
            "use a folder of recorded words."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        return {c.id: _synthesise(program, c.phrase, path) for c in concepts.concepts}


def _synthesise(program: str, phrase: str, path: Path) -> Waveform:
    """Return a phrase spoken by espeak-ng, at 22,050 Hz.

    The phrase is sent to standard input, because an argument could be parsed as an option.
    """
    try:
        subprocess.run(  # noqa: S603 - a fixed command
            [program, "-v", "en", "-w", str(path), "--stdin"],
            input=phrase.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInputError(f"{ESPEAK} failed to speak {phrase!r}: {error}") from error
    return read_waveform(Clip(id=phrase, path=path))
