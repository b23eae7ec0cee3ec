"""Check whether a remote model receives audio; some endpoints silently ignore audio."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import RemoteError
from audioprobe.types import Prompt, Response, Waveform

QUESTION = "Describe this sound in a few words."
_RATE = 16_000


@dataclass(frozen=True, slots=True)
class AudioSupport:
    """Result of the check whether a remote model receives audio.

    Attributes:
        supported: True if audio reaches the model, False if it is ignored, None if unknown.
        evidence: sentence with the observations that the result is based on.
    """

    supported: bool | None
    evidence: str


def check_audio_support(ask: Callable[[Prompt], Response]) -> AudioSupport:
    """Check whether audio reaches a model, from its responses to a few prompts.

    The prompts ask about noise, a tone, no audio, and the same noise again. No further prompt is
    sent when the result is certain.

    Audio adds tokens to the prompt, so the token counts of the service are the strongest evidence.
    But a placeholder of constant size adds tokens, too. If noise (6 s) and tone (1 s) add equally
    many tokens, `supported` is True only if their answers differ. A service that samples answers
    may give different answers without using the audio. Different answers are therefore evidence
    only if both requests with the same noise got the same answer.

    Args:
        ask: function that returns the greedy response to a prompt, with the token counts of the
            service in `details`.

    Raises:
        RemoteError: if the service refuses audio.
    """
    noise, tone = _example_sounds()
    noise_answer = ask(Prompt(QUESTION, noise))
    if n_audio := _count(noise_answer, "audio_tokens"):
        return AudioSupport(
            True, f"The service counts {n_audio} audio tokens for {noise.duration:g} s."
        )
    tone_answer = ask(Prompt(QUESTION, tone))
    n_long, n_short = (_count(answer, "prompt_tokens") for answer in (noise_answer, tone_answer))
    if n_long is not None and n_short is not None and n_long != n_short:
        return AudioSupport(
            True,
            f"The prompt counts {n_long} tokens with audio of {noise.duration:g} s and {n_short} "
            f"with {tone.duration:g} s.",
        )
    n_silent = _count_without_audio(ask)
    is_counted = n_long is not None and n_silent is not None
    is_ignored = is_counted and n_long == n_silent
    if is_ignored:
        counts = f"The prompt counts {n_long} tokens with and without audio"
    elif is_counted:
        counts = f"Audio of any length counts {(n_long or 0) - (n_silent or 0)} tokens"
    else:
        counts = "The service reports no token counts"
    if noise_answer.text == tone_answer.text:
        evidence = f"{counts}; noise and tone get the same answer, {noise_answer.text!r:.60}."
        return AudioSupport(False if is_ignored else None, evidence)
    if ask(Prompt(QUESTION, noise)).text != noise_answer.text:
        evidence = f"{counts}; the same noise got two different answers, so answers prove nothing."
        return AudioSupport(None, evidence)
    evidence = f"{counts}; noise and tone get different answers, equal noise gets equal answers."
    return AudioSupport(None if is_ignored else True, evidence)


def _count_without_audio(ask: Callable[[Prompt], Response]) -> int | None:
    """Return the token count of the question without audio.

    None if the model requires audio, or the service reports no count.
    """
    try:
        return _count(ask(Prompt(QUESTION)), "prompt_tokens")
    except RemoteError as error:
        if error.final or error.retryable:
            raise
        return None


def _count(response: Response, name: str) -> int | None:
    n = response.details.get(name)
    return n if isinstance(n, int) else None


def _example_sounds() -> tuple[Waveform, Waveform]:
    """Return six seconds of noise and one second of a tone."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(6 * _RATE)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(_RATE) / _RATE)
    return (
        Waveform(np.clip(noise, -1, 1).astype(np.float32), _RATE),
        Waveform(tone.astype(np.float32), _RATE),
    )
