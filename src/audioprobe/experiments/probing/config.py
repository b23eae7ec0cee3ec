"""Configuration of a probing experiment (TOML)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.components import SHIPPED_CONFIGS, ComponentSpec, check_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.pairs import Negatives, RelationKind
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.questions import Condition
from audioprobe.probing.wordings import Form

TEXT_ONLY = "text-only"
"""Name of the results of a model that is asked without any evaluation set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEvaluationSet:
    """Clips of concepts.

    Attributes:
        name: of the results, unique in the run.
        dataset: where the clips come from; None takes the folder.
        split: of the data set.
        mapping: a table from labels of the data set to concepts or classes (columns label and
            name): its path, or the name of one that ships; labels that are not in it are ignored.
            "" keeps the labels.
        folder: of audio files named after their concept, instead of a data set.
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
    """A model and how it is asked.

    Attributes:
        name: of the results, unique in the run.
        model: the language model.
        evaluation_sets: names of those that it is asked about; empty takes all.
        conditions: as in `ConceptProbe`; empty takes all that are possible.
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
        path: of the file or folder, or the name and version of the lexicon.
        words: for "wordnet" and "wn".
        edges: kinds of the ontology's edges; "" takes those that ship.
        only: ids of concepts to take; empty takes all.
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
        models: the language models; the first is the baseline of comparisons.
        evaluation_sets: the clips; without any, models are asked in the text condition only.
        pairs: relations that are asked about.
        concepts: their source; only concepts with clips are taken.
        spoken: "espeak-ng", or a folder of recordings of the words; "" omits that condition.
        forms: of the questions.
        negatives: how wrong pairs are drawn.
        n_clips: clips of a concept at most; 0 takes all.
        n_orders: orders of the options of a choice.
        judge: a language model that also classifies free answers; None uses the parsers alone.
        cache: path of a response cache that runs can share; "" uses none.
        bootstrap: how intervals are computed; concepts are resampled.
        seed: of wrong pairs, wrong clips, orders and noise.
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
                    f"{each.name}: expected either a data set or a folder of audio files."
                )
            if each.mapping and each.folder:
                raise InvalidInputError(
                    f"{each.name}: a mapping renames labels of a data set; a folder has none. "
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
    """Read a configuration by its path, or by the name of one that ships.

    Raises:
        InvalidInputError: as `read_config`.
    """
    return read_config(ProbeConfig, find_config(name, SHIPPED_CONFIGS))
