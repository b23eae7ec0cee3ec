"""What a run of concept probes depends on, as one file of TOML."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.experiments.classification.config import SHIPPED, ComponentSpec, refuse_bad_names
from audioprobe.io.config import find_config, read_config
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.pairs import Negatives, RelationKind
from audioprobe.probing.prompting import PromptingOptions
from audioprobe.probing.questions import Condition
from audioprobe.probing.wordings import Form

WORDS = "words"
"""Name of the results of a run that plays nothing."""


@dataclass(frozen=True, slots=True)
class AudioSetSpec:
    """Sounds of concepts.

    Attributes:
        name: of the results, unique in the run.
        dataset: where the clips come from; None takes the folder.
        split: of the data set.
        mapping: a table with the columns label (of the data set) and name (of a concept or class),
            by its path or the name of one that ships; a label that is not in it is passed over. ""
            keeps the labels as they are.
        folder: of sounds named after what is heard in them, instead of a data set.
        most: clips to take, the first ones; 0 takes all.
        familiar: whether the models learned from such sound; None where nobody knows.
        allow_training_clips: go on where `familiar` is false and a model was trained on some of the
            very clips; otherwise that is an error.
    """

    name: str
    dataset: ComponentSpec | None = None
    split: str = "all"
    mapping: str = ""
    folder: str = ""
    most: int = 0
    familiar: bool | None = None
    allow_training_clips: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that is asked.

    Attributes:
        name: of the results, unique in the run.
        model: by its name.
        sounds: names of the sounds that it is asked about; empty takes all.
        conditions: as in `ConceptProbe`; empty takes all that can be.
        options: how it is asked.
    """

    name: str
    model: ComponentSpec
    sounds: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    options: PromptingOptions = field(default_factory=PromptingOptions)


@dataclass(frozen=True, slots=True)
class ConceptSpec:
    """Where concepts and relations come from; see `probes.relations`.

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


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """A run of concept probes: every listener asked about all its sounds.

    Attributes:
        kind: "probe".
        listeners: who is asked; comparisons are with the first.
        sounds: what is played; without any, models are asked in words alone.
        pairs: what is asked for.
        concepts: what is asked about, of which only those with sounds are taken.
        spoken: "espeak-ng", or a folder of recordings of the words; "" has none spoken.
        forms: how it is asked.
        negatives: how wrong pairs are drawn.
        n_clips: of a concept at most; 0 takes all.
        n_orders: of the options of a choice.
        judge: a language model that reads free answers too; None leaves them to the rules.
        cache: a store that runs share, so that no prompt is ever answered twice; "" has none.
        bootstrap: how intervals are computed; concepts are resampled.
        seed: of wrong pairs, wrong clips, orders and noise.
    """

    kind: Literal["probe"]
    listeners: tuple[ModelSpec, ...]
    sounds: tuple[AudioSetSpec, ...] = ()
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
        if not self.listeners:
            raise InvalidInputError("A run of concept probes needs at least one listener.")
        refuse_bad_names("listeners", [listener.name for listener in self.listeners])
        names = [played.name for played in self.sounds]
        refuse_bad_names("sounds", names)
        for played in self.sounds:
            if (played.dataset is None) == (not played.folder):
                raise InvalidInputError(
                    f"{played.name}: expected either a data set or a folder of sounds."
                )
            if played.mapping and played.folder:
                raise InvalidInputError(
                    f"{played.name}: a mapping renames labels of a data set, and a folder has none."
                )
        for listener in self.listeners:
            for name in listener.sounds:
                if name not in names:
                    raise InvalidInputError(
                        f"{listener.name}: the run has no sounds {name!r}."
                        f"{did_you_mean(name, names)}"
                    )


def read_probe(name: str | Path) -> ProbeConfig:
    """Read a configuration, by its path or the name of one that ships.

    Raises:
        InvalidInputError: as `configs.read_config`.
    """
    return read_config(ProbeConfig, find_config(name, SHIPPED))
