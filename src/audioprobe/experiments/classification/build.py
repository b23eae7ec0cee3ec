"""What a configuration names, built: components, clips, prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts.ontology import Ontology
from audioprobe.datasets.leakage import refuse_leaks
from audioprobe.datasets.relabelled import RelabelledDataset, read_mapping
from audioprobe.errors import InvalidInputError, did_you_mean, located
from audioprobe.experiments.classification.config import (
    ClassificationConfig,
    ComponentSpec,
    EvaluationSet,
    PromptSpec,
)
from audioprobe.io.tables import read_rows
from audioprobe.normalization import nfc
from audioprobe.prompts.levels import PromptLevel, shipped_templates
from audioprobe.prompts.template import PromptTemplate, read_templates
from audioprobe.protocols import Dataset
from audioprobe.registry import load
from audioprobe.results import ClassificationResult
from audioprobe.types import Clip, Example

DESCRIPTIONS = Path(__file__).parent / "descriptions"
MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class EvaluationClips:
    """The clips of one data set.

    Attributes:
        name: of the results.
        dataset: also for examples from its other splits.
        clips: in order.
        labels: class names.
        familiar: as in the configuration.
    """

    name: str
    dataset: Dataset
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    familiar: bool | None


@dataclass(frozen=True, slots=True)
class PromptQuestion:
    """A rung of the ladder, ready to be asked of the clips of one data set.

    Attributes:
        name: of the rung.
        text: the question.
        examples: shown before it.
    """

    name: str
    text: str
    examples: tuple[Example, ...]

    @property
    def n_characters(self) -> int:
        """Of text in one call."""
        shown = sum(len(e.question) + len(e.answer) for e in self.examples)
        return len(self.text) + shown


def dataset_of(part: ComponentSpec, mapping: str = "") -> Dataset:
    """A data set by its name, its labels renamed where a mapping says so.

    Args:
        part: the data set.
        mapping: a table, see `datasets.mapped`, by its path or the name of one that ships; "" keeps
            the labels as they are.

    Raises:
        AudioProbeError: as `registry.load` and `datasets.mapped`.
    """
    dataset = load("dataset", part.name, **part.options)
    if mapping:
        return RelabelledDataset(dataset, read_mapping(shipped_table(mapping, MAPPINGS)))
    return dataset


def heard(sound: EvaluationSet) -> EvaluationClips:
    """The clips that are to be classified.

    Raises:
        InvalidInputError: if there are none, or none of them has a label that is asked about.
    """
    with located(f"{sound.name}: dataset"):
        dataset = dataset_of(sound.dataset, sound.mapping)
    clips = tuple(dataset.clips(sound.split))
    clips = clips[: sound.most] if sound.most else clips
    if not clips:
        raise InvalidInputError(f"{sound.name}: the split {sound.split!r} has no clips.")
    present = {label for clip in clips for label in clip.labels or ()}
    asked = tuple(map(nfc, sound.labels))
    unknown = [label for label in asked if label not in dataset.labels]
    if unknown:
        raise InvalidInputError(
            f"{sound.name}: the data set has no label {unknown[0]!r}."
            f"{did_you_mean(unknown[0], dataset.labels)}"
        )
    labels = asked or tuple(label for label in dataset.labels if label in present)
    if not present & set(labels):
        raise InvalidInputError(
            f"{sound.name}: no clip has one of the labels {', '.join(labels[:5]) or '(none)'}. "
            f"The clips have {', '.join(sorted(present)[:5]) or 'none'}."
        )
    return EvaluationClips(sound.name, dataset, clips, labels, sound.familiar)


def refuse_leaking(config: ClassificationConfig, sounds: Sequence[EvaluationClips]) -> None:
    """Refuse splits that share a group or a sound where one learns from the other.

    Examples are drawn from one split and shown with another; thresholds are tuned on one and used
    on another.

    Args:
        config: of the run.
        sounds: what was built of its sounds, in order.

    Raises:
        InvalidInputError: names groups, or clips, and their splits.
    """
    shown = {rung.examples_split for rung in config.rungs if rung.examples}
    by_name = {sound.name: sound for sound in config.sounds}
    for sound, built_of_it in zip(config.sounds, sounds, strict=True):
        others = set(shown)
        tuned_on = by_name.get(sound.thresholds_from)
        if tuned_on is not None and tuned_on.dataset == sound.dataset:
            others.add(tuned_on.split)
        if others - {sound.split}:
            refuse_leaks(built_of_it.dataset, sorted({sound.split, *others}))


def refuse_changed(
    result: ClassificationResult, sounds: EvaluationClips, question: PromptQuestion
) -> None:
    """Refuse a result that was made of other clips, labels or another question.

    Raises:
        InvalidInputError: names what changed.
    """
    asked = {*result.clip_ids, *(failure.clip_id for failure in result.failures)}
    was = asked, result.labels, result.provenance.options.get("question")
    now = {clip.id for clip in sounds.clips}, sounds.labels, question.text
    parts = zip(("clips", "labels", "the question"), was, now, strict=True)
    if changed := [name for name, before, after in parts if before != after]:
        raise InvalidInputError(
            f"{' and '.join(changed)} are others than when the run was made. Restore the data set "
            "and the files that the configuration names, or run it again."
        )


def templates(config: ClassificationConfig) -> dict[str, PromptTemplate]:
    """The prompts of a run: those of its file, or those that ship."""
    return read_templates(config.prompts) if config.prompts else shipped_templates()


def rung_of(asked: PromptSpec, known: dict[str, PromptTemplate]) -> PromptLevel:
    """A rung with its prompt.

    Raises:
        InvalidInputError: if there is no such prompt, or the control does not fit it.
    """
    if asked.prompt not in known:
        raise InvalidInputError(
            f"There is no prompt {asked.prompt!r}. There are {', '.join(known)}."
        )
    return PromptLevel(known[asked.prompt], asked.control, asked.examples, asked.sounds)


def question_of(
    asked: PromptSpec, rung: PromptLevel, sounds: EvaluationClips, seed: int
) -> PromptQuestion:
    """What is asked of the clips of a data set.

    Raises:
        InvalidInputError: if descriptions are missing, or there are too few examples.
    """
    text = rung.question(
        sounds.labels,
        _descriptions(asked.descriptions),
        _descriptions(asked.absent),
        seed=seed,
    )
    if not rung.n_examples:
        return PromptQuestion(rung.name, text, ())
    shots = sounds.dataset.clips(asked.examples_split)
    drawn = rung.examples(_labels(shots, sounds.labels), text, seed=seed)
    examples = tuple(
        replace(example, audio=read_waveform(shots[number])) if rung.with_audio else example
        for number, example in drawn
    )
    return PromptQuestion(rung.name, text, examples)


def _labels(shots: Sequence[Clip], asked: Sequence[str]) -> list[tuple[str, ...]]:
    """What of the labels that are asked about is in each clip."""
    return [tuple(label for label in asked if label in (clip.labels or ())) for clip in shots]


def _descriptions(path: str) -> dict[str, str]:
    """A text per label; none where no file is named."""
    if not path:
        return {}
    if path.endswith(".json"):
        return {node.name: node.description for node in Ontology.from_json(path)}
    rows = read_rows(shipped_table(path, DESCRIPTIONS), ("label", "description"))
    return {row["label"]: row["description"] for row in rows}


def shipped_table(name: str, folder: Path) -> Path:
    """A table that ships with the library by its name, or any other by its path."""
    inside = folder / f"{name}.csv"
    return inside if inside.is_file() else Path(name).expanduser()
