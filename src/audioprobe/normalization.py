"""Unicode normalisation form C (NFC), in which labels, captions and names are compared."""

import os
import unicodedata
from pathlib import Path


def nfc(text: str) -> str:
    """Return a text in Unicode normalisation form C.

    "ä" can be one code point or two (macOS writes file names with two); in NFC both are equal.
    """
    return unicodedata.normalize("NFC", text)


def path_on_disk(path: Path) -> Path:
    """Return a path in the Unicode form that exists on disk; unchanged if none exists."""
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
