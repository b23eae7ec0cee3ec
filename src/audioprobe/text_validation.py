"""Validation of labels, captions, templates and synonyms, for scorers and classifiers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from audioprobe.errors import InvalidInputError
from audioprobe.normalization import nfc


def checked_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels as a tuple of texts in Unicode NFC.

    Args:
        labels: any iterable of texts, which is iterated once.

    Raises:
        InvalidInputError: for no labels, a label that is not a text or is empty, a repeated label,
            or a plain string instead of a list.
    """
    texts = _checked_texts("labels", labels)
    if not texts:
        raise InvalidInputError("At least one label is needed, got none.")
    if any(not label.strip() for label in texts):
        raise InvalidInputError("Every label needs a text, got an empty one.")
    repeated = [label for label, n in Counter(texts).items() if n > 1]
    if repeated:
        raise InvalidInputError(f"Labels must differ, {repeated[0]!r} came more than once.")
    return texts


def checked_captions(captions: Iterable[str], *, empty: bool = False) -> tuple[str, ...]:
    """Return captions as a tuple of texts in Unicode NFC.

    Args:
        captions: any iterable of texts, which is iterated once.
        empty: whether captions may be empty.

    Raises:
        InvalidInputError: for a caption that is not a text, an empty one unless `empty`, or a plain
            string instead of a list.
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
    """Raise `InvalidInputError` unless "{}", the place of the text, is in it exactly once."""
    if template.count("{}") != 1:
        raise InvalidInputError(f'The template needs "{{}}" exactly once, got {template!r}.')


def checked_synonyms(
    synonyms: Mapping[str, Sequence[str]] | None,
) -> dict[str, tuple[str, ...]]:
    """Return synonyms by label, in Unicode NFC.

    Raises:
        InvalidInputError: for a plain string instead of a list, or a synonym that is not a text.
    """
    for label, names in (synonyms or {}).items():
        if isinstance(names, str):
            raise InvalidInputError(f"Synonyms of {label!r} must be a list, got {names!r:.60}.")
    return {
        nfc(label): _checked_texts("synonyms", names) for label, names in (synonyms or {}).items()
    }


def label_variants(label: str, synonyms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the label and its synonyms, without repetition."""
    return tuple(dict.fromkeys([label, *synonyms.get(label, ())]))


def _checked_texts(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InvalidInputError(f"{name} must be a list of texts, got {texts!r:.60}.")
    values = tuple(texts)
    for position, text in enumerate(values):
        if not isinstance(text, str):
            raise InvalidInputError(
                f"{name} must be texts, got {text!r:.60} at position {position}: leave out missing "
                "ones."
            )
    return tuple(map(nfc, values))
