"""What every scorer asks of captions and labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from audioprobe.errors import InvalidInputError
from audioprobe.normalization import nfc


def checked_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels as a tuple of texts in Unicode NFC.

    Args:
        labels: any iterable of texts, which is read once.

    Raises:
        InvalidInputError: for no labels, a label that is not a text or is empty, a repeated label,
            or a plain string where a list is meant.
    """
    texts = _texts("labels", labels)
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
        captions: any iterable of texts, which is read once.
        empty: whether captions may be empty.

    Raises:
        InvalidInputError: for a caption that is not a text, an empty one unless `empty`, or a plain
            string where a list is meant.
    """
    texts = _texts("captions", captions)
    blank = [n for n, caption in enumerate(texts) if not caption.strip()]
    if blank and not empty:
        raise InvalidInputError(
            f"An empty caption says nothing that could be scored: {len(blank)} of {len(texts)}, "
            f"the first at position {blank[0]}."
        )
    return texts


def _texts(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InvalidInputError(f"{name} must be a list of texts, got {texts!r:.60}.")
    given = tuple(texts)
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise InvalidInputError(
                f"{name} must be texts, got {text!r:.60} at position {position}: leave out what is "
                "missing."
            )
    return tuple(map(nfc, given))


def check_template(template: str) -> None:
    """Refuse a template that has no single place for the text.

    Raises:
        InvalidInputError: unless "{}" is in it exactly once.
    """
    if template.count("{}") != 1:
        raise InvalidInputError(f'The template needs "{{}}" exactly once, got {template!r}.')


def wordings(label: str, synonyms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The label and its synonyms, without repetition."""
    return tuple(dict.fromkeys([label, *synonyms.get(label, ())]))


def checked_synonyms(
    synonyms: Mapping[str, Sequence[str]] | None,
) -> dict[str, tuple[str, ...]]:
    """Synonyms by label, in Unicode NFC.

    Raises:
        InvalidInputError: for a plain string where a list is meant, or a synonym that is no text.
    """
    for label, words in (synonyms or {}).items():
        if isinstance(words, str):
            raise InvalidInputError(f"Synonyms of {label!r} must be a list, got {words!r:.60}.")
    return {nfc(label): _texts("synonyms", words) for label, words in (synonyms or {}).items()}
