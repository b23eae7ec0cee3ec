"""Score yes/no questions by the log-odds of "yes".

`ConceptProbe` creates questions and asks them in all forms and under all conditions.
`score_yes_no` only scores a given list of yes/no questions, with any function that returns the
log-odds of "yes".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from audioprobe.errors import AudioReadError
from audioprobe.probing.trial import ProbeQuestion, Trial
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import LikelihoodModel
from audioprobe.types import Prompt, Waveform


class YesNoScorer(Protocol):
    """Function that computes the log-odds of "yes" for a batch of questions."""

    def __call__(
        self, questions: Sequence[ProbeQuestion], waveforms: Mapping[str, Waveform], /
    ) -> Sequence[float]:
        """Return ln P(yes) - ln P(no) of each question, in nats.

        Args:
            questions: a batch; either all questions have audio, or no question has audio.
            waveforms: waveforms, keyed by `ProbeQuestion.audio`; empty for a batch without audio.
        """
        ...


def likelihood_scorer(model: LikelihoodModel, yes: str = "Yes.", no: str = "No.") -> YesNoScorer:
    """Return a `YesNoScorer` that compares a model's log-likelihoods of two continuations.

    Args:
        model: the model.
        yes: continuation of the prompt that means "yes".
        no: continuation of the prompt that means "no".
    """

    def score(
        questions: Sequence[ProbeQuestion], waveforms: Mapping[str, Waveform]
    ) -> Sequence[float]:
        prompts = [Prompt(q.text, audio=waveforms.get(q.audio)) for q in questions]
        pairs = model.log_likelihood(prompts, (yes, no))
        return [log_yes.total - log_no.total for log_yes, log_no in pairs]

    return score


def score_yes_no(
    questions: Sequence[ProbeQuestion],
    scorer: YesNoScorer,
    sounds: Mapping[str, Callable[[], Waveform]],
    *,
    batch_size: int = 32,
    progress: ProgressCallback = ignore_progress,
) -> tuple[Trial, ...]:
    """Score yes/no questions, and return a trial (question with answer) per question, in order.

    The answers are read by "likelihood" (see `AnswerReading`). A tie or a value that is not finite
    is an invalid answer. If a sound cannot be read, only the questions about this sound fail.

    Args:
        questions: questions of the forms "yes-no" or "negated".
        scorer: function that returns the log-odds of "yes".
        sounds: functions that load a waveform, keyed by `ProbeQuestion.audio`.
        batch_size: number of questions per call of the scorer; questions about the same sound are
            put into the same batch if possible.
        progress: called after each batch.
    """
    trials: dict[int, Trial] = {}
    waveforms: dict[str, Waveform | str] = {}
    for batch in _batches(questions, batch_size):
        waveforms = {
            key: waveforms.get(key) or _load(sounds[key])
            for key in dict.fromkeys(questions[n].audio for n in batch)
            if key
        }
        readable = {key: wave for key, wave in waveforms.items() if isinstance(wave, Waveform)}
        scored = [n for n in batch if not questions[n].audio or questions[n].audio in readable]
        log_odds = scorer([questions[n] for n in scored], readable) if scored else ()
        for n, value in zip(scored, log_odds, strict=True):
            trials[n] = Trial(question=questions[n], log_likelihoods=(value, 0.0))
        for n in batch:
            failure = waveforms.get(questions[n].audio)
            if isinstance(failure, str):
                trials[n] = Trial(question=questions[n], failure=failure)
        progress(ProgressEvent(stage="questions", done=len(trials), total=len(questions)))
    return tuple(trials[n] for n in range(len(questions)))


def _batches(questions: Sequence[ProbeQuestion], size: int) -> Iterator[Sequence[int]]:
    """Yield batches of question indices: questions without audio first, then sorted by sound.

    No batch has questions both with and without audio.
    """
    order = sorted(range(len(questions)), key=lambda n: questions[n].audio)
    n_text = sum(not question.audio for question in questions)
    for part in (order[:n_text], order[n_text:]):
        for start in range(0, len(part), size):
            yield part[start : start + size]


def _load(sound: Callable[[], Waveform]) -> Waveform | str:
    """Return the waveform of a sound; the error message if it cannot be read."""
    try:
        return sound()
    except AudioReadError as error:
        return str(error) or type(error).__name__
