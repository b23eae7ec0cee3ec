"""Diagnose what a model can do from its answers to yes/no questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import sign_flips
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.scores import accuracy, concepts_of, guesses_of
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate

DiagnosisName: TypeAlias = Literal[
    "too few concepts",
    "always says yes",
    "always says no",
    "ignores the audio",
    "ignores the audio, reasons in text",
    "recognises and reasons",
    "recognises and reasons, less about audio than about text",
    "recognises but does not reason",
    "recognises but reasons only in text",
    "reasons in text but does not recognise",
    "undecided",
]
UNDECIDED: Final = "undecided"
TOO_FEW: Final = "too few concepts"

ALWAYS = 0.97
"""Share of "yes" from which a model "always says yes"; up to 1 - ALWAYS it "always says no"."""

MIN_CHANGED = 0.02
"""Share of answers that differ between sounds, below which a model "ignores the audio"."""

MIN_CONCEPTS = 6
"""Minimum number of concepts per condition for a diagnosis. With this number, a guessing model gets
a diagnosis in at most 5 % of the probes (`python benchmarks/guessing_listener.py`). With fewer
concepts, no accuracy can differ significantly from chance.
"""

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a model can do, in one phrase, with the evidence.

    Attributes:
        name: the diagnosis, such as "recognises but does not reason".
        evidence: text with the accuracies and rates that support the diagnosis.
    """

    name: DiagnosisName
    evidence: str


def diagnose(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Diagnosis:
    """Diagnose what a model can do from its answers to yes/no questions.

    An ability counts only if the accuracy is above chance: its whole confidence interval is above
    one half, and a sign-flip test against a guesser (see `Score.blind_accuracy`), with concepts as
    units, is significant. With fewer than `MIN_CONCEPTS` concepts the diagnosis is "too few
    concepts".

    Args:
        trials: trials under the conditions "text" and "audio"; the relation "identity" (questions
            for the concept itself) is needed to diagnose perception.
        reading: how an answer is turned into yes/no.
        bootstrap: how confidence intervals are computed.
    """
    yes_no = [trial for trial in trials if trial.question.form == "yes-no"]
    text = [trial for trial in yes_no if trial.question.condition == "text"]
    audio = [trial for trial in yes_no if trial.question.condition == "audio"]
    identity = [trial for trial in audio if trial.question.pair.relation == "identity"]
    others = [trial for trial in audio if trial.question.pair.relation != "identity"]
    groups = (text, others, identity)
    accuracies = [accuracy(group, reading, bootstrap) for group in groups]
    answers = [a for trial in (*text, *audio) if (a := trial.says_yes(reading)) is not None]
    yes_rate = sum(answers) / len(answers) if answers else None
    changed = share_changed(audio, reading)
    evidence = (
        f"accuracy in text {accuracies[0]}, about audio {accuracies[1]}, of the concept itself "
        f"{accuracies[2]}; yes-rate {'undefined' if yes_rate is None else f'{yes_rate:.2f}'}; "
        f"answers that change with the audio {'unknown' if changed is None else f'{changed:.0%}'}"
    )
    n_concepts = min((len(set(concepts_of(group))) for group in groups if group), default=0)
    if n_concepts < MIN_CONCEPTS:
        needed = f"{n_concepts} concepts, a diagnosis needs {MIN_CONCEPTS}"
        return Diagnosis(TOO_FEW, f"{needed}; {evidence}")
    above_chance = [
        _above_chance(group, value, reading, bootstrap)
        for group, value in zip(groups, accuracies, strict=True)
    ]
    gap = modality_gap(yes_no, reading, bootstrap).difference
    has_gap = gap.low is not None and gap.low > 0
    return Diagnosis(_name(yes_rate, above_chance, changed, has_gap), evidence)


def share_changed(trials: Sequence[Trial], reading: AnswerReading) -> float | None:
    """Return the share of question texts to which the model gave different answers about sounds.

    A share near 0 means that the model ignores the audio. Only question texts with valid answers
    about several sounds count; return None if there are none.
    """
    answers: dict[tuple[str, tuple[str, ...]], dict[str, int]] = {}
    for trial in trials:
        choice = trial.choice(reading)
        if choice is not None:
            key = trial.question.text, trial.question.options
            answers.setdefault(key, {})[trial.question.audio] = choice
    choices = [set(by_audio.values()) for by_audio in answers.values() if len(by_audio) > 1]
    return sum(len(distinct) > 1 for distinct in choices) / len(choices) if choices else None


def _name(
    yes_rate: float | None, above_chance: Sequence[bool], changed: float | None, has_gap: bool
) -> DiagnosisName:
    """Return the name of the diagnosis, such as "recognises and reasons".

    Args:
        yes_rate: share of "yes"; None if there are no valid answers.
        above_chance: three values: whether the accuracy is above chance for questions in text,
            about audio, and about audio for the concept itself ("Is this a crow?").
        changed: the result of `share_changed`; None if unknown.
        has_gap: whether accuracy in text is significantly higher than about audio.
    """
    in_text, about_audio, identity = above_chance
    if yes_rate is not None and not 1 - ALWAYS < yes_rate < ALWAYS:
        return "always says yes" if yes_rate > 0.5 else "always says no"
    if changed is not None and changed < MIN_CHANGED:
        return "ignores the audio, reasons in text" if in_text else "ignores the audio"
    names: dict[tuple[bool, bool, bool], DiagnosisName] = {
        (True, True, True): (
            "recognises and reasons, less about audio than about text"
            if has_gap
            else "recognises and reasons"
        ),
        (True, False, True): "recognises but reasons only in text",
        (False, False, True): "recognises but does not reason",
        (True, False, False): "reasons in text but does not recognise",
    }
    return names.get((in_text, about_audio, identity), UNDECIDED)


def _above_chance(
    trials: Sequence[Trial], estimate: Estimate, reading: AnswerReading, bootstrap: Bootstrap
) -> bool:
    if estimate.low is None or estimate.low <= 0.5:
        return False
    valid = [(t, correct) for t in trials if (correct := t.is_correct(reading)) is not None]
    guesses = guesses_of([trial.question for trial, _ in valid])
    chance = max(0.5, sum(guesses) / len(guesses))
    test = sign_flips(
        [correct - chance for _, correct in valid],
        groups=concepts_of([trial for trial, _ in valid]),
        seed=bootstrap.seed,
    )
    gain, p_value = test.difference.value, test.p_value
    return gain is not None and gain > 0 and p_value is not None and p_value < _ALPHA
