"""Whether a remote model hears at all: some endpoints drop a sound without a word."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import RemoteError
from audioprobe.types import Prompt, Response, Waveform

QUESTION = "Describe this sound in a few words."
_RATE = 16_000


@dataclass(frozen=True, slots=True)
class AudioSupport:
    """What a check of a model's hearing found.

    Attributes:
        heard: True where sounds reach the model, False where they are dropped, None where it cannot
            be told.
        evidence: what that rests on.
    """

    heard: bool | None
    evidence: str


def check_audio_support(ask: Callable[[Prompt], Response]) -> AudioSupport:
    """Ask about a long noise, a short tone, nothing, and the noise again, as far as it takes.

    Counted tokens tell most: a sound that reaches a model is tokens of its prompt. A placeholder of
    constant size would be too, so that the same count for both sounds is no proof; then the answers
    must differ. They may differ without a sound, too, where a service draws them, so that a
    difference counts only if the same noise gets the same answer twice.

    Args:
        ask: one greedy answer; `details` holds the tokens that the service counted.

    Raises:
        RemoteError: if the service refuses a sound.
    """
    noise, tone = _sounds()
    about_noise = ask(Prompt(QUESTION, noise))
    if _count(about_noise, "audio_tokens"):
        n = _count(about_noise, "audio_tokens")
        return AudioSupport(True, f"The service counts {n} audio tokens for {noise.duration:g} s.")
    about_tone = ask(Prompt(QUESTION, tone))
    long, short = (_count(a, "prompt_tokens") for a in (about_noise, about_tone))
    if long is not None and short is not None and long != short:
        return AudioSupport(
            True,
            f"The prompt counts {long} tokens with {noise.duration:g} s of sound and {short} with "
            f"{tone.duration:g} s.",
        )
    silent = _without_sound(ask)
    differ = about_noise.text != about_tone.text
    if long is not None and long == silent and not differ:
        return AudioSupport(
            False,
            f"The prompt counts {long} tokens with a sound and without, and a noise and a tone get "
            f"the same answer, {about_noise.text!r:.60}.",
        )
    if long is None or silent is None:
        counts = "No counts to compare"
    elif long == silent:
        counts = f"The prompt counts {long} tokens with a sound and without"
    else:
        counts = f"Any sound counts {long - silent} tokens"
    if not differ:
        return AudioSupport(None, f"{counts}; answers to noise and tone agree.")
    if ask(Prompt(QUESTION, noise)).text != about_noise.text:
        return AudioSupport(
            None,
            f"{counts}; answers vary: the same noise got two answers, so that they do not tell.",
        )
    return AudioSupport(
        None if long is not None and long == silent else True,
        f"{counts}; answers to noise and tone differ, and those to the same noise agree.",
    )


def _without_sound(ask: Callable[[Prompt], Response]) -> int | None:
    """Tokens of the question alone; None where a model refuses to be asked without a sound."""
    try:
        return _count(ask(Prompt(QUESTION)), "prompt_tokens")
    except RemoteError as error:
        if error.final or error.retryable:
            raise
        return None


def _count(response: Response, name: str) -> int | None:
    n = response.details.get(name)
    return n if isinstance(n, int) else None


def _sounds() -> tuple[Waveform, Waveform]:
    """Six seconds of noise, one second of a tone: unlike in length and in kind."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(6 * _RATE)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(_RATE) / _RATE)
    return (
        Waveform(np.clip(noise, -1, 1).astype(np.float32), _RATE),
        Waveform(tone.astype(np.float32), _RATE),
    )
