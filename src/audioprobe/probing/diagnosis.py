"""Diagnose a model from its yes/no answers, if the confidence intervals support a diagnosis."""

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
"""Share of "yes" above which a model "always says yes"; below 1 minus this it "always says no"."""

MIN_CHANGED = 0.02
"""Share of answers that change with the audio, below which a model "ignores the audio"."""

MIN_CONCEPTS = 6
"""Minimum number of concepts per condition for a diagnosis. With this number, a guessing model gets
a diagnosis in at most 5 % of the probes (`python benchmarks/guessing_listener.py`). With fewer
concepts, no accuracy can differ significantly from chance.
"""

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis with its evidence.

    Attributes:
        name: the diagnosis.
        evidence: text with the numbers that support the diagnosis.
    """

    name: DiagnosisName
    evidence: str


def diagnose(trials: Sequence[Trial], reading: AnswerReading, bootstrap: Bootstrap) -> Diagnosis:
    """Diagnose a model from its answers to yes/no questions.

    "Above chance" means that the whole confidence interval of an accuracy is above one half, and
    that a sign-flip test against the blind guesser (see `Score`), with concepts as units, is
    significant. With fewer than `MIN_CONCEPTS` concepts the diagnosis is "too few concepts".

    Args:
        trials: trials under the conditions "text" and "audio", with the relation "identity".
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
    """Return the share of questions whose answer differs between sounds.

    Return None if no question has valid answers for several sounds.

    Args:
        trials: trials of one condition; the same question is asked about clips of the concept and
            about clips of other concepts.
        reading: how an answer is turned into yes/no; invalid answers are left out.
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
