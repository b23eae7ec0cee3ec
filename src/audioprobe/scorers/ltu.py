"""Text rules of LTU's own evaluation scripts, to reproduce its published results.

Ten scripts (`eval_esc.py`, `eval_as.py`, ...) of the LTU repository, commit 2002aad, differ in how
they cut captions and format labels. In this module, a recipe is the set of rules of one script:

- esc: the text before the *last* colon is removed: "Speech: a man speaks" loses "Speech".
- as, fsd50k, vggsound: the text up to the words "Audio caption" and two more characters are
  removed. If these words are missing, the first two *letters* are removed ("Sneezing" becomes
  "eezing").
- bj, dcase, tut, vs: the text up to the last colon and one more character are removed. If there is
  no colon, only the first character is removed.
- Quotation marks are removed in some scripts only; the full stop is always embedded.
- The mode "max" starts from zero, so negative cosines become 0 and are equal. This occurs with
  local models, but not with text-embedding-ada-002, whose cosines are positive.
- For an empty caption, only the prefix "sound of " is embedded.
"""

from collections.abc import Callable
from dataclasses import dataclass

PREFIX = "sound of "


@dataclass(frozen=True, slots=True)
class LTURecipe:
    """Text rules of one evaluation script of LTU.

    Attributes:
        caption_text: function from the model's output to the text that is embedded.
        label_text: function from a class name, as spelled in the script, to the embedded text.
        truth: function from a reference answer to its class names.
        clips_negatives: whether negative scores become 0 (mode "max" of the script).
    """

    caption_text: Callable[[str], str]
    label_text: Callable[[str], str]
    truth: Callable[[str], tuple[str, ...]]
    clips_negatives: bool


def _after_last_colon(text: str) -> str:
    return text.rsplit(":", maxsplit=1)[-1].lstrip()


def _caption_after_colon(caption: str) -> str:
    return PREFIX + _after_last_colon(caption).lower()


def _caption_after_colon_and_character(caption: str) -> str:
    return PREFIX + caption.rsplit(":", maxsplit=1)[-1][1:].lower()


def _caption_after_marker(caption: str) -> str:
    return PREFIX + caption.replace('"', "").split("Audio caption")[-1][2:].lower()


def _label(underscore: str) -> Callable[[str], str]:
    return lambda label: PREFIX + label.replace("_", underscore).lower()


def _one_class(removed: str = "", underscore: str = "_") -> Callable[[str], tuple[str, ...]]:
    """Return a function that extracts the class name from a reference answer with one class."""
    table = str.maketrans({**dict.fromkeys(removed, ""), "_": underscore})
    return lambda reference: (_after_last_colon(reference).translate(table),)


def _lower_class(reference: str) -> tuple[str, ...]:
    return (reference.rsplit(": ", maxsplit=1)[-1].lower(),)


def _several_classes(reference: str) -> tuple[str, ...]:
    return tuple(reference.rsplit(": ", maxsplit=1)[-1].split("; "))


_KEEP, _SPACE, _COMMA = _label("_"), _label(" "), _label(", ")
_COLON, _COLON_1, _MARKER = (
    _caption_after_colon,
    _caption_after_colon_and_character,
    _caption_after_marker,
)

RECIPES = {
    "esc": LTURecipe(_COLON, _SPACE, _one_class(), clips_negatives=False),
    "as": LTURecipe(_MARKER, _KEEP, _several_classes, clips_negatives=False),
    "fsd50k": LTURecipe(_MARKER, _SPACE, _several_classes, clips_negatives=False),
    "vggsound": LTURecipe(_MARKER, _COMMA, _lower_class, clips_negatives=True),
    "vs": LTURecipe(_COLON_1, _KEEP, _one_class(), clips_negatives=True),
    "bj": LTURecipe(_COLON_1, _KEEP, _one_class(",\N{SOFT HYPHEN}"), clips_negatives=True),
    "tut": LTURecipe(_COLON_1, _KEEP, _one_class(underscore=" "), clips_negatives=True),
    "dcase": LTURecipe(_COLON_1, _KEEP, _one_class(","), clips_negatives=True),
}
"""Recipes by data set: ESC-50, AudioSet, FSD50K, VGGSound, VocalSound, Beijing Opera, TUT 2017 and
DCASE 2017."""
