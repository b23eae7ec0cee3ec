"""Yes/no questions of a fine-tuning study: log-odds of all questions in shared passes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from audioprobe.errors import AudioReadError
from audioprobe.experiments.finetuning.storage import Measurement
from audioprobe.finetuning.text_corpora import evaluation_mode
from audioprobe.metrics.answers import most_likely_option
from audioprobe.models.ltu.audio_frontend import AudioFrontend, load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.generation import TokenPrompt
from audioprobe.models.ltu.likelihood import summed_log_probabilities
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.trial import ProbeQuestion
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Waveform

STORED_DIGITS = 6
"""Decimals of stored scores and log-odds."""

_PER_BATCH = 64  # questions that are answered together
_YES, _NO = "Yes.", "No."


def score_yes_no(
    model: LTUCheckpoint,
    probe: PreparedProbe,
    progress: ProgressCallback = ignore_progress,
    prefix: str = "",
) -> Iterator[Measurement]:
    """Yield the log-odds of the answer "Yes." against "No." for every question.

    Only the first token in which the answers differ is compared. The value is None if a clip cannot
    be read. Questions whether a clip is the concept itself ("identity") are skipped. `ConceptProbe`
    compares whole answers, but is slower. Names of measures start with `prefix`.
    """
    questions = [q for q in probe.questions if q.pair.relation != "identity"]
    questions.sort(key=lambda question: question.clip)
    audio = _audio_tokens(model, {q.clip: probe.sounds[q.clip] for q in questions if q.clip})
    answerable = [q for q in questions if q.clip in audio]
    for start in range(0, len(answerable), _PER_BATCH):
        batch = answerable[start : start + _PER_BATCH]
        for question, log_odds in zip(batch, _log_odds(model, batch, audio), strict=True):
            yield _answer(question, log_odds, prefix)
        n_done = start + len(batch)
        progress(ProgressEvent(stage="questions", done=n_done, total=len(questions)))
    for question in questions:
        if question.clip not in audio:
            yield _answer(question, None, prefix)


def readable_features(frontend: AudioFrontend, read: Callable[[], Waveform]) -> Tensor | None:
    """Return the input of the audio prefix for a clip, or None if its file cannot be read."""
    with suppress(AudioReadError):  # counted as a failure by captions and questions
        return frontend(read())[0]
    return None


@torch.inference_mode()
def _audio_tokens(
    model: LTUCheckpoint, sounds: Mapping[str, Callable[[], Waveform]]
) -> dict[str, Tensor | None]:
    """Return the audio tokens of each clip that can be read; for the clip "", which is none, None.

    Shape of the audio tokens: (n_tokens, hidden).
    """
    network, frontend = TrainableLTU(model.net), load_frontend(model.net.config.audio)
    tokens: dict[str, Tensor | None] = {"": None}
    with evaluation_mode(model.net):
        for clip, read in sounds.items():
            if (features := readable_features(frontend, read)) is not None:
                tokens[clip] = network.encode_audio(features[None])[0]
    return tokens


def _log_odds(
    model: LTUCheckpoint, questions: Sequence[ProbeQuestion], audio: Mapping[str, Tensor | None]
) -> list[float]:
    """Return the log-odds of "yes" for each question."""
    prompts = LTUPrompts(model.tokenizer)
    yes, no = map(prompts.continuation_ids, (_YES, _NO))
    n_shared = next(n for n, (a, b) in enumerate(zip(yes, no, strict=False)) if a != b)
    texts = [prompts.tokenize(prompts.prompt(question.text)) for question in questions]
    inputs = [
        TokenPrompt(torch.tensor([*ids, *yes[:n_shared]]), audio[question.clip])
        for ids, question in zip(texts, questions, strict=True)
    ]
    with evaluation_mode(model.net):
        scores = summed_log_probabilities(model.net, inputs, [[yes[n_shared]], [no[n_shared]]])
    log_odds: list[float] = (scores[:, 0] - scores[:, 1]).tolist()
    return log_odds


def _answer(question: ProbeQuestion, log_odds: float | None, prefix: str) -> Measurement:
    """Return the measurement of a question; its value is None if the log-odds are undefined."""
    pair = question.pair
    if log_odds is None or most_likely_option((log_odds, 0.0)) is None:
        log_odds = None
    return Measurement(
        measure=f"{prefix}{question.condition} accuracy",
        item=f"{pair.concept} {pair.relation} {pair.target} {pair.match}",
        cluster=pair.concept,
        value=None if log_odds is None else round(log_odds, STORED_DIGITS),
        reference=float(pair.holds),
        text=question.clip,
    )
