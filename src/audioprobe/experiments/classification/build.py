"""Load the clips and fill in the prompts that a classification config names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts.ontology import Ontology
from audioprobe.datasets.leakage import refuse_leaks
from audioprobe.errors import InvalidInputError, did_you_mean, located
from audioprobe.experiments.classification.config import (
    ClassificationConfig,
    EvaluationSet,
    PromptSpec,
)
from audioprobe.experiments.components import EvaluationClips, find_table, load_dataset
from audioprobe.io.tables import read_rows
from audioprobe.prompts.levels import PromptLevel, shipped_templates
from audioprobe.prompts.template import PromptTemplate, read_templates
from audioprobe.protocols import Dataset
from audioprobe.results import ClassificationResult
from audioprobe.texts import nfc
from audioprobe.types import Example

DESCRIPTIONS = Path(__file__).parent / "descriptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClips(EvaluationClips):
    """Clips of an evaluation set with the labels to score.

    Attributes:
        dataset: data set that contains the clips.
        labels: class names.
    """

    dataset: Dataset
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptQuestion:
    """Question of a prompt level, with the labels of one evaluation set filled in.

    Attributes:
        name: name of the prompt level.
        text: text of the question.
        examples: in-context examples, which precede the question.
    """

    name: str
    text: str
    examples: tuple[Example, ...]

    @property
    def n_characters(self) -> int:
        """Number of characters in one prompt, including examples."""
        return len(self.text) + sum(len(e.question) + len(e.answer) for e in self.examples)


def load_clips(config: EvaluationSet) -> LabelledClips:
    """Load the clips of an evaluation set.

    Raises:
        InvalidInputError: if there are no clips, the data set does not have a label of the config,
            or no clip has one of the labels.
    """
    with located(f"{config.name}: dataset"):
        dataset = load_dataset(config.dataset, config.mapping)
    clips = tuple(dataset.clips(config.split))
    clips = clips[: config.max_clips] if config.max_clips else clips
    if not clips:
        raise InvalidInputError(
            f"{config.name}: expected clips in the split {config.split!r}, found none. Choose "
            "another split."
        )
    present = {label for clip in clips for label in clip.labels or ()}
    requested = tuple(map(nfc, config.labels))
    unknown = [label for label in requested if label not in dataset.labels]
    if unknown:
        raise InvalidInputError(
            f"{config.name}: the data set has no label {unknown[0]!r}."
            f"{did_you_mean(unknown[0], dataset.labels)}"
        )
    labels = requested or tuple(label for label in dataset.labels if label in present)
    if not present & set(labels):
        raise InvalidInputError(
            f"{config.name}: no clip has one of the labels {', '.join(labels[:5]) or '(none)'}. "
            f"The clips have {', '.join(sorted(present)[:5]) or 'none'}. Set labels or mapping."
        )
    return LabelledClips(
        name=config.name,
        clips=clips,
        info=dataset.info,
        familiar=config.familiar,
        allow_training_clips=config.allow_training_clips,
        dataset=dataset,
        labels=labels,
    )


def refuse_leaking(config: ClassificationConfig, sets: Sequence[LabelledClips]) -> None:
    """Raise if an evaluated split shares a group or recording with an example or tuning split.

    In-context examples come from the example splits; F1 thresholds are tuned on the tuning splits.

    Args:
        config: configuration of the run.
        sets: clips of the evaluation sets, in the order of the config.

    Raises:
        InvalidInputError: if splits share a group or a recording; the message names the splits and
            the groups or clips.
    """
    example_splits = {level.examples_split for level in config.prompt_levels if level.examples}
    by_name = {each.name: each for each in config.evaluation_sets}
    for each, clips in zip(config.evaluation_sets, sets, strict=True):
        others = set(example_splits)
        tuned_on = by_name.get(each.thresholds_from)
        if tuned_on is not None and tuned_on.dataset == each.dataset:
            others.add(tuned_on.split)
        if others - {each.split}:
            refuse_leaks(clips.dataset, sorted({each.split, *others}))


def refuse_changed(
    result: ClassificationResult, clips: LabelledClips, question: PromptQuestion
) -> None:
    """Raise `InvalidInputError` if a stored result does not match the config any more.

    Its clip ids, labels and question must equal those that the config gives now.
    """
    clip_ids = {*result.clip_ids, *(failure.clip_id for failure in result.failures)}
    stored = clip_ids, result.labels, result.provenance.options.get("question")
    current = {clip.id for clip in clips.clips}, clips.labels, question.text
    parts = zip(("clips", "labels", "question"), stored, current, strict=True)
    if changed := [name for name, before, after in parts if before != after]:
        raise InvalidInputError(
            f"The {' and '.join(changed)} changed since the run was made. Restore the data set and "
            "the files that the config names, or repeat the run in another folder."
        )


def read_prompts(config: ClassificationConfig) -> dict[str, PromptTemplate]:
    """Return the prompt templates by name, from the config's prompt file if it names one.

    Otherwise, they are the templates that are installed with audioprobe.
    """
    return read_templates(config.prompt_file) if config.prompt_file else shipped_templates()


def prompt_level(spec: PromptSpec, prompts: dict[str, PromptTemplate]) -> PromptLevel:
    """Return the prompt level that a config entry describes.

    Raises:
        InvalidInputError: if the prompt is unknown, or if the control condition needs label
            descriptions or examples that this prompt level does not have.
    """
    if spec.prompt not in prompts:
        raise InvalidInputError(
            f"Unknown prompt {spec.prompt!r}; known prompts: {', '.join(prompts)}."
        )
    return PromptLevel(prompts[spec.prompt], spec.control, spec.examples, spec.audio_examples)


def fill_prompt(
    spec: PromptSpec, level: PromptLevel, clips: LabelledClips, seed: int
) -> PromptQuestion:
    """Insert the labels of an evaluation set into a prompt, and draw its in-context examples.

    Raises:
        InvalidInputError: if descriptions of labels are missing, or the split for the examples has
            too few clips.
    """
    text = level.question(
        clips.labels,
        _descriptions(spec.descriptions),
        _descriptions(spec.absent),
        seed=seed,
    )
    if not spec.examples:
        return PromptQuestion(level.name, text, ())
    candidates = clips.dataset.clips(spec.examples_split)
    labels = [
        tuple(label for label in clips.labels if label in (clip.labels or ()))
        for clip in candidates
    ]
    examples = tuple(
        replace(example, audio=read_waveform(candidates[n])) if spec.audio_examples else example
        for n, example in level.examples(labels, text, seed=seed)
    )
    return PromptQuestion(level.name, text, examples)


def _descriptions(path: str) -> dict[str, str]:
    """Read descriptions, keyed by label, from a table or AudioSet's ontology; {} if path is ""."""
    if not path:
        return {}
    if path.endswith(".json"):
        return {node.name: node.description for node in Ontology.from_json(path)}
    rows = read_rows(find_table(path, DESCRIPTIONS), ("label", "description"))
    return {row["label"]: row["description"] for row in rows}
