"""Configuration of a probing experiment (TOML)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.relations.concept_set import Negatives, RelationKind
from audioprobe.probing.trial import Condition, Form
from audioprobe.probing.wordings import PromptingOptions

TEXT_ONLY = "text-only"
"""Name in the results for a model that is asked without any evaluation set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvaluationSet:
    """Clips whose labels are concepts.

    Attributes:
        name: name of the evaluation set in the results, unique in the run.
        dataset: data set that the clips come from; None if `folder` is given.
        split: split of the data set.
        mapping: table from labels of the data set to concepts or classes (columns label and name):
            a path, or the name of a shipped table; labels that are not in the table are ignored. ""
            keeps the labels.
        folder: folder of audio files named after their concept, instead of a data set.
        max_clips: number of clips to take from the beginning of the split; 0 takes all.
        familiar: whether the models were trained on such audio; None if unknown.
        allow_training_clips: continue if `familiar` is false and a model was trained on some of
            these clips; otherwise that is an error.
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
    """A model and how questions are put to it.

    Attributes:
        name: name of the model in the results, unique in the run.
        model: name and options of the language model.
        evaluation_sets: names of the evaluation sets that the model is asked about; if empty, all.
        conditions: conditions of the questions, see `ConceptProbe`; if empty, all that are
            possible.
        prompting: options of prompts and decoding.
    """

    name: str
    model: ComponentSpec
    evaluation_sets: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    prompting: PromptingOptions = field(default_factory=PromptingOptions)


@dataclass(frozen=True, slots=True)
class ConceptSpec:
    """Source of concepts and relations; see `probing.relations`.

    Attributes:
        source: "shipped"; "file" (of concepts); "table"; "wordnet" (its noun files); "wn" (a
            lexicon); "audioset" (its ontology.json); "edansa".
        path: path of the file or folder, or the name and version of the lexicon.
        words: words of the concepts, for "wordnet" and "wn".
        edges: path of a table with the kinds of the ontology's edges; "" uses the shipped table.
        only: ids of the concepts to use; if empty, all concepts.
    """

    source: Literal["shipped", "file", "table", "wordnet", "wn", "audioset", "edansa"] = "shipped"
    path: str = ""
    words: tuple[str, ...] = ()
    edges: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """A probing experiment: every model on its evaluation sets.

    Attributes:
        kind: "probe".
        models: language models; the first one is the baseline of comparisons.
        evaluation_sets: evaluation sets; if there are none, models are asked in the text condition
            only.
        pairs: relations that are asked about.
        concepts: source of the concepts; only concepts that have clips are used.
        spoken: "espeak-ng" (speech synthesis), or a folder of recordings of the words; "" omits the
            condition with spoken words.
        forms: forms of the questions.
        negatives: how wrong pairs are drawn.
        n_clips: maximum number of clips per concept; 0 uses all.
        n_orders: number of orders in which the options of a multiple-choice question are shown.
        judge: language model that also classifies free answers; None uses the parsers alone.
        cache: path of a response cache that several runs can share; "" uses no cache.
        bootstrap: options of the bootstrap, which resamples concepts.
        seed: random seed of wrong pairs, wrong clips, orders and noise.
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
    judge: ComponentSpec | None = None
    cache: str = ""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.models:
            raise InvalidInputError("A probing run needs at least one model; received none.")
        check_names("models", [model.name for model in self.models])
        names = [each.name for each in self.evaluation_sets]
        check_names("evaluation sets", names)
        for each in self.evaluation_sets:
            if (each.dataset is None) == (not each.folder):
                raise InvalidInputError(
                    f"{each.name}: expected either a data set or a folder of audio files, "
                    f"received {'both' if each.folder else 'neither'}."
                )
            if each.mapping and each.folder:
                raise InvalidInputError(
                    f"{each.name}: a mapping needs a data set with labels, received a folder. "
                    "Remove the mapping."
                )
        for model in self.models:
            for name in model.evaluation_sets:
                if name not in names:
                    raise InvalidInputError(
                        f"{model.name}: the run has no evaluation set {name!r}."
                        f"{did_you_mean(name, names)}"
                    )


def read_probe(name: str | Path) -> ProbeConfig:
    """Read a configuration from a path, or by the name of a shipped one.

    Raises:
        InvalidInputError: see `read_config`.
    """
    return read_config(ProbeConfig, find_config(name, SHIPPED_CONFIGS))
