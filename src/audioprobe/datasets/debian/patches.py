"""Reader of instrument patches of the Gravis Ultrasound (.pat), the format of freepats.

A patch consists of a header, one instrument with one layer, and samples, each with a header of its
own; all numbers are little-endian. Loops and envelopes are not applied: a sample is returned as it
was recorded.
"""

import struct
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import FloatArray

_MAGIC = (b"GF1PATCH100\0", b"GF1PATCH110\0")
_COUNTS = struct.Struct("<82xB")  # number of instruments
_LAYERS = struct.Struct("<22xB")  # number of layers of an instrument
_SAMPLES = struct.Struct("<6xB")  # number of samples of a layer
_PATCH_SIZE, _INSTRUMENT_SIZE, _LAYER_SIZE, _HEADER_SIZE = 129, 63, 47, 96
# Of a sample: bytes, loop start and end, rate, lowest and highest frequency, root frequency, modes.
_HEADER = struct.Struct("<8xI8xH8xI21xB")
_WIDE, _UNSIGNED, _REVERSED = 1, 2, 16  # modes
_MIN_RATE_HZ = 1000


@dataclass(frozen=True, slots=True, eq=False)
class PatchSample:
    """A sample of a patch.

    Attributes:
        root_hz: frequency in hertz that sounds if it is played at its own rate.
        rate: sample rate in hertz.
        samples: audio, shape (n,), from -1 to 1.
    """

    root_hz: float
    rate: int
    samples: FloatArray


def read_patch(content: bytes) -> tuple[PatchSample, ...]:
    """Return the samples of a patch, from low to high.

    Args:
        content: bytes of a .pat file; need not be trusted.

    Raises:
        InvalidInputError: if the content is damaged, not a patch, or has several instruments.
    """
    if content[:12] not in _MAGIC:
        raise InvalidInputError(
            f"Expected a Gravis patch (GF1PATCH110), got a file that begins with {content[:12]!r}. "
            "Fetch its package again."
        )
    try:
        (n_instruments,) = _COUNTS.unpack_from(content)
        (n_layers,) = _LAYERS.unpack_from(content, _PATCH_SIZE)
        (n_samples,) = _SAMPLES.unpack_from(content, _PATCH_SIZE + _INSTRUMENT_SIZE)
        if n_instruments > 1 or n_layers != 1:
            raise InvalidInputError(
                f"Expected a patch of one instrument with one layer, got {n_instruments} with "
                f"{n_layers}. Use another patch."
            )
        offset, samples = _PATCH_SIZE + _INSTRUMENT_SIZE + _LAYER_SIZE, []
        for _ in range(n_samples):
            size, rate, root, modes = _HEADER.unpack_from(content, offset)
            offset += _HEADER_SIZE
            samples.append(PatchSample(root / 1000, rate, _decode(content, offset, size, modes)))
            offset += size
    except struct.error as error:
        raise _damaged(f"unexpected end of file ({error})") from error
    if not samples:
        raise _damaged("it has no samples")
    if any(sample.rate < _MIN_RATE_HZ for sample in samples):
        raise _damaged(f"a sample rate below {_MIN_RATE_HZ} Hz")
    return tuple(sorted(samples, key=lambda sample: sample.root_hz))


def _decode(content: bytes, offset: int, size: int, modes: int) -> FloatArray:
    """Return samples from -1 to 1 that are stored in 8 or 16 bits, signed or unsigned."""
    data = content[offset : offset + size]
    width = 2 if modes & _WIDE else 1
    if not size or size % width:
        raise _damaged(f"a sample of {size} bytes, not a multiple of {width} bytes")
    if len(data) < size:
        raise _damaged(f"expected a sample of {size} bytes, got {len(data)}")
    sign, middle = ("u", 1.0) if modes & _UNSIGNED else ("i", 0.0)
    values = np.frombuffer(data, f"<{sign}{width}").astype(np.float32)
    scaled: FloatArray = values / np.float32(2 ** (8 * width - 1)) - np.float32(middle)
    return scaled[::-1] if modes & _REVERSED else scaled


def _damaged(problem: str) -> InvalidInputError:
    return InvalidInputError(f"Damaged patch: {problem}. Fetch its package again.")
