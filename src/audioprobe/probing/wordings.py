"""Read the wordings (texts) of the questions from data files with a name and a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import find_config, read_config
from audioprobe.probing.pairs import RelationKind
from audioprobe.prompts.template import PromptTemplate

Form: TypeAlias = Literal["yes-no", "negated", "choice"]
"""Form of a question: "Is a crow a bird?", its negation, or a choice of several phrases."""
FORMS: tuple[Form, ...] = get_args(Form)

SHIPPED = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Paraphrases of the questions about one relation, as templates by form and modality.

    Attributes:
        text: yes/no questions in text, with {concept} and {target}.
        audio: yes/no questions about audio, with {target}.
        negated_text: negated questions in text: "yes" means that the target is false.
        negated_audio: negated questions about audio.
        choice_text: choice questions in text, with {concept} and {options}.
        choice_audio: choice questions about audio, with {options}.

    Raises:
        InvalidInputError: if a placeholder is missing or unknown, or if a form has questions in
            both modalities, but not the same number.
    """

    text: tuple[str, ...]
    audio: tuple[str, ...]
    negated_text: tuple[str, ...] = ()
    negated_audio: tuple[str, ...] = ()
    choice_text: tuple[str, ...] = ()
    choice_audio: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for form in FORMS:
            text, audio = self.of(form)
            slot = "options" if form == "choice" else "target"
            for template in text:
                _check_places(template, {"concept", slot})
            for template in audio:
                _check_places(template, {slot})
            if text and len(text) != len(audio):
                raise InvalidInputError(
                    f"Expected as many {form} questions in text as about audio, got {len(text)} in "
                    f"text and {len(audio)} about audio."
                )

    def of(self, form: Form) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the templates of a form in text, and its templates about audio."""
        return {
            "yes-no": (self.text, self.audio),
            "negated": (self.negated_text, self.negated_audio),
            "choice": (self.choice_text, self.choice_audio),
        }[form]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """A set of wordings: all texts of the questions of a probe.

    Attributes:
        name: name of the set.
        version: version of the set, which changes when any text changes.
        hypernym: questions for a class.
        synonym: questions for a synonym.
        identity: questions for the concept itself, about audio only.
        caption: prompt with a caption instead of audio, with {caption} and {question}.
        spoken: phrase for the concept in a question about its spoken word.
        instruction: text that is appended to yes/no questions.

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
        _check_places(self.caption, {"caption", "question"})

    def of(self, relation: RelationKind) -> Wording:
        """Return the wording of a relation."""
        wordings: dict[RelationKind, Wording] = {
            "hypernym": self.hypernym, "synonym": self.synonym, "identity": self.identity
        }  # fmt: skip
        return wordings[relation]


def read_wordings(name: str | Path = "plain") -> Wordings:
    """Read a set of wordings from a file, or by its name ("plain", "instructed").

    Raises:
        InvalidInputError: if there is no such file, a key is unknown, or a template is invalid.
    """
    return read_config(Wordings, find_config(name, SHIPPED))


def join_options(options: Sequence[str]) -> str:
    """Join options as they are listed in a question: "a bird, a frog or rain"."""
    return " or ".join([", ".join(options[:-1]), options[-1]]) if options[1:] else options[0]


def _check_places(text: str, expected: set[str]) -> None:
    places = set(PromptTemplate("wording", 1, text).placeholders)
    if places != expected:
        raise InvalidInputError(
            f"{text!r}: expected exactly the placeholders {', '.join(sorted(expected))}, got "
            f"{', '.join(sorted(places)) or 'none'}."
        )
