"""Public objects have a `repr` of one line, which a component makes from its `info`."""

import re
from collections.abc import Callable
from importlib import import_module
from inspect import isabstract, isclass
from pathlib import Path
from pkgutil import walk_packages

import pytest

import audioprobe
from audioprobe import (
    CachedModel,
    CaptionClassifier,
    Cascade,
    ComponentInfo,
    ConceptProbe,
    Concepts,
    KeywordScorer,
    LikelihoodClassifier,
    Recordings,
    Scripted,
    Synthetic,
    ToolAgent,
    ZeroShotClassifier,
)
from audioprobe.probing import from_concepts
from audioprobe.types import InfoRepr

MODEL = Scripted("A crow.", name="crow")
OBJECTS: dict[str, Callable[[Path], object]] = {
    "model": lambda _: MODEL,
    "cached model": lambda folder: CachedModel(MODEL, folder / "cache.sqlite"),
    "cascade": lambda _: Cascade(MODEL, MODEL),
    "agent": lambda _: ToolAgent(MODEL, [MODEL]),
    "captions, by name": lambda _: CaptionClassifier("ltu:mini"),
    "captions": lambda _: CaptionClassifier(MODEL, KeywordScorer()),
    "likelihoods": lambda _: LikelihoodClassifier(MODEL),
    "zero-shot": lambda _: ZeroShotClassifier("clap"),
    "probe": lambda _: ConceptProbe(MODEL, conditions=("text", "audio")),
    "concepts": lambda _: Concepts.shipped(),
    "concept set": lambda _: from_concepts(),
    "scorer": lambda _: KeywordScorer(),
    "recordings": lambda _: Recordings(),
    "synthetic": lambda _: Synthetic(n_clips=3),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_repr_is_one_line_without_an_address(name: str, tmp_path: Path) -> None:
    shown = repr(OBJECTS[name](tmp_path))
    assert "\n" not in shown
    assert len(shown) < 400
    assert not re.search(r"object at 0x[0-9a-f]", shown)


def test_every_component_of_the_library_shows_its_info() -> None:
    modules = [m.name for m in walk_packages(audioprobe.__path__, "audioprobe.")]
    classes = {
        value
        for module in modules
        if not module.endswith("__main__")
        for value in vars(import_module(module)).values()
        if isclass(value) and value.__module__ == module
    }
    components = {c for c in classes if isinstance(vars(c).get("info"), property)}
    concrete = {
        c for c in components if not isabstract(c) and not getattr(c, "_is_protocol", False)
    }
    assert len(concrete) > 20
    assert {c for c in concrete if not issubclass(c, InfoRepr)} == set()


def test_text_of_an_info_has_what_distinguishes_two_components() -> None:
    part = ComponentInfo("encoder", "YAMNet", "feed")
    info = ComponentInfo("language_model", "mini", "0123456789abcdef", {"hop": 0.48}, {"e": part})
    assert str(info) == "'mini', revision='0123456789ab', hop=0.48, e='YAMNet'"


def test_text_of_an_info_is_short_and_free_of_control_characters() -> None:
    info = ComponentInfo("language_model", "\x1b[31mred\n", "", {f"o{n}": n for n in range(100)})
    assert len(str(info)) <= 160
    assert str(info).isprintable()
