"""Data of a probe: pairs of concept and target, questions, and trials (answered questions)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from scipy.special import softmax

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.metrics.answers import most_likely_option
from audioprobe.probing.relations.concept_set import Negatives, RelationKind

Condition: TypeAlias = Literal[
    "text",
    "audio",
    "caption",
    "wrong clip",
    "silence",
    "noise",
    "no audio",
    "spoken word",
    "window",
    "conflicting text",
]
"""What stands for the concept in the prompt: its word, a clip of it, the model's caption of the
clip, a clip of another concept, silence, noise, nothing, a recording of its word, a window of the
clip, or the clip after a sentence that names another concept."""
Form: TypeAlias = Literal["yes-no", "negated", "choice", "reversed"]
"""Form of a question: "Is a crow a bird?", its negation, a choice of several phrases, or the
question with both names exchanged (in text, for synonyms, which are symmetric)."""
AnswerReading: TypeAlias = Literal["free-text", "likelihood", "prior-corrected", "judge"]
"""How an answer is turned into one of the options of the question.

"free-text" parses the response by rules, "judge" lets a language model classify the response,
"likelihood" takes the most probable option, and "prior-corrected" takes the option whose
log-probability rises most when the audio is added to the question.
"""
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
CLIP_CONDITIONS: frozenset[Condition] = frozenset(
    {"audio", "caption", "wrong clip", "window", "conflicting text"}
)
"""Conditions with questions about each clip."""
AUDIO_CONDITIONS: frozenset[Condition] = frozenset(
    {"audio", "wrong clip", "silence", "noise", "spoken word", "window", "conflicting text"}
)
"""Conditions whose prompts have audio."""
CONTROLS: tuple[Condition, ...] = ("wrong clip", "silence", "noise", "no audio")
"""Control conditions, in which the clip of the concept is not played."""
ON_REQUEST: frozenset[Condition] = frozenset({"window", "conflicting text"})
"""Conditions that are used only if they are named."""
FORMS: tuple[Form, ...] = get_args(Form)
READINGS: tuple[AnswerReading, ...] = get_args(AnswerReading)
YES_NO = ("yes", "no")


def check_known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise `InvalidInputError` if any of the names is not a known name.

    Args:
        what: noun for the names in the error message, such as "condition".
        names: the names to check.
        known: all valid names.
    """
    for name in names:
        if name not in known:
            raise InvalidInputError(
                f"Expected a {what} ({', '.join(known)}), got {name!r}.{did_you_mean(name, known)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptPair:
    """A concept and a target (a class or name), and whether the target is true of the concept.

    Attributes:
        concept: id of the concept.
        phrase: the concept in a sentence: "a grouse".
        relation: what the target is: a class ("hypernym"), another name ("synonym"), the concept
            itself ("identity", only asked about audio), or an item of another benchmark ("other");
            the concept is then the group of the item.
        target: id of the class, the concept or the item, or the other name.
        target_phrase: the target in a sentence: "a bird".
        holds: whether the target is true of the concept.
        level: number of steps from the concept up to the class, 1 for the nearest class; 0 for
            other relations. A false pair has the level of its true pair.
        basic: whether people usually call the concept by this class.
        negatives: how the false pairs of the probe were drawn; see `balanced_pairs`.
        match: number of the true pair; its matched false pair has the same number.
    """

    concept: str
    phrase: str
    relation: RelationKind
    target: str
    target_phrase: str
    holds: bool
    level: int = 0
    basic: bool = False
    negatives: Negatives = "random"
    match: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """(concept, relation, target), which identifies a pair; it does not contain `negatives`."""
        return self.concept, self.relation, self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeQuestion:
    """A question to a model about a concept.

    Attributes:
        pair: the concept, and the class or name that the question asks about.
        condition: what stands for the concept in the prompt; see `Condition`.
        form: yes/no, negated yes/no, choice, or reversed yes/no.
        wording: index of the paraphrase.
        order: index of the order of the options; 0 for yes/no questions.
        clip: id of the clip of the concept; "" if the question has no clip.
        audio: key of the sound in the prompt: the id of a clip, `sounds.SILENCE`, `sounds.NOISE`,
            "(spoken) CONCEPT" or "(window 1 of 4) CLIP"; "" if the prompt has no sound.
        text: text of the question; a caption is not part of it.
        options: "yes" and "no", or the phrases of a choice question.
        correct: index of the correct option.
        text_option: under the condition "conflicting text", index of the option that is correct for
            the concept that the text names; None under other conditions.
    """

    pair: ConceptPair
    condition: Condition
    form: Form = "yes-no"
    wording: int = 0
    order: int = 0
    clip: str = ""
    audio: str = ""
    text: str
    options: tuple[str, ...] = YES_NO
    correct: int
    text_option: int | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Key that is equal for the same question under other conditions and about other clips.

        It is used to pair the answers to a question.
        """
        pair = self.pair
        return *pair.key, pair.negatives, pair.match, self.form, self.wording, self.order


@dataclass(frozen=True, slots=True)
class Judgement:
    """The option that a judge (a language model) finds in a free-text response.

    Attributes:
        choice: index of the option; None if the judge calls the response invalid, or failed.
        prompt: prompt that the judge received.
        response: response of the judge; None if the judge did not respond.
        failure: cause of the failure if there is no judgement; "" otherwise.
    """

    choice: int | None
    prompt: str
    response: str | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class SampledAnswer:
    """A free-text response that was drawn at random, with a seed of its own.

    Attributes:
        response: the response; None if the request failed.
        choice: index of the option that the response names; None if it cannot be parsed.
        failure: cause of the failure if there is no response; "" otherwise.
    """

    response: str | None
    choice: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A question and the answer of a model.

    Attributes:
        question: the question.
        response: free-text response; None if none was requested, or if the request failed.
        parsed: index of the option that the response names; None if it cannot be parsed.
        log_likelihoods: log-probability of each option in nats, up to a common constant; () if
            not requested.
        prior_log_likelihoods: log-probability of each option for the same question without audio;
            () if the condition has no audio.
        failure: cause of the failure if there is no answer; "" otherwise.
        judgement: the judge's classification of the response; None if there is no judge.
        samples: sampled answers, in the order of their seeds; () if not requested.
    """

    question: ProbeQuestion
    response: str | None = None
    parsed: int | None = None
    log_likelihoods: tuple[float, ...] = ()
    prior_log_likelihoods: tuple[float, ...] = ()
    failure: str = ""
    judgement: Judgement | None = None
    samples: tuple[SampledAnswer, ...] = ()

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Probability of each option, normalised over the options; () if none can be computed."""
        if not self.log_likelihoods or not all(map(math.isfinite, self.log_likelihoods)):
            return ()
        return tuple(softmax(self.log_likelihoods).tolist())

    def has_reading(self, reading: AnswerReading) -> bool:
        """Return whether the trial has the data that the reading needs, such as likelihoods.

        Return True for failed trials, so that they count as failures in every reading.

        Raises:
            InvalidInputError: for an unknown reading.
        """
        check_known("reading", [reading], READINGS)
        if self.failure:
            return True
        if reading == "free-text":
            return self.response is not None
        if reading == "judge":
            return self.judgement is not None
        has_prior = bool(self.prior_log_likelihoods)
        return bool(self.log_likelihoods) and (reading == "likelihood" or has_prior)

    def choice(self, reading: AnswerReading) -> int | None:
        """Return the index of the chosen option; None if the answer is invalid.

        An answer is invalid if the response cannot be parsed, the trial failed, the best options
        tie, or a log-probability is not finite.
        """
        if reading == "free-text":
            return self.parsed
        if reading == "judge":
            return None if self.judgement is None else self.judgement.choice
        if reading == "likelihood":
            return most_likely_option(self.log_likelihoods)
        if not self.prior_log_likelihoods:
            return None
        both = zip(self.log_likelihoods, self.prior_log_likelihoods, strict=True)
        return most_likely_option([value - prior for value, prior in both])

    def is_correct(self, reading: AnswerReading) -> bool | None:
        """Return whether the correct option was chosen; None for an invalid answer."""
        choice = self.choice(reading)
        return None if choice is None else choice == self.question.correct

    def says_yes(self, reading: AnswerReading) -> bool | None:
        """Return whether the answer is "yes"; None for an invalid answer or a choice question."""
        choice = self.choice(reading)
        return None if choice is None or self.question.form == "choice" else choice == 0


def count_failures(trials: Sequence[Trial]) -> dict[str, int]:
    """Return the number of failed trials, keyed by the cause of the failure."""
    return Counter(trial.failure for trial in trials if trial.failure)
