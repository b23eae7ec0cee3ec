"""Captions and tags of files with background threads and without, in one process.

Each file contains a minute of the shipped recordings, in stereo at 48 kHz, so that it must be
resampled. Without threads, the same code reads and encodes each clip while the model waits, and
the LTU has batches of 8 instead of its default. Captions must be identical, and probabilities equal
up to rounding. The limit is the model alone, with clips that are read and resampled already. The
processor time is printed too, since other work on the machine changes it less.
The AST has the sizes of the original and random weights.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import soundfile
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from audioprobe import LTU, Recordings, prefetching
from audioprobe.audio.transforms import resample
from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.classification.caption import CAPTION_QUESTION
from audioprobe.models.encoders.ast import AST
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.ltu.network import merge_lora
from audioprobe.types import Clip, Prompt, Waveform
from audioprobe.window_inference import InferenceResult, WindowModel, run_inference
from side_by_side import finish, ratios, report

RATE, SECONDS = 48_000, 60
MODEL_RATE, WINDOW = 16_000, 10
Model: TypeAlias = WindowModel[Any, Any, Any]


class SameThread:
    """Executor that runs each call at once, in the thread of the caller."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, function: Callable[..., object], *args: object) -> "Future[object]":
        """Return the result of the function as a future that is done."""
        future: Future[object] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - raised by future.result()
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        """Do nothing: no thread was started."""


@contextlib.contextmanager
def same_thread() -> Iterator[None]:
    with patch.object(prefetching, "ThreadPoolExecutor", SameThread):
        yield


def files(folder: Path, n: int) -> list[Clip]:
    """Write files with a minute of recordings each, in another order."""
    sounds = [resample(read_waveform(clip), RATE).samples for clip in Recordings().clips()]
    clips = []
    for number in range(n):
        order = np.random.default_rng(number).permutation(len(sounds))
        minute = np.resize(np.concatenate([sounds[k] for k in order]), SECONDS * RATE)
        path = folder / f"{number}.wav"
        soundfile.write(path, np.stack([minute, np.roll(minute, 20)], axis=1), RATE)
        clips.append(Clip(id=path.name, path=path))
    return clips


def windows(clips: list[Clip]) -> list[Waveform]:
    """Return the windows of the files, resampled."""
    sounds = [resample(read_waveform(clip), MODEL_RATE).samples for clip in clips]
    parts = [part for samples in sounds for part in np.split(samples, SECONDS // WINDOW)]
    return [Waveform(part, MODEL_RATE) for part in parts]


def captioner() -> Callable[[bool], Model]:
    """Return a function that creates a captioner without cached audio, for threads or without."""
    checkpoint = load_ltu("mini")
    merge_lora(checkpoint.net.llama)  # as `LTU.from_pretrained` does

    def create(threads: bool) -> Model:
        options: dict[str, Any] = {} if threads else {"batch_size": 8}
        parts = checkpoint.net, checkpoint.tokenizer, checkpoint.info({})
        return WindowModel(
            name="language model",
            item="prompt",
            stage="caption",
            infer=LTU(*parts, **options).generate,
            make_input=lambda waveform: Prompt(CAPTION_QUESTION, waveform),
            make_output=lambda _, __, response: response.text,
        )

    return create


def tagger(folder: Path) -> Callable[[bool], Model]:
    """Return a function that returns a random AST of the original's sizes."""
    torch.manual_seed(0)
    ASTForAudioClassification(ASTConfig(num_labels=527)).save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)
    model: Model = WindowModel(
        name="encoder",
        item="sound",
        stage="score",
        infer=AST(str(folder), device="cpu").tag,
        make_input=lambda waveform: waveform,
        make_output=lambda _, __, probabilities: probabilities,
    )
    return lambda _: model


def compare(what: str, create: Callable[[bool], Model], clips: list[Clip], bar: float) -> bool:
    """Print share of waiting, processor times and ratio; return whether outputs and ratio fit."""
    results: dict[bool, InferenceResult[Any]] = {}
    processor = {True: float("inf"), False: float("inf")}

    def run(*, threads: bool) -> None:
        start = time.process_time()
        with contextlib.nullcontext() if threads else same_thread():
            results[threads] = run_inference(create(threads), clips, Windowing())
        processor[threads] = min(processor[threads], time.process_time() - start)

    inputs = [create(True).make_input(window) for window in windows(clips)]
    found, limit = ratios(
        lambda: run(threads=False),
        lambda: run(threads=True),
        lambda: list(create(True).infer(inputs)),
        rounds=2,
    )
    pairs = [
        (output, results[False].outputs[name][n])
        for name, outputs in results[True].outputs.items()
        for n, output in enumerate(outputs)
    ]
    same = all(
        a == b if isinstance(a, str) else np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs
    )
    print(f"{len(pairs)} windows, equal outputs: {same}")
    print(f"processor time {processor[True]:.1f} s with threads, {processor[False]:.1f} s without")
    print(f"the model waits for audio {results[True].waiting:.0%} of the time")
    return report(what, found, bar, limit) and same


def main() -> None:
    print(f"{torch.get_num_threads()} threads of torch")
    with tempfile.TemporaryDirectory() as folder:
        clips = files(Path(folder), 4)
        captions = compare("captions by the small LTU", captioner(), clips, 1.0)
        tags = compare("tags by AST", tagger(Path(folder) / "ast"), clips[:1], 0.95)
    finish(captions, tags)


if __name__ == "__main__":
    main()
