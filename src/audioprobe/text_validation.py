"""Validation of labels, captions, templates and synonyms."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from audioprobe.errors import InvalidInputError
from audioprobe.normalization import nfc


def checked_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Check labels, and return them as a tuple of texts in Unicode NFC.

    Args:
        labels: any iterable of texts, which is iterated once.

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
    """Check captions, and return them as a tuple of texts in Unicode NFC.

    Args:
        captions: any iterable of texts, which is iterated once.
        empty: whether captions may be empty.

    Raises:
        InvalidInputError: if a caption is not a text, if a caption is empty and `empty` is False,
            or if `captions` is a string instead of a list.
    """
    texts = _checked_texts("captions", captions)
    blank = [n for n, caption in enumerate(texts) if not caption.strip()]
    if blank and not empty:
        raise InvalidInputError(
            f"Empty captions cannot be scored: {len(blank)} of {len(texts)} are empty, the first "
            f"at position {blank[0]}."
        )
    return texts


def check_template(template: str) -> None:
    """Raise `InvalidInputError` unless a template contains the placeholder "{}" exactly once."""
    if template.count("{}") != 1:
        raise InvalidInputError(f'The template needs "{{}}" exactly once, got {template!r}.')


def checked_synonyms(
    synonyms: Mapping[str, Sequence[str]] | None,
) -> dict[str, tuple[str, ...]]:
    """Check synonyms, and return them by label in Unicode NFC.

    Raises:
        InvalidInputError: if the synonyms of a label are a string instead of a list, or if a
            synonym is not a text.
    """
    for label, names in (synonyms or {}).items():
        if isinstance(names, str):
            raise InvalidInputError(f"Synonyms of {label!r} must be a list, got {names!r:.60}.")
    return {
        nfc(label): _checked_texts("synonyms", names) for label, names in (synonyms or {}).items()
    }


def label_variants(label: str, synonyms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the label and its synonyms; repeated texts are removed."""
    return tuple(dict.fromkeys([label, *synonyms.get(label, ())]))


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
