"""LLaMA's tokenizer on disk as in a base of LTU: only a `tokenizer.model`."""

import gzip
import json
import re
import struct
from pathlib import Path

VOCABULARY = Path(__file__).parent / "data" / "llama_vocabulary" / "vocabulary.txt.gz"

# Field numbers and kinds of sentencepiece's ModelProto.
_TEXT, _NUMBER, _FLOAT = 2, 0, 5
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_BPE = 2


def write_tokenizer(folder: Path) -> Path:
    """Write `tokenizer.model` and the configuration that Vicuna's folders have."""
    pieces = gzip.decompress(VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    model = b"".join(_field(1, _TEXT, _piece(n, text)) for n, text in enumerate(pieces))
    trainer = b"".join(
        _field(number, _NUMBER, _varint(value))
        # Model type, size, byte fallback, and the ids of unknown, start and end.
        for number, value in ((3, _BPE), (4, len(pieces)), (35, 1), (40, 0), (41, 1), (42, 2))
    )
    # Nothing is normalised but for a space before the text; spaces are kept, and escaped.
    normalizer = _field(1, _TEXT, b"identity") + b"".join(
        _field(number, _NUMBER, _varint(value)) for number, value in ((3, 1), (4, 0), (5, 1))
    )
    model += _field(2, _TEXT, trainer) + _field(3, _TEXT, normalizer)
    (folder / "tokenizer.model").write_bytes(model)
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": None,
        "model_max_length": 2048,
        "tokenizer_class": "LlamaTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def _piece(number: int, text: str) -> bytes:
    """Return a piece of the vocabulary with its rank; BPE ranks pieces by id."""
    kind = _BYTE if re.fullmatch(r"<0x[0-9A-F]{2}>", text) else _NORMAL
    kind = {0: _UNKNOWN, 1: _CONTROL, 2: _CONTROL}.get(number, kind)
    score = 259.0 - number if kind == _NORMAL else 0.0
    return (
        _field(1, _TEXT, text.encode())
        + _field(2, _FLOAT, struct.pack("<f", score))
        + _field(3, _NUMBER, _varint(kind))
    )


def _field(number: int, kind: int, content: bytes) -> bytes:
    length = _varint(len(content)) if kind == _TEXT else b""
    return _varint(number << 3 | kind) + length + content


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low]) if not rest else bytes([low | 128]) + _varint(rest)
