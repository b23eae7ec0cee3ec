"""Configuration of a probing experiment (TOML)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audioprobe.audio.windowing import Windowing
from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import FIRST_SECONDS, checked_windowing
from audioprobe.probing.relations.concept_set import Negatives, RelationKind
from audioprobe.probing.trial import Condition, Form
from audioprobe.probing.wordings import PromptingOptions

TEXT_ONLY = "text-only"
"""Name in the results instead of an evaluation set, for a model that is asked in text only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvaluationSet:
    """Clips whose labels or file names are names of concepts.

    Attributes:
        name: name of the evaluation set in the results, unique in the run.
        dataset: data set that the clips come from; None if `folder` is given.
        split: split of the data set.
        mapping: table that renames labels of the data set to concepts or classes (columns label
            and name): a path, or the name of a shipped table. Labels that are not in the table are
            ignored. "" means that labels are not renamed.
        folder: folder of audio files named after their concept, instead of a data set.
        max_clips: number of clips from the beginning of the split; 0 means all.
        familiar: whether the models were trained on such audio; None if unknown.
        allow_training_clips: whether the run continues if `familiar` is false but a model was
            trained on some of the clips; otherwise this is an error.
    """

    name: str
    dataset: ComponentSpec | None = None
    split: str = "all"
    mapping: str = ""
    folder: str = ""
    max_clips: int = 0
    familiar: bool | None = None
    allow_training_clips: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model of a run, and how it is asked.

    Attributes:
        name: name of the model in the results, unique in the run.
        model: name and options of the language model.
        evaluation_sets: names of the evaluation sets that the model is asked about; () means all.
        conditions: conditions of the questions, such as "text" and "audio" (see `Condition`); ()
            means all conditions that are possible, except "window" and "conflicting text".
        prompting: settings of the prompts, such as the number of samples per question.
    """

    name: str
    model: ComponentSpec
    evaluation_sets: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    prompting: PromptingOptions = field(default_factory=PromptingOptions)


@dataclass(frozen=True, slots=True)
class ConceptSpec:
    """Source of the concepts of a run; see `probing.relations`.

    Attributes:
        source: "shipped"; "file" (a concept file); "table" (of concepts and classes); "wordnet"
            (WordNet's noun files); "wn" (a lexicon of the package wn); "audioset" (AudioSet's
            ontology.json); "edansa" (labels of EDANSA).
        path: path of the file or folder, or the name and version of the lexicon.
        words: words of the concepts, for "wordnet" and "wn".
        edges: for "audioset", path of a table with the kind of each edge of the ontology; "" uses
            the shipped table.
        only: ids of the concepts to use; () means all concepts.
    """

    source: Literal["shipped", "file", "table", "wordnet", "wn", "audioset", "edansa"] = "shipped"
    path: str = ""
    words: tuple[str, ...] = ()
    edges: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """A probing experiment: every model is asked about each of its evaluation sets.

    Attributes:
        kind: "probe".
        models: language models; the first model is the baseline of comparisons.
        evaluation_sets: evaluation sets; () means that models are asked in text only.
        pairs: what questions ask for: "hypernym" (classes), "synonym" (other names).
        concepts: source of the concepts; if there are evaluation sets, only concepts that have
            clips are used.
        spoken: "espeak-ng" (speech synthesis), or a folder of recordings of the words; "" omits the
            condition "spoken word".
        forms: forms of the questions: "yes-no", "negated", "choice", "reversed".
        negatives: how false pairs of concept and class are drawn; see `balanced_pairs`.
        n_clips: maximum number of clips per concept; 0 means all.
        n_orders: number of orders in which the options of a choice question are presented.
        n_windows: number of windows of a clip under the condition "window".
        windowing: how clips are read; the length is "crop" (default: the first 10 s), "pad" or
            "whole".
        judge: language model that also classifies free-text responses; None means that only the
            rule-based parser does.
        cache: path of a response cache that several runs can share; "" means no cache.
        bootstrap: how confidence intervals are computed; concepts are resampled.
        seed: random seed of false pairs, wrong clips, option orders and noise.
    """

    kind: Literal["probe"]
    models: tuple[ModelSpec, ...]
    evaluation_sets: tuple[ProbeEvaluationSet, ...] = ()
    pairs: tuple[RelationKind, ...] = ("hypernym",)
    concepts: ConceptSpec = field(default_factory=ConceptSpec)
    spoken: str = ""
    forms: tuple[Form, ...] = ("yes-no",)
    negatives: tuple[Negatives, ...] = ("random",)
    n_clips: int = 2
    n_orders: int = 1
    n_windows: int = 4
    windowing: Windowing = FIRST_SECONDS
    judge: ComponentSpec | None = None
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.models:
            raise InvalidInputError("Expected at least one model in `models`, received none.")
        checked_windowing(self.windowing)
        check_names("models", [model.name for model in self.models])
        names = [each.name for each in self.evaluation_sets]
        check_names("evaluation sets", names)
        for each in self.evaluation_sets:
            if (each.dataset is None) == (not each.folder):
                raise InvalidInputError(
                    f"{each.name}: expected `dataset` or `folder`, received "
                    f"{'both. Remove one of them.' if each.folder else 'neither. Add one of them.'}"
                )
            if each.mapping and each.folder:
                raise InvalidInputError(
                    f"{each.name}: expected a data set for `mapping`, received a folder. Remove "
                    "`mapping`."
                )
        for model in self.models:
            for name in model.evaluation_sets:
                if name not in names:
                    raise InvalidInputError(
                        f"{model.name}: expected evaluation sets of the run "
                        f"({', '.join(names)}), received {name!r}.{did_you_mean(name, names)}"
                    )


def read_probe(name: str | Path) -> ProbeConfig:
    """Read a configuration from a path, or by the name of a shipped one.

    Raises:
        InvalidInputError: see `read_config`.
    """
    return read_config(ProbeConfig, find_config(name, SHIPPED_CONFIGS))
