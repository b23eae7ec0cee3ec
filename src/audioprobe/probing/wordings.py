"""Texts of the questions of a probe, read from a file, and settings of the prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import find_config, read_config
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.trial import FORMS, YES_NO, Form
from audioprobe.prompts.template import PromptTemplate
from audioprobe.responses import Decoding

SHIPPED = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Templates of the questions about one relation; each tuple has one template per paraphrase.

    A target is the class or name that a question asks about.

    Attributes:
        text: yes/no questions in text, with {concept} and {target}.
        audio: yes/no questions about audio, with {target}.
        negated_text: negated questions in text: the answer "yes" means that the target is false.
        negated_audio: negated questions about audio.
        choice_text: choice questions in text, with {concept} and {options}.
        choice_audio: choice questions about audio, with {options}.

    Raises:
        InvalidInputError: if a placeholder is missing or unknown, or if a form has templates for
            text and for audio, but not equally many.
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
                _check_placeholders(template, {"concept", slot})
            for template in audio:
                _check_placeholders(template, {slot})
            if text and len(text) != len(audio):
                raise InvalidInputError(
                    f"Expected as many {form} questions in text as about audio, got {len(text)} in "
                    f"text and {len(audio)} about audio."
                )

    def of(self, form: Form) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return two tuples: the templates of a form for text, and those for audio.

        A reversed question has the templates of "yes-no"; its two names are exchanged.
        """
        return {
            "yes-no": (self.text, self.audio),
            "reversed": (self.text, self.audio),
            "negated": (self.negated_text, self.negated_audio),
            "choice": (self.choice_text, self.choice_audio),
        }[form]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """All texts of the questions of a probe.

    Attributes:
        name: name of this set of texts.
        version: version of this set, which changes when any text changes.
        hypernym: questions that ask for a class.
        synonym: questions that ask for another name.
        identity: questions that ask for the concept itself, about audio only.
        caption: prompt with a caption instead of audio, with {caption} and {question}.
        spoken: phrase for the concept in a question about its spoken word.
        instruction: text that is appended to yes/no questions.
        conflict: question about a clip, after a sentence that names another concept; with {concept}
            and {question}.

    Raises:
        InvalidInputError: if a placeholder of `caption` or `conflict` is missing or unknown.
    """

    name: str
    version: str
    hypernym: Wording
    synonym: Wording
    identity: Wording
    caption: str
    spoken: str
    instruction: str = ""
    conflict: str = "This is a recording of {concept}. {question}"

    def __post_init__(self) -> None:
        _check_placeholders(self.caption, {"caption", "question"})
        _check_placeholders(self.conflict, {"concept", "question"})

    def of(self, relation: RelationKind) -> Wording:
        """Return the templates of the questions about a relation."""
        wording: Wording = getattr(self, relation)
        return wording


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptingOptions:
    """Settings of the prompts; the defaults are for the small LTU.

    Attributes:
        wordings: name of the texts of the questions ("plain", "instructed"), or path of a file.
        free_text: whether to generate free-text responses.
        likelihoods: whether to compute the likelihood of each option, if the model supports it.
        max_new_tokens: maximum number of tokens of a free-text response.
        yes: text of the answer "yes" whose likelihood is computed.
        no: text of the answer "no" whose likelihood is computed.
        option: text of an answer to a choice question; "{}" stands for the option.
        samples: number of responses that are sampled per prompt, in addition to the greedy
            response; 0 means none.
        sampling: how responses are sampled: temperature, top-p, top-k and repetition penalty. The
            n-th response of every prompt has the seed `sampling.seed` + n, n = 0, 1, ...; the
            maximum length is `max_new_tokens`.

    Raises:
        InvalidInputError: if the number of samples is negative or 1, or if they would be greedy.
    """

    wordings: str = "plain"
    free_text: bool = True
    likelihoods: bool = True
    max_new_tokens: int = 12
    yes: str = "Yes."
    no: str = "No."
    option: str = "{}."
    samples: int = 0
    sampling: Decoding = field(default_factory=lambda: Decoding(temperature=1.0))

    def __post_init__(self) -> None:
        if self.samples < 0 or self.samples == 1:
            raise InvalidInputError(
                f"Expected 0 or at least 2 samples per question, got {self.samples}."
            )
        if self.samples and not self.sampling.temperature:
            raise InvalidInputError(
                "Expected a sampling temperature above 0, got 0: all samples would be equal. Set "
                "`sampling.temperature`, or remove `samples`."
            )

    @property
    def sampling_decodings(self) -> tuple[Decoding, ...]:
        """Decoding settings of each sample, with its seed."""
        sampling = replace(self.sampling, max_new_tokens=self.max_new_tokens)
        return tuple(replace(sampling, seed=sampling.seed + n) for n in range(self.samples))

    def continuations(self, options: Sequence[str]) -> tuple[str, ...]:
        """Return, for each option of a question, the text whose likelihood is computed."""
        if tuple(options) == YES_NO:
            return self.yes, self.no
        texts = [self.option.format(option) for option in options]
        return tuple(text[:1].upper() + text[1:] for text in texts)


def read_wordings(name: str | Path = "plain") -> Wordings:
    """Read the texts of the questions from a file, or by their name ("plain", "instructed").

    Raises:
        InvalidInputError: if there is no such file, a key is unknown, or a template is invalid.
    """
    return read_config(Wordings, find_config(name, SHIPPED))


def join_options(options: Sequence[str]) -> str:
    """Return the options as a list in a sentence: "a bird, a frog or rain"."""
    return " or ".join([", ".join(options[:-1]), options[-1]]) if options[1:] else options[0]


def _check_placeholders(text: str, expected: set[str]) -> None:
    placeholders = set(PromptTemplate("wording", 1, text).placeholders)
    if placeholders != expected:
        raise InvalidInputError(
            f"{text!r}: expected exactly the placeholders {', '.join(sorted(expected))}, got "
            f"{', '.join(sorted(placeholders)) or 'none'}."
        )
