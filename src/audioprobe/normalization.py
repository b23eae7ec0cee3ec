"""Unicode normalisation form C (NFC), used to compare labels, captions and names."""

import os
import unicodedata
from pathlib import Path


def nfc(text: str) -> str:
    """Return a text in Unicode normalisation form C.

    The letter "ä" can be one code point, or two as in file names on macOS; in NFC both are equal.
    """
    return unicodedata.normalize("NFC", text)


def path_on_disk(path: Path) -> Path:
    """Return a path with the Unicode spelling that exists on disk, or unchanged."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    spelled = Path(path.anchor)
    for name in path.parts[bool(path.anchor) :]:
        forms = (name, nfc(name), unicodedata.normalize("NFD", name))
        existing = [form for form in forms if os.path.lexists(spelled / form)]
        if not existing:
            return path
        spelled /= existing[0]
    return spelled
