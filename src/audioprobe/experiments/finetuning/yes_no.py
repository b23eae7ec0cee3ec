"""Questions of yes or no, many at once: those about a sound share one sequence."""

from collections.abc import Iterator, Sequence

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from audioprobe.audio.filterbank import LTU as FILTERBANK
from audioprobe.errors import AudioReadError
from audioprobe.experiments.finetuning.run_result import QuestionResult
from audioprobe.metrics.choices import most_likely_option
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.prompt import continuation_ids, tokenize, write_prompt
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.probing.probe_builder import PreparedProbe
from audioprobe.probing.questions import ProbeQuestion
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.answer_loss import AnswerLoss
from audioprobe.training.examples import TrainingExample, collate

_PER_ROW, _AT_ONCE = 8, 32
_DIGITS = 6  # of nats that are kept
YES, NO = "Yes.", "No."


def score_yes_no(
    files: LTUCheckpoint, asked: PreparedProbe, progress: ProgressCallback = ignore_progress
) -> tuple[QuestionResult, ...]:
    """Whether "Yes." or "No." is the more probable beginning of an answer, for every question.

    Compared are the first tokens in which both differ. A concept probe by `ConceptProbe` compares
    whole answers, one prompt after the other: slower, and for models of any kind.

    Args:
        files: the model.
        asked: questions of yes or no, in words and of clips; those about concepts themselves are
            left out.
        progress: called after every batch.
    """
    questions = [q for q in asked.questions if q.pair.relation != "identity"]
    questions.sort(key=lambda question: question.clip)
    heard = {q.clip: _heard(asked, q.clip) for q in questions if q.clip}
    found: list[QuestionResult] = []
    for some in _parts([q for q in questions if not q.clip or heard[q.clip] is not None]):
        sounds = {name: tensor for name, tensor in heard.items() if tensor is not None}
        found += _asked(files, some, sounds)
        progress(ProgressEvent(stage="questions", done=len(found), total=len(questions)))
    found += [_answer(q, None) for q in questions if q.clip and heard[q.clip] is None]
    return tuple(found)


@torch.inference_mode()
def _asked(
    files: LTUCheckpoint, questions: Sequence[ProbeQuestion], sounds: dict[str, Tensor]
) -> Iterator[QuestionResult]:
    yes, no = (continuation_ids(files.tokenizer, text) for text in (YES, NO))
    n_same = next(n for n, (a, b) in enumerate(zip(yes, no, strict=False)) if a != b)
    examples = []
    for question in questions:
        prompt = [*tokenize(files.tokenizer, write_prompt(question.text)), *yes[:n_same]]
        examples.append(TrainingExample((*prompt, yes[n_same]), len(prompt), question.clip))
    batch = collate(
        examples, sounds, targets="answer", pad_id=files.tokenizer.eos_token_id, per_row=_PER_ROW
    )
    logits, _ = (
        AnswerLoss(TrainableLTU(files.net))
        .eval()
        .logits(send_to_device(batch, files.net.llama.device))
    )
    leads = (logits[:, yes[n_same]] - logits[:, no[n_same]]).tolist()
    # Rows with sound come first in a batch; a part has either.
    return (_answer(question, lead) for question, lead in zip(questions, leads, strict=True))


def _parts(questions: Sequence[ProbeQuestion]) -> Iterator[Sequence[ProbeQuestion]]:
    """Some at once, either all of sounds or all of words."""
    for some in ([q for q in questions if not q.clip], [q for q in questions if q.clip]):
        for at in range(0, len(some), _AT_ONCE):
            yield some[at : at + _AT_ONCE]


def _heard(asked: PreparedProbe, clip: str) -> Tensor | None:
    """Its spectrogram; None where it cannot be read."""
    try:
        return FILTERBANK.of(asked.sounds[clip]())
    except AudioReadError:
        return None  # counted: its questions have no answer


def _answer(question: ProbeQuestion, lead: float | None) -> QuestionResult:
    """The lead of "Yes." in nats; None for ties and numbers that are not finite."""
    pair = question.pair
    decided = lead is not None and most_likely_option((lead, 0.0)) is not None
    return QuestionResult(
        pair.concept,
        pair.target,
        pair.relation,
        pair.holds,
        pair.match,
        question.condition,
        question.clip,
        round(lead, _DIGITS) if lead is not None and decided else None,
    )
