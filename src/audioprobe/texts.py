"""Functions of texts: Unicode normalisation, hashes, and checks of labels and captions.

Labels, captions and names are compared in Unicode normalisation form C (NFC). The letter "ä" can
be one code point, or two as in file names on macOS; in NFC both are equal.
"""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from audioprobe.errors import InvalidInputError


def nfc(text: str) -> str:
    """Return a text in Unicode normalisation form C."""
    return unicodedata.normalize("NFC", text)


def path_on_disk(path: Path) -> Path:
    """Return a path spelled as the existing file, whose name may be in another Unicode form.

    If no such file exists, the path is returned unchanged.
    """
    if str(path).isascii() or os.path.lexists(path):
        return path
    result = Path(path.anchor)
    for name in path.parts[bool(path.anchor) :]:
        forms = (name, nfc(name), unicodedata.normalize("NFD", name))
        existing = [form for form in forms if os.path.lexists(result / form)]
        if not existing:
            return path
        result /= existing[0]
    return result


def stable_hash(key: str) -> int:
    """Return an integer from 0 to 2**64 - 1 computed from a text, equal on every platform.

    The integer is the seed of a random choice. Python's `hash` differs between processes.
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def fingerprint(texts: Iterable[str]) -> str:
    """Return a short hash of several texts, to recognise equal texts.

    The hash consists of the first 16 hexadecimal digits of SHA-256.
    """
    content = hashlib.sha256()
    for text in texts:
        content.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return content.hexdigest()[:16]


def checked_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Check a list of labels, and return it in Unicode normalisation form C.

    Raises:
        InvalidInputError: if there are no labels, if a label is empty, repeated or not a text, or
            if `labels` is a string instead of a list.
    """
    texts = _checked_texts("labels", labels)
    if not texts:
        raise InvalidInputError("Expected at least one label, got none.")
    if any(not label.strip() for label in texts):
        raise InvalidInputError("Expected labels with text, got an empty label.")
    repeated = [label for label, n in Counter(texts).items() if n > 1]
    if repeated:
        raise InvalidInputError(f"Expected unique labels, got {repeated[0]!r} more than once.")
    return texts


def checked_captions(captions: Iterable[str], *, empty: bool = False) -> tuple[str, ...]:
    """Check a list of captions, and return it in Unicode normalisation form C.

    Args:
        captions: texts.
        empty: whether captions may be empty.

    Raises:
        InvalidInputError: if a caption is not a text, if a caption is empty and `empty` is False,
            or if `captions` is a string instead of a list.
    """
    texts = _checked_texts("captions", captions)
    blank = [n for n, caption in enumerate(texts) if not caption.strip()]
    if blank and not empty:
        raise InvalidInputError(
            f"Expected captions with text, got {len(blank)} empty captions of {len(texts)}, the "
            f"first at position {blank[0]}."
        )
    return texts


def checked_templates(templates: str | Sequence[str]) -> tuple[str, ...]:
    """Check one template or several templates, and return them as a tuple.

    Raises:
        InvalidInputError: if there is no template, if a template does not contain the placeholder
            "{}" exactly once, or if a template is repeated.
    """
    texts = (templates,) if isinstance(templates, str) else tuple(templates)
    if not texts or len(set(texts)) < len(texts):
        raise InvalidInputError(f"Expected one or several different templates, got {texts!r:.80}.")
    for template in texts:
        if template.count("{}") != 1:
            raise InvalidInputError(
                f'Expected a template with "{{}}" exactly once, got {template!r}.'
            )
    return texts


def checked_synonyms(synonyms: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Check the synonyms of each label, and return them in Unicode normalisation form C.

    Raises:
        InvalidInputError: if the synonyms of a label are a string instead of a list, or if a
            synonym is not a text.
    """
    return {
        nfc(label): _checked_texts(f"synonyms of {label!r}", names)
        for label, names in (synonyms or {}).items()
    }


def label_variants(label: str, synonyms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a label and its synonyms, each text once."""
    return tuple(dict.fromkeys([label, *synonyms.get(label, ())]))


def check_unicode(texts: Sequence[str]) -> None:
    """Raise `InvalidInputError` with the positions of all texts that contain lone surrogates."""
    invalid = [n for n, text in enumerate(texts) if text != text.encode("utf-8", "ignore").decode()]
    if invalid:
        raise InvalidInputError(
            f"Expected Unicode texts, but the texts at positions {invalid[:5]} contain lone "
            "surrogates, which UTF-8 cannot encode. They may have been read with a wrong encoding."
        )


def _checked_texts(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InvalidInputError(f"{name} must be a list of texts, got {texts!r:.60}.")
    values = tuple(texts)
    for position, text in enumerate(values):
        if not isinstance(text, str):
            raise InvalidInputError(
                f"{name} must be texts, got {text!r:.60} at position {position}. Remove "
                "missing values."
            )
    return tuple(map(nfc, values))


@runtime_checkable
class TextLimit(Protocol):
    """Interface of embedders and scorers that ignore the end of long texts."""

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the number of tokens of each text that are ignored; None if unknown."""
        ...
