"""How questions are worded: data files with a name and a version, rendered strictly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import find_config, read_config
from audioprobe.probing.pairs import RelationKind
from audioprobe.prompts.template import Template

Form: TypeAlias = Literal["yes-no", "negated", "choice"]
FORMS: tuple[Form, ...] = get_args(Form)

SHIPPED = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Wording:
    """The paraphrases of one relation, by form; the same number of the word and of the sound.

    Attributes:
        text: of yes or no, about the word: with {concept} and {target}.
        sound: the same about a sound, with {target} alone.
        negated_text: the same, where "yes" says that it does not hold.
        negated_sound: the same of a sound.
        choice_text: with {concept} and {options}.
        choice_sound: with {options} alone.

    Raises:
        InvalidInputError: if a placeholder is missing or unknown, or text and sound differ in
            number where both are there.
    """

    text: tuple[str, ...]
    sound: tuple[str, ...]
    negated_text: tuple[str, ...] = ()
    negated_sound: tuple[str, ...] = ()
    choice_text: tuple[str, ...] = ()
    choice_sound: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for form in FORMS:
            asked, slot = self.of(form), "options" if form == "choice" else "target"
            for template in asked[0]:
                _check(template, {"concept", slot})
            for template in asked[1]:
                _check(template, {slot})
            if asked[0] and len(asked[0]) != len(asked[1]):
                raise InvalidInputError(
                    f"A wording needs as many questions of the word as of the sound, got "
                    f"{len(asked[0])} and {len(asked[1])} ({form})."
                )

    def of(self, form: Form) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Templates about the word, and about the sound."""
        return {
            "yes-no": (self.text, self.sound),
            "negated": (self.negated_text, self.negated_sound),
            "choice": (self.choice_text, self.choice_sound),
        }[form]


@dataclass(frozen=True, slots=True)
class Wordings:
    """All that is said to a model.

    Attributes:
        name: of the set.
        version: changes with any text.
        hypernym: asks for a class.
        synonym: asks for a name.
        identity: asks for the concept, of a sound alone.
        caption: how a caption takes the place of a sound: with {caption} and {question}.
        spoken: what stands for the concept where its word is heard.
        instruction: ends questions of yes or no.

    Raises:
        InvalidInputError: if a placeholder of `caption` is missing or unknown.
    """

    name: str
    version: str
    hypernym: Wording
    synonym: Wording
    identity: Wording
    caption: str
    spoken: str
    instruction: str = ""

    def __post_init__(self) -> None:
        _check(self.caption, {"caption", "question"})

    def of(self, relation: RelationKind) -> Wording:
        """The wording of a relation."""
        return {"hypernym": self.hypernym, "synonym": self.synonym, "identity": self.identity}[
            relation
        ]


def read_wordings(name: str | Path = "plain") -> Wordings:
    """A file of wordings, by its path or the name of one that ships ("plain", "instructed").

    Raises:
        InvalidInputError: if there is none, a key is unknown, or a template is not as it must be.
    """
    return read_config(Wordings, find_config(name, SHIPPED))


def listed(options: Sequence[str]) -> str:
    """Options as they are offered: "a bird, a frog or rain"."""
    return " or ".join([", ".join(options[:-1]), options[-1]]) if options[1:] else options[0]


def _check(text: str, wanted: set[str]) -> None:
    places = set(Template("wording", 1, text).places)
    if places != wanted:
        raise InvalidInputError(
            f"{text!r} needs the places {', '.join(sorted(wanted))}, and no other; got "
            f"{', '.join(sorted(places)) or 'none'}."
        )
